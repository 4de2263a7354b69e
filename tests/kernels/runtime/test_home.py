"""The folder of data, weights and compiled kernels, by the custom of each platform."""

import os
import sys

import pytest

from minitorch_kernels.runtime.home import mcnn_home


@pytest.fixture
def user(monkeypatch, tmp_path):
    """Be a user whose home is ``tmp_path`` and who has set nothing; returns it."""
    for variable in ("MCNN_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("system", "folder"), [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")]
)
def test_a_user_who_has_set_nothing(user, monkeypatch, system, folder):
    monkeypatch.setattr(sys, "platform", system)
    assert mcnn_home() == user / folder / "minitorch_cnn"


@pytest.mark.parametrize(("system", "variable"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")])
def test_the_variable_of_the_platform(user, monkeypatch, system, variable):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv(variable, str(user / "elsewhere"))
    assert mcnn_home() == user / "elsewhere" / "minitorch_cnn"


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_our_variable_goes_first(user, monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "elsewhere"))
    monkeypatch.setenv("MCNN_HOME", str(user / "mine"))
    assert mcnn_home() == user / "mine"
    monkeypatch.setenv("MCNN_HOME", os.path.join("~", "lab"))
    assert mcnn_home() == user / "lab"
