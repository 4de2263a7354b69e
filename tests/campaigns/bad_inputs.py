"""A folder of good and bad files: pictures, models, runs, checkpoints, archives, and programs of a user's own."""

import copy
import json
import os
import pathlib
import re
import shutil
import signal

import numpy as np
from PIL import Image

from minitorch_cnn import data, exercises, models, train, weights

# Own programs by file name. The names of classes and functions are those in NAMES below.
OWN = {
    "good.py": """
from minitorch_cnn import nn, ops
class Net(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, num_classes))
class Wide(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(5, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, 7))
class Fails(nn.Module):
    def forward(self, x):
        raise LookupError("in forward")
class Nothing(nn.Module):
    def forward(self, x):
        return None
class Number(nn.Module):
    def forward(self, x):
        return 3.5
class Pair(nn.Module):
    def __init__(self):
        self.a = nn.Linear(3072, 10)
    def forward(self, x):
        return self.a(ops.reshape(x, (len(x), -1))), x
class Kept(nn.Module):
    def __init__(self, depth):
        self.a = nn.Linear(depth, 10)
class Closed:
    __slots__ = ()
    def __new__(cls):
        raise SystemExit(7)
def number():
    return 3
def fails():
    raise OSError("no")
def needs(argument):
    return argument
def deep():
    return deep()
def forward(x, weight, bias, **hyper):
    return x
def same(x, weight, bias, *, stride, padding, dilation, groups):
    from minitorch_kernels import reference
    return reference.conv2d_forward(x, weight, bias, stride, padding, dilation, groups)
x = 3
instance = Net()
""",
    "syntax.py": "def (\n",
    "raises.py": "1 / 0\n",
    "exits.py": "import sys\nsys.exit('usage: exits.py FILE')\n",
    "interrupts.py": "raise KeyboardInterrupt\n",
    "imports.py": "import no_such_module_anywhere\n",
    "indent.py": "def f():\nreturn 1\n",
    "latin.py": b"# \xe9\nx = '\xe9'\n",
    "binary.py": "\0\1\2",
    "empty.py": "",
    "utf16.py": "from minitorch_cnn import nn\nclass Net(nn.Module):\n    pass\n".encode("utf-16"),
}
CLASSES = ("Net", "Wide", "Fails", "Nothing", "Number", "Pair", "Kept", "Closed", "number", "fails", "needs", "deep")
CLASSES += ("forward", "same", "x", "instance", "", "a.b", "é", "__name__", "Net()", "absent")
NAMES = tuple(f"good.py:{name}" for name in CLASSES) + tuple(f"{name}:Net" for name in OWN)
NAMES += (":Net", "good.py", ":", "missing.py:Net", "folder:Net", "good.png:Net", "folder.py:Net", "locked.py:Net")
WRONG = (None, 3, -1, 0, 1.5, "", "x", [], [1], {}, True, float("nan"), 1e999, 10**30, ["a"] * 10, [[1]], {"a": None})
MADE = 40  # models and checkpoints of which one entry is of another type


def paths_in(tree, path=()):
    """Yield the path of every entry of nested dicts and lists."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from paths_in(value, (*path, key))


def altered(tree, rng):
    """Return a copy of nested dicts and lists in which one entry is missing or of another type."""
    tree, places = copy.deepcopy(tree), list(paths_in(tree))
    *parents, last = places[rng.integers(len(places))]
    branch = tree
    for parent in parents:
        branch = branch[parent]
    if rng.random() < 0.15:
        del branch[last]
    else:
        branch[last] = WRONG[rng.integers(len(WRONG))]
    return tree


def prepare(folder):
    """Fill a folder; training stops after a step, and `data.Shapes10` should be small."""
    rng, folder = np.random.default_rng(0), pathlib.Path(folder)
    for name, text in OWN.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "folder").mkdir()
    (folder / "folder.py").mkdir()
    _pictures(folder, rng)
    _runs(folder, rng)
    _weights(folder, rng)
    _cifar(folder, rng)
    exercises.start("relu", folder / "relu.py")
    text = (folder / "relu.py").read_text()
    for name, body in (("right", "x * (x > 0)"), ("none", "None"), ("loop", "deep()"), ("stop", "exit(3)")):
        (folder / f"{name}_relu.py").write_text(re.sub(r"raise NotImplementedError\(.*?\)\n", f"return {body}\n", text))
    for name, content in (("locked.png", "good.png"), ("locked.py", "good.py"), ("locked.pth", "good.pth")):
        shutil.copy(folder / content, folder / name)
        (folder / name).chmod(0)
    shutil.copytree(folder / "run", folder / "locked")
    (folder / "locked").chmod(0)
    (folder / "read_only").mkdir()
    (folder / "read_only").chmod(0o555)
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling.png").symlink_to("nowhere.png")


def _pictures(folder, rng):
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / "good.png")
    Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 256, (3, 50, 3), np.uint8)).save(folder / "flat.jpg")
    Image.fromarray(rng.integers(0, 60000, (9, 9), np.uint16)).save(folder / "wide.tiff")
    content = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "head.png").write_bytes(content[:20])
    (folder / "flipped.png").write_bytes(content[:60] + bytes([content[60] ^ 0xFF]) + content[61:])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture", encoding="utf-16")
    (folder / "noise.jpg").write_bytes(rng.bytes(3000))
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    (folder / "huge.png").write_bytes(huge + content[29:])


def _runs(folder, rng):
    """Train two runs, one of a network of the user's own; then make runs in which one thing is wrong."""
    shapes = data.Shapes10(train=True)
    recipe = train.recipe("lenet5_cifar", epochs=1)
    for name, model in (("run", None), ("own", str(folder / "good.py:Net"))):
        trainer = train.Trainer(recipe, shapes, folder / name, model=model, workers=0, seed=1)
        trainer.fit()
        trainer.final_eval(data.Shapes10(train=False))
    shutil.copytree(folder / "run", folder / "stopped")
    for name in ("result.json", "model.safetensors"):
        (folder / "stopped" / name).unlink()
    shutil.copy(folder / "run" / "model.safetensors", folder / "model.safetensors")
    shutil.copytree(folder / "run", folder / "runs" / "first")
    (folder / "outer" / "runs").mkdir(parents=True)
    shutil.copytree(folder / "stopped", folder / "outer" / "runs" / "first")
    for name, text in (("brace", "{"), ("list", "[]"), ("utf16", "{}".encode("utf-16")), ("number", "NaN")):
        shutil.copytree(folder / "run", folder / f"result_{name}")
        for file in ("result.json", "run.jsonl"):
            content = text if isinstance(text, bytes) else text.encode()
            (folder / f"result_{name}" / file).write_bytes(content)
    result = json.loads((folder / "run" / "result.json").read_text())
    checkpoint = max((folder / "run").glob("checkpoint-*"))
    for name, content in (("models", folder / "model.safetensors"), ("checkpoints", checkpoint)):
        arrays, metadata = weights.load(content)
        whole = content.read_bytes()
        for i in range(MADE):
            place = folder / f"{name}{i}"
            place.mkdir()
            file = place / ("model.safetensors" if name == "models" else checkpoint.name)
            if i % 5 == 0:
                file.write_bytes(whole[: int(rng.integers(len(whole)))])
            else:
                weights.save(file, arrays, altered(metadata, rng))
        (folder / f"results{len(name)}").mkdir()
        shutil.copy(folder / "model.safetensors", folder / f"results{len(name)}")
        (folder / f"results{len(name)}" / "result.json").write_text(json.dumps(altered(result, rng)))


def _weights(folder, rng):
    for name in ("noise.safetensors", "noise.pth", "noise.zip"):
        (folder / name).write_bytes(rng.bytes(1000))
    for name in ("empty.safetensors", "empty.pth"):
        (folder / name).write_bytes(b"")
    arrays = models.create("lenet5_cifar").state_dict()
    weights.save_pth(folder / "good.pth", arrays)
    weights.save(folder / "bare.safetensors", arrays)
    whole = (folder / "good.pth").read_bytes()
    (folder / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.zip").write_bytes(whole[-300:])
    (folder / "old.pth").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    weights.save_pth(folder / "odd.pth", {"a": np.zeros((0, 3)), "b": np.float32([np.nan, np.inf])})
    (folder / "as.safetensors").write_bytes(whole)


def _cifar(folder, rng):
    for name in ("cifar-10-batches-bin", "cifar/cifar-10-batches-py"):
        (folder / name).mkdir(parents=True)
    for part in ("data_batch_1.bin", "test_batch.bin"):
        (folder / "cifar-10-batches-bin" / part).write_bytes(rng.bytes(3073 * 3))
    (folder / "cifar" / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x04]\x94.")
    (folder / "noise.tar.gz").write_bytes(b"\x1f\x8b" + rng.bytes(400))


FILES = ("good.png", "grey.png", "flat.jpg", "wide.tiff", "cut.png", "head.png", "flipped.png", "empty.png", "text.png")
FILES += (
    "noise.jpg",
    "huge.png",
    "folder",
    "missing",
    "good.png/x",
    "-",
    "locked.png",
    "loop.png",
    "dangling.png",
    "loop",
)
FILES += (
    "/dev/null",
    ".",
    "..",
    "a" * 300,
    "\udcff.png",
    "é.png",
    "",
    " ",
    "folder/",
    "/proc/self/mem",
    "/\0x",
    "~",
    "*",
)
RUNS = ("run", "stopped", "own", "model.safetensors", "outer", "locked", "result_brace", "result_list", "result_utf16")
RUNS += ("result_number", "results6")
RUNS += ("results11", "bare.safetensors", "noise.safetensors", "empty.safetensors", "read_only")
RUNS += ("good.pth", "cut.pth", "old.pth", "odd.pth", "noise.pth", "empty.pth", "cut.zip", "as.safetensors")
RUNS += ("locked.pth", "folder", "missing", "good.png", "loop", "/dev/null", "run/run.jsonl", "stopped/", "cifar")
ALTERED = tuple(f"{name}{i}" for name in ("models", "checkpoints") for i in range(MADE))
DATA = (
    "shapes10",
    "shapes10",
    "shapes10",
    "shapes10",
    "cifar10",
    "cifar",
    "cifar-10-batches-bin",
    "noise.tar.gz",
    "shape10",
)
DATA += ("CIFAR10", "folder", "good.png", "missing", "", "é" * 200, "loop", "locked", "/dev/null", "run")
EXERCISES = (
    "right_relu.py",
    "relu.py",
    "none_relu.py",
    "right_relu.py",
    "loop_relu.py",
    "stop_relu.py",
    *OWN,
    "folder",
    "missing.py",
)
EXERCISES += ("locked.py", "good.png", "", "folder.py", "/dev/null", "é.py", "a" * 300 + ".py")


def stop_after_two_steps(step):
    """Return `Trainer.step` with a Ctrl-C after the second step of a training of several epochs."""

    def stopping(self, *batch):
        step(self, *batch)
        if self.progress.step >= 2 and self.recipe.epochs > 1:
            os.kill(os.getpid(), signal.SIGINT)

    return stopping
