"""The record of a user's network names the code that ran: that of its file and of the files which this imports."""

import importlib
import io
import sys
import types

import numpy as np
import pytest

from minitorch_cnn import train
from minitorch_cnn.models import own_code, own_loaded

OWN = """
from minitorch_cnn import nn{imports}

class Net(nn.Sequential):
    def __init__(self, num_classes=2):
        super().__init__(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, num_classes))

    def forward(self, x):
        return {body}
"""
PLAIN, DOUBLE = "super().forward(x)", "super().forward(x) * 2.0"


def write(path, body=PLAIN, imports=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.format(body=body, imports=imports))
    return path


def forget(folder):
    for name, module in list(sys.modules.items()):
        places = getattr(module, "__file__", None), *vars(module).get("__path__", ())  # torch.classes has every name
        if any(str(place).startswith(str(folder)) for place in places):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder to import from; what was imported from it is forgotten at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget(tmp_path)


@pytest.fixture
def ran(start, recipe, make_images, folder):
    """Return a function that trains a network to its end and returns the loss and the folder of the run."""

    def run(model, name="run"):
        trainer = start(name, model=model)
        trainer.fit()
        return trainer.final_eval(make_images(20, seed=1)), folder / name

    return run


def loss_of(run, images, model=None):
    return train.Classifier.load(run, model=model).evaluate(images).loss


def test_a_file_that_is_edited_runs_anew_in_the_same_process(ran, folder, test_set):
    file = write(folder / "net.py")
    first = ran(f"{file}:Net", "first")[0]
    write(file, DOUBLE)
    second, run = ran(f"{file}:Net", "second")
    factory = [result["settings"]["architecture"]["factory"] for result in (first, second)]
    assert factory[0]["file_sha256"] != factory[1]["file_sha256"] and first["test_loss"] != second["test_loss"]
    assert loss_of(run, test_set) == second["test_loss"]
    with pytest.raises(train.OwnNetworkError, match="its source has changed since the run"):
        train.Classifier.load(folder / "first")


def test_a_module_that_was_edited_after_its_import_is_not_recorded_as_what_ran(ran, folder, test_set):
    file = write(folder / "imported_net.py")
    net = importlib.import_module("imported_net").Net
    write(file, DOUBLE)
    result, run = ran(net)
    factory = result["settings"]["architecture"]["factory"]
    assert factory["source"] is None and "file_sha256" not in factory
    assert loss_of(run, test_set) == result["test_loss"]  # here, the class is still what it was
    importlib.reload(sys.modules["imported_net"])
    with pytest.raises(train.OwnNetworkError, match="its source has changed since the run"):
        train.Classifier.load(run)


IN_ONE_FILE = """
from minitorch_cnn import nn

FACTOR = 1.0
def act(x):
    return x * FACTOR

class Base(nn.Sequential):
    scale = 1.0

class Net(Base):
    def __init__(self, num_classes=2):
        super().__init__(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, num_classes))

    def forward(self, x):
        return act(super().forward(x)) * self.scale
"""


@pytest.mark.parametrize(
    "before, after", [("FACTOR = 1", "FACTOR = 2"), ("x * FACTOR", "x * FACTOR + 1.0"), ("scale = 1", "scale = 3")]
)
def test_what_a_network_uses_of_its_own_file_belongs_to_it(ran, folder, test_set, before, after):
    """The source of the class itself stays the same."""
    (folder / "one_file.py").write_text(IN_ONE_FILE)
    result, run = ran(importlib.import_module("one_file").Net)
    assert loss_of(run, test_set) == result["test_loss"]
    (folder / "one_file.py").write_text(IN_ONE_FILE + "\n# a comment, and what the network does not use\nOTHER = 3\n")
    forget(folder)
    importlib.import_module("one_file")
    assert loss_of(run, test_set) == result["test_loss"]
    (folder / "one_file.py").write_text(IN_ONE_FILE.replace(before, after) + "\n\n\n")
    forget(folder)
    importlib.import_module("one_file")
    with pytest.raises(train.OwnNetworkError, match="its source has changed since the run"):
        train.Classifier.load(run)


CONSTANTS = """
WIDTH = 4
SIZES = (1, 2)
LABELS = {}
COUNT = 0
SCALE = 2 * WIDTH

class Net:
    rate = 0.5

    def __init__(self, width=4, *, bias=True):
        self.width = width

    @staticmethod
    def name(prefix="net"):
        return prefix

def count():
    global COUNT
    COUNT += 1
    LABELS[COUNT] = "seen"
"""


@pytest.mark.parametrize(
    "before, after",
    [
        ("WIDTH = 4", "WIDTH = 8"),
        ("(1, 2)", "(1, 3)"),
        ("rate = 0.5", "rate = 0.25"),
        ("width=4", "width=8"),
        ("width=4", "width"),
        ("bias=True", "bias=False"),
        ('"net"', '"other"'),
    ],
)
def test_a_constant_that_was_edited_after_the_import_is_noticed(folder, before, after):
    file = folder / "constants_g.py"
    file.write_text(CONSTANTS)
    module = importlib.import_module("constants_g")
    module.count()  # what the code itself changes is not an edit
    assert own_loaded.is_loaded_as_it_is(module)
    file.write_text(CONSTANTS.replace(before, after))
    assert not own_loaded.is_loaded_as_it_is(module)


def test_a_constant_that_was_set_from_outside_is_noticed(folder):
    (folder / "constants_h.py").write_text(CONSTANTS)
    module = importlib.import_module("constants_h")
    module.Net.rate = 0.75
    assert not own_loaded.is_loaded_as_it_is(module)


def test_what_is_no_constant_is_not_compared(folder):
    text = "import enum\nimport functools\n\nclass Mode(enum.Enum):\n    fast = 1\n\n"
    text += "@functools.cache\ndef f(x=1):\n    return x\n\nSIDE = 8\nif f() == 1:\n    SIDE = 16\n"
    (folder / "constants_i.py").write_text(text)
    assert own_loaded.is_loaded_as_it_is(importlib.import_module("constants_i"))


@pytest.mark.parametrize(
    "imports, body, helper",
    [
        ("\nimport helper_a", "helper_a.act(super().forward(x))", "helper_a.py"),
        ("\nfrom helper_b import FACTOR", "super().forward(x) * FACTOR", "helper_b.py"),
        ("\nfrom parts_c import inner", "inner.act(super().forward(x))", "parts_c/inner.py"),
        ("\nimport parts_d.inner", "parts_d.inner.act(super().forward(x))", "parts_d/inner.py"),
        ("\nimport between_e", "between_e.helper_e.act(super().forward(x))", "helper_e.py"),
    ],
)
def test_a_file_that_it_imports_belongs_to_the_network(ran, folder, test_set, imports, body, helper):
    (folder / "between_e.py").write_text("import helper_e\n")
    (folder / helper).parent.mkdir(exist_ok=True)
    (folder / helper).write_text("FACTOR = 1.0\ndef act(x):\n    return x * FACTOR\n")
    file = write(folder / "net.py", body, imports)
    result, run = ran(f"{file}:Net")
    assert helper in result["settings"]["architecture"]["factory"]["helpers"]
    assert loss_of(run, test_set) == result["test_loss"]
    (folder / helper).write_text("FACTOR = 2.0\ndef act(x):\n    return x * FACTOR\n\n")
    forget(folder)  # as in a new process
    with pytest.raises(train.OwnNetworkError, match="or a file that it imports has changed"):
        train.Classifier.load(run)
    assert loss_of(run, test_set, f"{file}:Net") != result["test_loss"]  # named, it runs


def test_a_helper_that_was_edited_after_its_import_leaves_the_code_unnamed(ran, folder):
    (folder / "helper_f.py").write_text("def act(x):\n    return x\n")
    file = write(folder / "net.py", "helper_f.act(super().forward(x))", "\nimport helper_f")
    importlib.import_module("helper_f")
    (folder / "helper_f.py").write_text("def act(x):\n    return x * 2.0\n")
    factory = ran(f"{file}:Net")[0]["settings"]["architecture"]["factory"]
    assert factory["source"] is None and factory["helpers"] == {}


def test_relative_imports_of_a_package_are_followed(folder):
    write(folder / "whole" / "nets" / "net.py", imports="\nfrom ..blocks import act")
    for name, text in (("", ""), ("nets/", ""), ("blocks", "import numpy\ndef act(x):\n    return x\n")):
        path = folder / "whole" / (f"{name}__init__.py" if not name or name.endswith("/") else f"{name}.py")
        path.write_text(text)
    module = importlib.import_module("whole.nets.net")
    assert {"../blocks.py", "../__init__.py"} <= own_code.helpers(module).keys()
    assert not any("numpy" in path for path in own_code.helpers(module))


def test_a_module_whose_file_cannot_be_read_is_not_what_runs(tmp_path):
    module = types.ModuleType("nothing")
    module.__file__ = str(tmp_path / "nothing.py")
    assert not own_loaded.is_loaded_as_it_is(module)
    (tmp_path / "nothing.py").write_text("def (")
    assert not own_loaded.is_loaded_as_it_is(module) and own_code.helpers(module) == {}


def test_a_run_that_continues_with_other_code_says_so_and_records_it(start, folder, make_images, test_set):
    file = write(folder / "net.py")
    start(model=f"{file}:Net").save()
    old = file.read_text()
    write(file, DOUBLE)
    images, told = make_images(), io.StringIO()
    trainer = train.Trainer.resume(folder / "run", images, model=f"{file}:Net", reporter=train.Reporter(told))
    assert "the code of net.py:Net has changed since; the run continues with the new one" in told.getvalue()
    trainer.fit()
    result = trainer.final_eval(test_set)
    assert loss_of(folder / "run", test_set) == result["test_loss"]
    file.write_text(old)  # that of the first half, which is not what the weights at the end belong to
    with pytest.raises(train.OwnNetworkError, match="its source has changed|its file has changed"):
        train.Classifier.load(folder / "run")


def test_a_run_that_continues_with_the_same_code_says_nothing(start, folder, make_images):
    file = write(folder / "net.py")
    trainer = start(model=f"{file}:Net")
    trainer.save()
    told = io.StringIO()
    resumed = train.Trainer.resume(folder / "run", make_images(), reporter=train.Reporter(told))
    assert told.getvalue() == "" and resumed.settings == trainer.settings
    np.testing.assert_array_equal(resumed.model[0].weight.data, trainer.model[0].weight.data)
