"""What somebody may type after ``mcnn``: lines of good and bad arguments for every command."""

import argparse
import sys

from tests.campaigns import bad_inputs

NUMBERS = ("1", "2", "3", "5", "8", "0", "-1", "1.5", "nan", "inf", "-inf", "1e999", "abc", "", " ", "999999999999")
NUMBERS += ("9" * 40, "0x3", "³", "1_0", " 2", "1e-300", "+3", "--", "1,5", "١")
NETWORKS = ("lenet5", "mlp", "cifar4", "lenet5_cifar", "lenet", "resnet", "resnet9", "Cifar4", "cifar4 ", "", " ")
NETWORKS += ("None", "../x", "nul\0byte", "é" * 300, "shapes10", "transfer", "{x}", "%s", "'", "\n")
LAYERS = ("conv1", "conv2", "0", "fc1", "fc", "", ".", "conv1.weight", "x" * 300, "é", "-1", "conv9", "None")
OUTPUTS = (
    "out.png",
    "out.svg",
    "out.svg",
    "out.gif",
    "out.html",
    "out.txt",
    "out.py",
    "out.pdf",
    "out",
    ".png",
    "folder",
)
OUTPUTS += ("missing/out.png", "good.png/out.png", "", "a" * 300 + ".png", "read_only/out.png", "loop.png", "/dev/null")
OUTPUTS += ("locked/out.png", "é.png", "out.PNG", "./out.svg", "nul\0.png", "-")
FOLDERS = (
    "new",
    "new/deep/run",
    "é/x",
    "read_only/run",
    "run",
    "stopped",
    "own",
    "folder",
    "good.png",
    "good.png/x",
    "",
    "a" * 300,
    "loop",
)
FOLDERS += ("read_only/run", "locked", "/dev/null/x", "é", "-", "nul\0", " ")
POOLS = {  # what is typed for an argument, by its name
    "model": (bad_inputs.RUNS, bad_inputs.ALTERED, NETWORKS, bad_inputs.NAMES),
    "resume": (bad_inputs.RUNS, bad_inputs.ALTERED, FOLDERS),
    "weights": (bad_inputs.RUNS, bad_inputs.ALTERED),
    "images": (bad_inputs.FILES,),
    "data": (bad_inputs.DATA,),
    "source": (bad_inputs.DATA, bad_inputs.FILES),
    "folder": (bad_inputs.DATA, bad_inputs.FILES),
    "file": (bad_inputs.EXERCISES,),
    "output": (OUTPUTS,),
    "run_folder": (FOLDERS,),
    "to": (FOLDERS,),
    "layer": (LAYERS,),
    "freeze_until": (LAYERS,),
    "target": (("0", "3", "disk", "ring", "99", "Disk", "dsk", "", "-1", "1.5", "é"),),
    "family": (("conv", "pool", "norm", "activation", "foo", "", "é", "conv2d"),),
    **dict.fromkeys(("network", "own", "name", "names"), (NETWORKS, bad_inputs.NAMES, bad_inputs.RUNS)),
    "recipe": (NETWORKS, NETWORKS, bad_inputs.NAMES),
}


def commands(parser=None, words=()):
    """Yield (words, parser) of every command, such as (("explain", "conv"), its parser)."""
    parser = parser or sys.modules["minitorch_cnn.cli.main"].all_commands()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, (*words, name))


def line(rng, words, parser):
    """Return one command line: required arguments and some options, most of them bad, some of them twice."""

    good = rng.choice([0, 0.4, 0.9])  # how often a value is one of the first, which are sound

    def value(action):
        if action.choices and rng.random() < 0.8 + good / 5:
            return str(rng.choice(list(action.choices)))
        pools = POOLS.get(action.dest, (NUMBERS, NUMBERS, bad_inputs.NAMES))
        if rng.random() < good:
            return str(pools[0][rng.integers(4)])
        pools = (NUMBERS, NETWORKS, bad_inputs.FILES) if rng.random() < 0.05 else pools
        pool = pools[rng.integers(len(pools))]
        return str(pool[rng.integers(len(pool))])

    made, share = list(words), rng.choice([0.08, 0.15, 0.3])
    for action in parser._actions:
        if not action.option_strings and rng.random() < 0.95:
            made += [value(action) for _ in range(rng.integers(1, 4) if action.nargs in ("+", "*") else 1)]
        elif action.option_strings and action.dest not in ("help", "show_code") and rng.random() < share:
            for _ in range(1 + (rng.random() < 0.05)):
                name = action.option_strings[-1]
                values = [] if action.nargs == 0 else [value(action) for _ in range(1 if action.nargs is None else 2)]
                joined = values and name.startswith("--") and rng.random() < 0.1
                made += [f"{name}={values[0]}", *values[1:]] if joined else [name, *values]
    if rng.random() < 0.07:
        made.append("--show-code")
    if rng.random() < 0.03:
        made.insert(
            int(rng.integers(len(words), len(made) + 1)), str(rng.choice(["--no-such", "-x", "--", "--sed", "é"]))
        )
    return made
