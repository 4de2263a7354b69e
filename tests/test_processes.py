"""Processes of this package's own modules: they run our code, and nothing that lies in the current folder."""

import os
import subprocess
import sys

import pytest

from minitorch_cnn import processes

SHADOWS = ("random", "queue", "signal", "json", "inspect")


def run(module, **variables):
    """Run a module in a new process; return what it printed."""
    command, environment = processes.module_command(module), processes.module_environment(**variables)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_files_in_the_current_folder_do_not_take_the_place_of_modules(tmp_path, monkeypatch):
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('code of the current folder ran')")
    monkeypatch.chdir(tmp_path)
    assert '"error"' in run("minitorch_cnn.diagnose.blas_check")


@pytest.mark.parametrize("entry", ["", "."])
def test_the_current_folder_is_searched_where_this_process_searches_it(tmp_path, monkeypatch, entry):
    (tmp_path / "own_module.py").write_text("print('found')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, entry])
    assert run("own_module") == "found\n"


def test_a_current_folder_that_was_deleted(tmp_path, monkeypatch):
    def deleted():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", deleted)
    monkeypatch.setattr(sys, "path", ["", "/a", "relative"])
    assert processes.module_environment()["PYTHONPATH"] == "/a"


@pytest.mark.posix
def test_a_process_starts_in_a_folder_that_was_removed(tmp_path, monkeypatch):
    """Editable installs add a word to `sys.path` that is not an absolute path, with which Python would not start."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", [*sys.path, "__editable__.finder"])
    assert '"error"' in run("minitorch_cnn.diagnose.blas_check")


def test_variables_are_added_to_the_environment(monkeypatch):
    monkeypatch.setenv("OTHER", "1")
    environment = processes.module_environment(MINE="2")
    assert environment["OTHER"] == "1" and environment["MINE"] == "2"


@pytest.mark.parametrize("executable", ["", None])
def test_a_program_that_embeds_python(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(RuntimeError, match="cannot start some.module: expected the path of the Python interpreter"):
        processes.module_command("some.module")
