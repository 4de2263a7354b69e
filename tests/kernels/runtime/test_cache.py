"""A cache of compiled kernels that later processes find, and that is checked before it is used."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from minitorch_kernels.runtime import cache, jit
from tests.kernels.runtime.processes import RELU, SOURCES, STEP, finish, run, start

needs_jit = pytest.mark.skipif(not jit.jit_enabled(), reason="nothing is compiled")


@pytest.fixture(scope="module")
def first_process():
    """Run one training step on the cache that all tests share, and so fill it; return the results."""
    return run(STEP + "results = [step()]\n")[1]


@pytest.mark.slow
def test_a_second_process_compiles_nothing(first_process):
    cached = {file.name.split(".")[-3] for file in cache.cache_folder().rglob("*.kernel")}
    assert {"indirect_gemm", "_weight_product", "_max_backward", "_moments", "_sgd"} <= cached
    assert run(STEP + "results = [step()]\n") == ([], first_process)


@pytest.mark.slow
def test_a_damaged_file_is_compiled_anew(first_process, tmp_path):
    shared = cache.cache_folder()
    copy = tmp_path / "home" / "kernels" / shared.name
    for file in shared.rglob("*.kernel"):
        (copy / file.relative_to(shared)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy / file.relative_to(shared))

    def flip_a_bit(content):
        return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]

    damages = {
        "elementwise._relu_forward": flip_a_bit,
        "optimizer._sgd": lambda content: content[: len(content) // 2],
        "batch_norm._scale_and_shift": lambda content: bytes(len(content)),
        "pool._max_backward": lambda content: b"",
    }
    for name, damage in damages.items():
        files = list(copy.rglob(f"*.{name}*.kernel"))  # for each kind of arguments, and what starts it on all threads
        assert files
        for file in files:
            file.write_bytes(damage(file.read_bytes()))
    compiled, again = run(STEP + "results = [step()]\n", home=tmp_path / "home")
    assert sorted(compiled) == sorted(name.split(".")[1] for name in damages) and again == first_process
    assert run(STEP + "results = [step()]\n", home=tmp_path / "home") == ([], first_process)


@pytest.mark.slow
def test_processes_that_compile_at_once_do_not_take_each_others_code(tmp_path):
    dtypes = ["float32", "float64", "float64"]
    for process in [start(RELU, dtype, home=tmp_path) for dtype in dtypes]:
        assert finish(process)[1] == [[0, 0, 0, 1, 2]]
    for dtype in dtypes:
        assert run(RELU, dtype, home=tmp_path) == ([], [[0, 0, 0, 1, 2]])
    assert {file.suffix for file in tmp_path.rglob("*.*") if file.is_file()} == {".kernel"}


CATCH = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    results = []
    for kind in (np.float32, np.float64):
        results.append(kernels.layers.elementwise.relu_forward(np.arange(-1, 2).astype(kind)).tolist())
    results.append([f"{w.category.__name__}: {w.message}" for w in caught])
"""


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be")
    compiled, (*results, warned) = run(CATCH, home=tmp_path / "home")
    assert compiled == ["_relu_forward"] * 2 and results == [[0, 0, 1]] * 2
    assert len(warned) == 1 and re.match(
        "RuntimeWarning: kernels are compiled anew in every process: .*home", warned[0]
    )


def test_a_file_that_cannot_be_written_costs_a_warning(tmp_path):
    refuse = "def refuse(self, content):\n    raise OSError('disk full')\ncache.pathlib.Path.write_bytes = refuse\n"
    compiled, (*results, warned) = run(refuse + CATCH, home=tmp_path)
    assert compiled == ["_relu_forward"] * 2 and results == [[0, 0, 1]] * 2
    (warned,) = warned
    assert re.match(
        "RuntimeWarning: new kernels are compiled anew .* cannot be written: disk full; set MCNN_HOME", warned
    )


def test_a_cache_that_others_filled_is_read_where_it_cannot_be_written(tmp_path):
    """Like the home folder in a container image. The test also runs as root, who may write everywhere."""
    forbid = """
import os, tempfile
def forbid(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))
cache.pathlib.Path.write_bytes = cache.pathlib.Path.touch = tempfile.TemporaryFile = forbid
"""
    relu = "results = [kernels.layers.elementwise.relu_forward(np.arange(-1, 2).astype(np.float32)).tolist()]\n"
    assert run(relu, home=tmp_path) == (["_relu_forward"], [[0, 0, 1]])
    assert run(forbid + relu, home=tmp_path) == ([], [[0, 0, 1]])
    compiled, (*results, warned) = run(forbid + CATCH, home=tmp_path)
    assert compiled == ["_relu_forward"] and results == [[0, 0, 1]] * 2  # that for float64 was not there
    assert len(warned) == 1 and "cannot be written: Permission denied" in warned[0]


def test_others_may_read_the_cache(tmp_path):
    mask = os.umask(0o022)
    try:
        run(RELU, "float32", home=tmp_path)
    finally:
        os.umask(mask)
    file = next(tmp_path.rglob("*.kernel"))
    assert all(
        path.stat().st_mode & 0o005 == 0o005 for path in file.parents if path.is_relative_to(tmp_path / "kernels")
    )


def test_a_system_without_fork(tmp_path):
    """Windows: there `os` has no register_at_fork either."""
    code = "import os, numba\nvars(os).pop('register_at_fork', None)\nimport minitorch_kernels.runtime.threads\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES.parent), *sys.path])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_an_edited_helper_in_another_file_is_noticed(tmp_path):
    copy = tmp_path / "minitorch_kernels"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "one.py").write_text(
        "from minitorch_kernels import other\n"
        "from minitorch_kernels.runtime import jit\n"
        "@jit.compiled\n"
        "def add(x):\n    return other.add(x)\n"
    )
    code = "from minitorch_kernels import one\nresults = [one.add(1)]\n"
    for amount in (10, 20):
        helper = f"from minitorch_kernels.runtime import jit\n@jit.compiled\ndef add(x):\n    return x + {amount}\n"
        (copy / "other.py").write_text(helper)
        assert run(code, home=tmp_path / "home", path=tmp_path) == (["add"], [1 + amount])
        assert run(code, home=tmp_path / "home", path=tmp_path) == ([], [1 + amount])


def test_an_edited_constant_in_a_users_own_file_is_noticed(tmp_path):
    for scale in (3, 44):  # the body of the function stays the same
        (tmp_path / "own.py").write_text(
            f"from minitorch_kernels.runtime import jit\nSCALE = {scale}\n"
            "@jit.compiled\ndef scaled(x):\n    return SCALE * x\n"
        )
        code = f"sys.path.append({str(tmp_path)!r})\nimport own\nresults = [own.scaled(2)]\n"
        for _ in range(2):
            assert run(code, home=tmp_path / "home") == ([], [2 * scale])


@needs_jit
def test_an_empty_cache_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(cache, "prepared_folder", lambda: tmp_path / "prepared")
    assert cache.is_cache_empty()
    (tmp_path / "prepared").mkdir()
    assert cache.is_cache_empty() == (not cache.levels())
    (tmp_path / "prepared").rmdir()
    (tmp_path / "a.kernel").touch()
    assert not cache.is_cache_empty()
    monkeypatch.setattr(cache, "cache_folder", lambda: None)  # nothing could be kept
    assert not cache.is_cache_empty()


# ------------------------------------------------------------------------------- prepared kernels

PREPARED = "cache._PREPARED = cache.pathlib.Path(sys.argv[1])\n"
PREPARED_RELU = PREPARED + RELU.replace("sys.argv[1]", "'float32'")
needs_level = pytest.mark.skipif(not cache.levels(), reason="no kernels are prepared for this processor")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder of kernels of one training step, compiled for an instruction set, and the results of the step."""
    home = tmp_path_factory.mktemp("home")
    level = {"NUMBA_CPU_NAME": cache.levels()[0], "NUMBA_CPU_FEATURES": ""}
    return home / "kernels", run(STEP + "results = [step()]\n", home=home, **level)[1]


@pytest.mark.slow
@needs_level
def test_prepared_kernels_are_used_and_give_the_same_bits(prepared, first_process, tmp_path):
    folder, results = prepared
    assert results == first_process
    assert run(PREPARED + STEP + "results = [step()]\n", str(folder), home=tmp_path) == ([], first_process)


@pytest.mark.slow
@needs_level
def test_prepared_kernels_are_for_the_processor_at_hand_alone(prepared, tmp_path):
    folder, _ = prepared
    assert run(PREPARED_RELU, str(folder), home=tmp_path)[0] == []
    another = {"NUMBA_CPU_NAME": "generic"}
    assert run(PREPARED_RELU, str(folder), home=tmp_path, **another)[0] == ["_relu_forward"]


@pytest.mark.slow
@needs_level
def test_a_damaged_prepared_kernel_is_compiled(prepared, tmp_path):
    folder = shutil.copytree(prepared[0], tmp_path / "prepared")
    for file in folder.rglob("*_relu_forward*.kernel"):
        file.write_bytes(file.read_bytes()[:-1])
    assert run(PREPARED_RELU, str(folder), home=tmp_path / "home") == (["_relu_forward"], [[0, 0, 0, 1, 2]])
