"""Sub-modules load on first use, and editors and type checkers find the same ones."""

import ast
import importlib
import json
import pathlib
import pkgutil
import subprocess
import sys

import pytest

import minitorch_kernels

FOLDER = pathlib.Path(minitorch_kernels.__file__).parent
PACKAGES = ["minitorch_kernels"] + [
    found.name for found in pkgutil.walk_packages(minitorch_kernels.__path__, "minitorch_kernels.") if found.ispkg
]


def loaded_by(code):
    """Return which of some modules are loaded after ``code`` in a separate process."""
    tell = "import sys, json\nprint(json.dumps([name for name in ('numba', 'numpy') if name in sys.modules]))"
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(FOLDER.parent)!r})\n{code}\n{tell}"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_imports_for_editors_name_every_submodule(name):
    package = importlib.import_module(name)
    (block,) = [node for node in ast.parse(pathlib.Path(package.__file__).read_text()).body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    named = [(line.module, alias.name, alias.asname) for line in block.body for alias in line.names]
    public = [found for found in dir(package) if not found.startswith("_")]
    assert named == [(name, found, found) for found in public]


@pytest.mark.parametrize("name", PACKAGES)
def test_submodules_load_by_name_and_others_are_refused(name):
    package = importlib.import_module(name)
    for found in dir(package):
        assert getattr(package, found) is importlib.import_module(f"{name}.{found}")
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'elementwize'"):
        package.elementwize  # noqa: B018


def test_packages_load_nothing_and_the_oracle_loads_numpy_alone():
    assert (
        loaded_by("import minitorch_kernels as kernels; kernels.layers, kernels.conv.winograd, kernels.runtime") == []
    )
    assert loaded_by("import minitorch_kernels as kernels; kernels.reference, kernels.conv.im2col") == ["numpy"]
