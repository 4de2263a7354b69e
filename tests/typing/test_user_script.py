"""What an editor and a type checker see of the package: no false error, names that complete, signatures."""

import ast
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

import minitorch_cnn
import minitorch_kernels

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
SCRIPT = pathlib.Path(__file__).with_name("user_script.py")
ANNOTATED = pathlib.Path(__file__).with_name("annotated_script.py")


def pyright(folder, **settings):
    """Return the errors that pyright finds in the programs of a folder."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    version = subprocess.run([sys.executable, "-m", "pyright", "--version"], capture_output=True, check=False)
    if version.returncode != 0:  # on its first run it may have to fetch Node.js or itself
        pytest.skip("pyright does not start here: it needs Node.js, or the network to fetch it")
    configuration = {"extraPaths": [str(ROOT), str(ROOT / "kernels")], **settings}
    (folder / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    report = json.loads(result.stdout[result.stdout.index("{") :])
    assert report["summary"]["filesAnalyzed"] >= 1
    return [f"{e['range']['start']['line'] + 1}: {e['message']}" for e in report["generalDiagnostics"]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["basic", "standard"])
def test_a_user_s_program_has_no_type_error(tmp_path, mode):
    shutil.copy(SCRIPT, tmp_path)
    assert pyright(tmp_path, typeCheckingMode=mode) == []


@pytest.mark.slow
def test_an_annotated_program_has_no_error_in_strict_mode(tmp_path):
    shutil.copy(ANNOTATED, tmp_path)
    assert pyright(tmp_path, typeCheckingMode="strict") == []


@pytest.mark.slow
def test_strict_mode_knows_the_types_of_arguments(tmp_path):
    wrong = [
        'mt.nn.Linear("3", 4)',
        'mt.nn.MaxPool2d(2, padding="same")',
        "mt.data.Shapes10(size=[1])",
        "mt.nn.fuse(1)",
    ]
    (tmp_path / "wrong.py").write_text("\n".join(["import minitorch_cnn as mt", *wrong]))
    assert [error.split(":")[0] for error in pyright(tmp_path, typeCheckingMode="strict")] == ["2", "3", "4", "5"]


@pytest.mark.slow
def test_a_mistake_in_a_user_s_program_is_an_error(tmp_path):
    wrong = ["mt.nn.Conv3d(3, 4, 3)", "mt.no_grad(1)", "mt.manual_sed(0)"]
    (tmp_path / "wrong.py").write_text("\n".join(["import minitorch_cnn as mt", *wrong]))
    assert [error.split(":")[0] for error in pyright(tmp_path)] == ["2", "3", "4"]


def test_the_program_runs():
    result = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    losses = [float(line) for line in result.stdout.splitlines()[2:7]]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_annotated_program_runs():
    result = subprocess.run([sys.executable, str(ANNOTATED)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_type_checkers_see_the_names_that_programs_get():
    tree = ast.parse(pathlib.Path(minitorch_cnn.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == minitorch_cnn.__all__
    for name, module in seen.items():
        assert getattr(minitorch_cnn, name) is getattr(sys.modules[module], name)


def test_both_packages_say_that_they_are_typed():
    for package in (minitorch_cnn, minitorch_kernels):
        assert pathlib.Path(package.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize(
    ("typed", "expected", "least"),
    [
        ("mt.", {"Tensor", "nn", "ops", "optim", "data", "models", "train", "no_grad", "manual_seed"}, 14),
        ("mt.nn.", {"Conv2d", "Module", "Linear", "Sequential", "init"}, 40),
        ("mt.ops.", {"conv2d", "relu", "cross_entropy", "max_pool2d"}, 50),
        ("mt.models.", {"create", "Cifar4", "ResNet"}, 12),
        ("mt.optim.", {"SGD", "AdamW", "OneCycleLR"}, 10),
        ("mt.Tensor([1.0]).", {"backward", "reshape", "grad", "numpy"}, 30),
    ],
)
def test_names_complete(typed, expected, least):
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    program = f"import minitorch_cnn as mt\n{typed}"
    names = {completion.name for completion in jedi.Script(program, project=jedi.Project(ROOT)).complete()}
    assert expected <= names
    assert len(names) >= least


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("mt.nn.Conv2d(", ["in_channels", "out_channels", "kernel_size"]),
        ("mt.ops.conv2d(", ["x", "weight", "bias"]),
        ("mt.Tensor(", ["data", "requires_grad"]),
        ("mt.manual_seed(", ["seed"]),
        ("mt.models.create(", ["name", "num_classes"]),
        ("mt.optim.SGD(", ["params", "lr"]),
    ],
)
def test_calls_show_a_signature(typed, first):
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    (signature,) = jedi.Script(f"import minitorch_cnn as mt\n{typed}", project=jedi.Project(ROOT)).get_signatures()
    names = [parameter.name for parameter in signature.params]
    assert names[: len(first)] == first
