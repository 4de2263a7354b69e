"""What editors and type checkers see: names that complete, signatures, programs of the documentation in strict mode."""

import inspect
import json
import os
import re
import subprocess
import sys
from types import ModuleType

import pytest

import minitorch_cnn
from minitorch_cnn import autograd, data, explain, models, nn, ops, optim, rng, testing, train, weights
from tests.typing.language_server import LanguageServer
from tests.typing.test_user_script import ROOT, pyright

MODULES = (minitorch_cnn, autograd, data, explain, models, nn, nn.init, ops, optim, rng, testing, train, weights)
CHAPTERS = (1, 3, 4, 7, 8, 9, 10, 11)  # the others define functions without annotations, or pass on dicts of options
SPECIAL = ("__init__", "__call__", "__len__", "__iter__", "__getitem__", "__enter__", "__exit__", "__str__", "__repr__")


def names_of(module):
    return getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]


# ---------------------------------------------------------------------------------- signatures


def public_functions():
    """Return the public functions and methods by where they are defined, those of base classes too."""
    found = {}

    def add(function):
        function = inspect.unwrap(getattr(function, "__func__", getattr(function, "fget", function)))
        written = inspect.isfunction(function) and "<locals>" not in function.__qualname__  # not by `dataclass`
        if written and function.__module__.startswith("minitorch"):
            found[f"{function.__module__}.{function.__qualname__}"] = function

    for module in MODULES:
        for value in (getattr(module, name) for name in names_of(module)):
            if not inspect.isclass(value):
                add(value)
                continue
            for cls in (cls for cls in value.__mro__ if cls.__module__.startswith("minitorch")):
                for name, member in vars(cls).items():
                    if not name.startswith("_") or name in SPECIAL:
                        add(member)
    return found


def test_every_public_signature_is_annotated():
    bare = {}
    for name, function in public_functions().items():
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        missing = [p.name for p in parameters if p.annotation is p.empty]
        if signature.return_annotation is signature.empty and function.__name__ != "__init__":
            missing.append("return")
        if missing:
            bare[name] = missing
    assert not bare, bare


@pytest.mark.slow
def test_pyright_misses_no_annotation_of_a_public_name():
    """As `pyright --verifytypes` sees the package; it also looks at types that annotations are made of."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    command = [sys.executable, "-m", "pyright", "--verifytypes", "minitorch_cnn", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=paths())
    if "{" not in done.stdout:
        pytest.skip("pyright does not start here: it needs Node.js, or the network to fetch it")
    public = {name.rpartition(".")[0] for name in public_functions()} | set(public_functions())
    missing = [
        (symbol["name"], diagnostic["message"].splitlines()[0])
        for symbol in json.loads(done.stdout)["typeCompleteness"]["symbols"]
        for diagnostic in symbol["diagnostics"]
        if symbol["name"] in public and "annotation is missing" in diagnostic["message"]
    ]
    assert not missing, missing


def paths():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}


# ---------------------------------------------------------------------------------- completion


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("pyright", reason="pyright is not installed")
    folder = tmp_path_factory.mktemp("programs")
    settings = {"extraPaths": [str(ROOT), str(ROOT / "kernels")]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    try:
        with LanguageServer(folder) as server:
            yield server
    except EOFError:
        pytest.skip("pyright does not start here: it needs Node.js, or the network to fetch it")


def reached():
    """Return the public modules by what a user types to reach them."""
    inner = {name: getattr(minitorch_cnn, name) for name in minitorch_cnn.__all__}
    modules = {f"mt.{name}": value for name, value in inner.items() if isinstance(value, ModuleType)}
    return {"mt": minitorch_cnn, **modules, "mt.nn.init": nn.init}


@pytest.mark.slow
@pytest.mark.parametrize("typed", reached())
def test_every_public_name_completes(server, typed):
    offered = server.complete(f"import minitorch_cnn as mt\n{typed}.")
    missing = set(names_of(reached()[typed])) - set(offered)
    assert not missing, missing


@pytest.mark.slow
@pytest.mark.parametrize("cls", [minitorch_cnn.Tensor, nn.Module, nn.Conv2d, train.Trainer], ids=lambda c: c.__name__)
def test_every_public_member_completes(server, cls):
    home = "mt" if cls is minitorch_cnn.Tensor else f"mt.{cls.__module__.split('.')[1]}"
    offered = server.complete(f"import minitorch_cnn as mt\ndef use(x: {home}.{cls.__name__}):\n    x.")
    missing = {name for name in dir(cls) if not name.startswith("_")} - set(offered)
    assert not missing, missing


# ------------------------------------------------------------------------------------ programs


def documented_programs():
    """Return the programs of the README, of the pages beside it, and of chapters, by name."""
    programs = {}
    for page in (ROOT / "README.md", *(ROOT / "examples" / "docs").glob("*.md")):
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if blocks:
            programs[page.stem] = "\n".join(blocks)  # later blocks of a page use names of earlier ones
    for number in CHAPTERS:
        (chapter,) = (ROOT / "examples").glob(f"{number:02d}_*.py")
        programs[chapter.stem] = chapter.read_text(encoding="utf-8")
    return programs


@pytest.mark.slow
def test_documented_programs_have_no_error_in_strict_mode(tmp_path):
    """A result on the last line of a cell, which a notebook shows, is allowed; matplotlib is not fully typed."""
    programs = documented_programs()
    assert len(programs) >= 10
    for name, text in programs.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    others = {"reportUnusedExpression": "none", "reportUnknownMemberType": "none"}
    assert pyright(tmp_path, typeCheckingMode="strict", **others) == []
