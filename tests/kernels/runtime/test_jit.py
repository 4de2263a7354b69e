"""Compiling: what is told of it, and what it leaves as it was."""

import gc

import numba
import pytest

from minitorch_kernels.runtime import collector, jit
from tests.kernels.runtime.processes import run

needs_jit = pytest.mark.skipif(not jit.jit_enabled(), reason="nothing is compiled")


@needs_jit
def test_the_garbage_collector_is_afterwards_as_it_was():
    square = jit.entry(lambda x: x * x)
    assert square(3) == 9 and gc.isenabled()
    gc.disable()
    try:
        assert square(3.0) == 9 and not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(numba.TypingError), collector.paused():
        assert not gc.isenabled()
        square("text")
    assert gc.isenabled()


def test_on_compile_tells_the_name_until_it_is_stopped():
    def compiled(name):
        namespace = {"__name__": "minitorch_kernels.example"}
        exec(f"def {name}(x):\n    return x", namespace)
        numba.njit(namespace[name])(1)

    told = []
    stop = jit.on_compile(lambda name, count: told.append((name, count)))
    compiled("first")
    compiled("second")
    stop()
    compiled("third")
    (first, n), (second, m) = told
    assert (first, second) == ("first", "second") and m == n + 1


def test_reordered_sums_keep_nan_and_infinity(tmp_path):
    (tmp_path / "own.py").write_text(
        "from minitorch_kernels.runtime import jit\n@jit.compiled(reorder=True)\n"
        "def total(x):\n    s = x[0] * 0\n    for value in x:\n        s += value\n    return s, s != s, s > 1e300\n"
    )
    code = f"sys.path.append({str(tmp_path)!r})\nimport own\n"
    code += "results = [str(own.total(np.array([1.0, value, 2.0]))) for value in (np.nan, np.inf)]\n"
    assert run(code, home=tmp_path)[1] == ["(nan, True, False)", "(inf, False, True)"]
