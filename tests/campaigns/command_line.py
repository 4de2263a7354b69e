"""Bad command lines by the thousand: every command answers in a sentence and with an exit code, never by a traceback.

    python tests/campaigns/command_line.py --tries 10000 --seed 0

All of it runs in this process. Training itself, downloads and measurements are left out: what is tried is
everything before them.
"""

import argparse
import contextlib
import io
import os
import pathlib
import sys
import tempfile
import traceback

import numpy as np
from PIL import Image

from minitorch_cnn import data, explain, models, train
from minitorch_cnn.cli import doctor, ladder, main, race
from minitorch_cnn.testing import mutants

CODES = {0, 1, 2, 3, 130}
NUMBERS = ("1", "2", "3", "5", "0", "-1", "1.5", "nan", "inf", "1e999", "abc", "", " ", "999999999999", "9" * 40)
NUMBERS += ("0x3", "³")
NETWORKS = ("lenet5", "mlp", "cifar4", "lenet", "resnet", "", " ", "None", "../x", "nul\0byte", "é" * 300)
OWN = {
    "good.py": "from minitorch_cnn import nn\nclass Net(nn.Sequential):\n    def __init__(self, num_classes=10):\n"
    "        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, num_classes))\n"
    "def number():\n    return 3\ndef fails():\n    raise OSError('no')\ndef needs(argument):\n    return argument\n"
    "x = 3\n"
    "def forward(x, weight, bias, **hyper):\n    return x\n",
    "syntax.py": "def (\n",
    "raises.py": "1 / 0\n",
    "binary.py": "\0\1\2",
}
NAMES = ("good.py:Net", "good.py:number", "good.py:fails", "good.py:needs", "good.py:x", "good.py:", ":Net")
NAMES += ("good.py:a.b", "good.py", "syntax.py:Net", "raises.py:Net", "binary.py:Net", "missing.py:Net", "folder:Net")
NAMES += ("good.png:Net",)
FILES = ("good.png", "grey.png", "broken.png", "empty", "folder", "missing", "noise.safetensors", "noise.pth")
FILES += ("good.py", "model.safetensors", "run", "damaged", "unfinished", "good.png/x", "a" * 300, "-", "\udcff.png")
OUTPUTS = ("out.png", "out.svg", "out.pdf", "out", ".png", "folder", "missing/out.png", "good.png/out.png", "")
OUTPUTS += ("a" * 300 + ".png",)


def prepare(folder):
    """Fill a folder with good and bad files, run folders among them."""
    rng, folder = np.random.default_rng(0), pathlib.Path(folder)
    for name, text in OWN.items():
        (folder / name).write_text(text)
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    for name in ("noise.safetensors", "noise.pth"):
        (folder / name).write_bytes(rng.bytes(1000))
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / "good.png")
    Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(folder / "grey.png")
    content = (folder / "good.png").read_bytes()
    (folder / "broken.png").write_bytes(content[: len(content) // 2])
    classes = data.Shapes10(train=False, size=10).classes
    architecture = {"name": "mlp", "num_classes": 10, "image_size": 32}
    metadata = {"architecture": architecture, "classes": list(classes), "mean": [0.5] * 3, "std": [0.3] * 3}
    train.Classifier(models.create("mlp"), metadata).save(folder / "model.safetensors")
    for name in ("run", "damaged", "unfinished"):
        (folder / name).mkdir()
    (folder / "run" / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "run" / "result.json").write_text("{")
    (folder / "damaged" / "model.safetensors").write_bytes(b"\0" * 100)
    (folder / "damaged" / "checkpoint-000000001.safetensors").write_bytes(rng.bytes(300))
    (folder / "unfinished" / "run.jsonl").write_text("[]")


@contextlib.contextmanager
def without_long_work():
    """Leave out what takes long or asks the network; the command line up to there stays what it is."""

    def stopped(self):
        return False

    def no_measurement(*arguments, **options):
        raise ValueError("no measurements in this campaign")

    def no_download(*arguments, **options):
        raise OSError("no network in this campaign")

    replaced = [
        (train.Trainer, "fit", stopped),
        (data, "fetch", no_download),
        (models, "load_pretrained", no_download),
        (doctor, "_report", lambda: None),
        (mutants, "select", lambda family=None: []),
        (mutants, "trial", lambda family=None: []),
        (explain, "gradient_norms", no_measurement),
        (explain, "shift_sensitivity", no_measurement),
        (ladder, "run", lambda arguments: None),
        (race, "race", lambda *arguments, **options: {}),
        (data, "Shapes10", lambda train=True, size=None, draw=data.Shapes10: draw(train=train, size=64)),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)


def commands(parser=None, words=()):
    """Yield (words, parser) of every command, such as (("explain", "conv"), its parser)."""
    parser = parser or sys.modules["minitorch_cnn.cli.main"]._parser()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, (*words, name))


def line(rng, words, parser):
    """Return one command line: required arguments and some options, most of them bad."""

    def value(action):
        if action.choices and rng.random() < 0.7:
            return str(rng.choice(list(action.choices)))
        pools = (NUMBERS, NETWORKS, NAMES, FILES)
        if action.dest in ("output", "run_folder"):
            pools = (OUTPUTS,)
        elif action.dest in ("name", "names", "network", "own", "model", "recipe"):
            pools = (NETWORKS, NAMES, FILES)
        elif action.type is not None:
            pools = (NUMBERS, NUMBERS, NAMES)
        pool = pools[rng.integers(len(pools))]
        return str(pool[rng.integers(len(pool))])

    made = list(words)
    for action in parser._actions:
        if not action.option_strings and rng.random() < 0.93:
            made += [value(action) for _ in range(rng.integers(1, 4) if action.nargs in ("+", "*") else 1)]
        elif action.option_strings and action.dest != "help" and rng.random() < 0.3:
            made.append(action.option_strings[-1])
            if action.nargs != 0:
                made += [value(action) for _ in range(1 if action.nargs is None else 2)]
    if rng.random() < 0.05:
        made.insert(int(rng.integers(len(words), len(made) + 1)), "--no-such-option")
    return made


def attempt(words):
    """Run one command line; return None, or what is wrong with its end."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit:  # --help, --version
        return None
    except Exception:
        return traceback.format_exc()
    if code not in CODES:
        return f"exit code {code!r}"
    if "Traceback" in err.getvalue() or (code and not err.getvalue().strip()):
        return f"exit code {code}, standard error {err.getvalue()!r}"
    return None


def campaign(tries, seed, say=print, trace=lambda words: None):
    """Try ``tries`` lines of every command; return the failures as (words, what is wrong)."""
    failures, start = [], os.getcwd()
    with tempfile.TemporaryDirectory() as folder, without_long_work():
        prepare(folder)
        os.chdir(folder)
        try:
            for number, (words, parser) in enumerate(commands()):
                rng = np.random.default_rng([seed, number])
                for _ in range(tries):
                    made = line(rng, words, parser)
                    trace(made)
                    if (wrong := attempt(made)) is not None:
                        failures.append((made, wrong))
                        say(f"mcnn {' '.join(map(repr, made))}\n{wrong}")
        finally:
            os.chdir(start)
    return failures


def run(arguments=None):
    """Run the campaign from the command line; exit code 1 if there was a failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1000, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    failures = campaign(options.tries, options.seed)
    count = len(list(commands()))
    print(f"{options.tries} lines of each of {count} commands, seed {options.seed}: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run())
