"""Rules of the source code that a program can check."""

import ast
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys

import minitorch_cnn
import minitorch_kernels

PACKAGE = pathlib.Path(minitorch_cnn.__file__).parent
KERNELS = pathlib.Path(minitorch_kernels.__file__).parent
ROOT = PACKAGE.parent


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_imports_go_down_the_floors_only():
    result = run(sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()")
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing():
    result = run(sys.executable, "-m", "ruff", "check", ".")
    assert result.returncode == 0, result.stdout


def test_kernels_import_numeric_packages_alone():
    allowed = {"numpy", "numba", "llvmlite", "threadpoolctl", "minitorch_kernels", *sys.stdlib_module_names}
    for path in KERNELS.rglob("*.py"):
        assert set(imported_packages(path)) <= allowed, path.name


def test_the_oracle_and_the_fallback_need_numpy_alone():
    for name in ("reference.py", "conv/im2col.py", "gemm/blas.py"):
        own = {"minitorch_kernels"} if name == "conv/im2col.py" else set()  # for gemm/blas.py
        assert set(imported_packages(KERNELS / name)) <= {"numpy", *sys.stdlib_module_names, *own}, name


def test_torch_and_scipy_are_never_imported_at_run_time():
    for path in [*PACKAGE.rglob("*.py"), *KERNELS.rglob("*.py")]:
        assert not {"torch", "scipy"} & set(imported_packages(path)), path


def test_modules_are_not_named_like_the_compiled_ones_of_python():
    """jedi takes a module `x.select` for Python's own where that is built into the interpreter, as uv's is."""
    compiled = set(sys.builtin_module_names)
    for name in sys.stdlib_module_names - {"antigravity", "this"}:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin and spec.origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            compiled.add(name)
    own = {path.stem for folder in (PACKAGE, KERNELS) for path in folder.rglob("*.py")}
    assert "select" in compiled
    assert not own & compiled


def test_numba_flags_stand_in_one_place():
    for path in KERNELS.rglob("*.py"):
        if path.name != "jit.py":
            assert "fastmath" not in path.read_text(), path.name
    assert "fastmath=True" not in (KERNELS / "runtime/jit.py").read_text()


def test_importing_the_package_loads_neither_numba_nor_matplotlib():
    code = (
        "import sys, json, minitorch_cnn as m; m.Tensor, m.nn, m.optim, m.data, m.models, m.ops, m.train, m.weights;"
        "print(json.dumps([n for n in ('numba', 'matplotlib', 'PIL', 'torch') if n in sys.modules]))"
    )
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []


def test_every_exported_name_exists():
    for name in minitorch_cnn.__all__:
        assert getattr(minitorch_cnn, name) is not None
    assert set(minitorch_cnn.__all__) <= set(dir(minitorch_cnn))
