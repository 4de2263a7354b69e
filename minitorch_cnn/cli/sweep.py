"""`mcnn sweep`: trainings with several values of some options, judged by images that are held out."""

import contextlib
import io
import itertools
import json
import math
import os
import re
import sys
import tempfile

from minitorch_cnn.cli import train, training
from minitorch_cnn.cli.errors import EXIT_DIVERGED, EXIT_STOPPED, UsageError, explain
from minitorch_cnn.cli.parser import Parser, integer, set_command
from minitorch_cnn.cli.recipe_options import ONE_VALUE
from minitorch_cnn.cli.streams import say
from minitorch_cnn.display import shell

_SWEPT = "lr", *ONE_VALUE, "epochs", "recipe", "model", "image_size", "seed"  # options of `mcnn train`
_KEPT = "--run", "--resume", "--more", "--find-lr"  # options of `mcnn train` that a sweep sets itself, or cannot use
_RECORD, _CHART = "sweep.json", "runs.png"  # in the folder of a sweep
_HELD_OUT = 10  # one training image of this many is held out, unless --holdout says how many


def add_commands(commands):
    """Add ``mcnn sweep``."""
    parser = commands.add_parser(
        "sweep",
        help="train with several settings, and tell which is best",
        description="Train once for every combination of the values that are given, with commas between them, or for N "
        "combinations drawn at random. What follows -- are options of mcnn train for all of them. Images held out of "
        "the training images judge, by default a tenth; the test set stays unread. Each run has its own folder in that "
        "of the sweep, which mcnn runs lists too.",
        examples=(
            "mcnn sweep --lr 0.001,0.01 --weight-decay 0,1e-4 -- --data shapes10 --epochs 2",
            "mcnn sweep --lr 1e-4..1e-1 --random 5 -- --recipe mlp --data shapes10",
        ),
    )
    parser.more_options = "; options of mcnn train come after --, as in the examples of mcnn sweep --help"
    for name in _SWEPT:
        option = _option(name)
        parser.add_argument(option, metavar="V,V", help=f"values of {option}; LOW..HIGH with --random")
    parser.add_argument(
        "--random",
        type=integer(1),
        metavar="N",
        help="draw N combinations: of values evenly, from LOW..HIGH evenly on a logarithmic scale; whole numbers where "
        "both ends are",
    )
    parser.add_argument("--run", dest="run_folder", metavar="DIR", help="new folder (default: runs/sweep-1, -2, ...)")
    parser.add_argument("--resume", metavar="DIR", help="continue the sweep in this folder after an interruption")
    parser.add_argument("words", nargs="*", metavar="-- OPTIONS", help="options of mcnn train for all runs")
    set_command(parser, _run, _code)


def _option(name):
    return "--" + name.replace("_", "-")


# -------------------------------------------------------------------- what is to be trained


def _points(arguments):
    """Return the combinations of values, each as a dict from option to text."""
    texts = {_option(name): getattr(arguments, name) for name in _SWEPT if getattr(arguments, name) is not None}
    if not texts:
        raise UsageError("mcnn sweep: give the values of an option, such as --lr 0.001,0.01")
    axes = {option: _axis(option, text) for option, text in texts.items()}
    if arguments.random is not None:
        points = [{option: _drawn(axis, i, option) for option, axis in axes.items()} for i in range(arguments.random)]
        return list({tuple(point.items()): point for point in points}.values())  # none twice
    for option, axis in axes.items():
        if isinstance(axis, tuple):
            raise UsageError(f"mcnn sweep: add --random N to {option} {texts[option]}: a range has no end of values")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _axis(option, text):
    """Return the values of an option as a list of texts, or a range as a tuple of two numbers, whole ones as int."""
    if ".." in text and "/" not in text:  # not of a path
        try:
            low, high = map(float, text.split(".."))
        except ValueError:
            low = high = math.nan
        if not 0 < low < high < math.inf:
            raise UsageError(f"mcnn sweep: {option} - expected LOW..HIGH of two positive numbers, got {text!r}")
        return tuple(int(end) if end.strip().isdecimal() else float(end) for end in text.split(".."))
    values = [value.strip() for value in text.split(",")]
    if "" in values or len(set(values)) < len(values):
        raise UsageError(f"mcnn sweep: {option} - expected different values with commas between them, got {text!r}")
    return values


def _drawn(axis, i, option):
    """Return the value of an option in the ``i``-th combination that is drawn; it does not depend on other options."""
    import numpy as np

    share = float(np.random.Generator(np.random.PCG64([i, *option.encode()])).random())
    if isinstance(axis, list):
        return axis[int(share * len(axis))]
    low, high = axis
    value = low ** (1 - share) * high**share
    if isinstance(low, int) and isinstance(high, int):
        return str(round(value))
    return f"{min(max(float(f'{value:.2g}'), low), high):g}"


def _name(point):
    """Return the folder of a run: its values, in characters that every file system takes."""
    text = ",".join(f"{option[2:]}={value}" for option, value in point.items())
    return re.sub(r"[^\w.=,+-]", "_", text)


def _parsed(words):
    """Return the arguments of a command line of `mcnn train`."""
    parser = Parser(prog="mcnn")
    train.add_commands(parser.add_subparsers(dest="command"))
    arguments, extras = parser.parse_known_args(["train", *words])
    if extras:
        arguments.parser.unknown(extras)
    return arguments


def _record(arguments):
    """Return what the folder of a sweep records: options of `mcnn train` for all runs, and those of each run."""
    points, words = _points(arguments), arguments.words
    for option in (*_KEPT, *points[0]):
        if any(word.split("=")[0] == option for word in words):
            why = "the sweep gives its values" if option in points[0] else "each run of a sweep is a new one"
            raise UsageError(f"mcnn sweep: leave out {option} after --: {why}")
    held_out, images = [], _check(points, _plans(points, words))
    if _parsed(words).holdout is None:
        held_out = ["--holdout", str(max(images // _HELD_OUT, 1))]
    return {"words": words, "holdout": held_out, "points": points, "diverged": {}}


def _plans(points, words):
    """Return the `Plan` of each run, so that what does not fit is known before the first one is trained."""
    folders, plans = {}, []
    for point in points:
        other = folders.setdefault(_name(point).casefold(), point)
        if other is not point:
            both = " and ".join(" ".join(_words(one)) for one in (other, point))
            raise UsageError(f"mcnn sweep: rename one of {both}: both would train into the folder {_name(point)}")
        arguments = _parsed([*words, *_words(point)])
        arguments.holdout = arguments.holdout or 1  # --early-stop asks for one
        with contextlib.redirect_stderr(io.StringIO()):  # each run says what it is when it begins
            plan = train.planned(arguments)
        plans.append(plan)
    return plans


def _check(points, plans):
    """Make the trainer of each run, which refuses what does not fit; return how many images there are to learn from."""
    from minitorch_cnn import rng

    sets = {}
    for point, plan in zip(points, plans, strict=True):
        if plan.source not in sets:
            sets[plan.source] = plan.source.open(train=True)
        try:
            with tempfile.TemporaryDirectory() as folder, rng.undrawn_weights():
                plan.trainer(sets[plan.source], os.path.join(folder, "run"))
        except (TypeError, ValueError) as error:
            raise UsageError(f"mcnn sweep: {' '.join(_words(point))}: {error}") from error
    return len(next(iter(sets.values())).labels)


def _words(point):
    return [f"{option}={value}" for option, value in point.items()]


def _command(record, point, path):
    """Return the arguments of `mcnn train` for one run of a sweep."""
    return _parsed([*record["words"], *record["holdout"], *_words(point), "--run", path, "--resume", "auto"])


# ------------------------------------------------------------------------------- training it


def _run(arguments):
    if arguments.resume is not None:
        folder, record = arguments.resume, _read(arguments)
    else:
        record = _record(arguments)
        folder = _new_folder(arguments.run_folder)
        _write(folder, record)
    for number, point in enumerate(record["points"], 1):
        if _train(folder, record, point, f"run {number} of {len(record['points'])}: {_name(point)}") == EXIT_STOPPED:
            say(f"the sweep is stopped; continue with: {shell.line('mcnn', 'sweep', '--resume', folder)}")
            return EXIT_STOPPED
    return _conclude(folder, record)


def _new_folder(path):
    from minitorch_cnn.train import RunFolder

    if path is not None:
        return str(RunFolder.create(path).path)
    with training.reserved_folder("sweep") as folder:
        return folder


def _write(folder, record):
    from minitorch_cnn.io import files, json_text

    files.atomic_write(os.path.join(folder, _RECORD), (json_text.dumps(record, indent=2) + "\n").encode())


def _read(arguments):
    """Return the record of the sweep that --resume names."""
    from minitorch_cnn.io import record as form

    for name in (*_SWEPT, "random", "run_folder", "words"):
        if getattr(arguments, name):
            raise UsageError("mcnn sweep: leave out everything but --resume: the sweep in the folder has its settings")
    path = os.path.join(arguments.resume, _RECORD)
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        form.check(record, {"words": [form.text], "holdout": [form.text], "points": [{}], "diverged": {}})
        for point in record["points"]:
            form.check(list(point.values()), [form.text])
    except (OSError, ValueError) as error:
        expected = "expected the folder of a sweep"
        raise UsageError(f"mcnn sweep: --resume - {expected}, got {path} without its record ({error})") from error
    return record


def _train(folder, record, point, title):
    """Train one combination to its end, unless that is done; return the exit code."""
    from minitorch_cnn.train import RunFolder, TrainingDivergedError

    name = _name(point)
    path = os.path.join(folder, name)
    if name in record["diverged"] or RunFolder(path).read_result() is not None:
        return 0
    say(title)
    try:
        arguments = _command(record, point, path)
        with contextlib.redirect_stdout(sys.stderr):  # the table at the end is the result
            return arguments.run(arguments)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except TrainingDivergedError as error:
        record["diverged"][name] = explain(error)[1]
        _write(folder, record)
        say(f"diverged: {error}")
        return EXIT_DIVERGED


def _conclude(folder, record):
    """Print the table, draw the chart, and say which settings are best; return the exit code."""
    from minitorch_cnn import train as library

    made = library.runs(folder).best_first()
    print(made)
    made.save(os.path.join(folder, _CHART))
    for name, text in record["diverged"].items():
        say(f"{name} diverged: {text}")
    finished = [run for run in made.runs if run.finished]
    if not finished:
        return EXIT_DIVERGED
    (best,) = [point for point in record["points"] if _name(point) == finished[0].path.name]
    say(f"curves of all: {os.path.join(folder, _CHART)}")
    say(f"to train with the best settings: {shell.line('mcnn', 'train', *record['words'], *_words(best))}")
    return 0


def _code(arguments):
    if arguments.resume is not None:
        folder, record = arguments.resume, _read(arguments)
    else:
        folder, record = arguments.run_folder or training.free_folder("sweep"), _record(arguments)
    lines = []
    for point in record["points"]:
        path = os.path.join(folder, _name(point))
        lines += [*train.planned(_command(record, point, path)).code(path, ""), "if trainer.fit():"]
        lines += ["    trainer.final_eval()  # judged by the images that are held out"]
    return training.program("data, train", None, [*lines, f"print(train.runs({folder!r}).best_first())"])
