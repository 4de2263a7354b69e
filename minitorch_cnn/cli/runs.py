"""`mcnn runs`: which runs there are, and how they differ."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import check_output, run_code
from minitorch_cnn.cli.parser import set_command
from minitorch_cnn.cli.streams import say
from minitorch_cnn.display import figures

_CHART = "runs.png"  # of a comparison


def add_commands(commands):
    """Add ``mcnn runs``."""
    parser = commands.add_parser(
        "runs",
        help="list runs, or compare some of them",
        description="List the runs in a folder: network, images, epochs, accuracy, time and date. With two runs or "
        "more, also print the settings that differ, and draw the curves of all in one chart.",
        examples=("mcnn runs", "mcnn runs runs/shapes10-1 runs/shapes10-2 -o both.png"),
    )
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="a folder of runs (default: runs), or the runs to compare"
    )
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help=f"draw loss and accuracy of all runs: {', '.join(figures.KINDS)} "
        f"(default: {_CHART} for a comparison, else no chart)",
    )
    parser.set_defaults(kinds=figures.KINDS)
    set_command(parser, _run, _code)


def _run(arguments):
    import os

    if not arguments.folders and not os.path.isdir("runs"):
        raise UsageError("mcnn runs: name a folder of runs: there is no folder runs here; `mcnn train` makes one")
    if len(arguments.folders) > 1 and arguments.output is None:
        arguments.output = _CHART
    check_output(arguments)
    made = run_code(arguments)["made"]
    for sentence in made.broken:
        say(f"left out: {sentence}")


def _code(arguments):
    names, lines = arguments.folders, []
    if len(names) > 1:
        lines = [f"made = train.compare({', '.join(map(repr, names))})", "print(made)", "print()"]
        lines += ["print(made.differences())"]
    else:
        lines = [f"made = train.runs({(names or ['runs'])[0]!r})", "print(made)"]
    if (output := arguments.output or (_CHART if len(names) > 1 else None)) is not None:
        lines += [f"made.save({output!r})"]
    return "\n".join(["from minitorch_cnn import train", "", *lines]) + "\n"
