"""`mcnn lecture`: a deck of slides in one file, from the text that is shipped or from your own."""

import argparse
import pathlib

from minitorch_cnn.cli.errors import UsageError, sentence
from minitorch_cnn.cli.options import check_output, classifier_code, is_own, run_code, test_source
from minitorch_cnn.cli.parser import set_command
from minitorch_cnn.display import shell
from minitorch_cnn.hints import hint

IMAGES = 24  # test images of a run in the page


def add_commands(commands):
    """Add ``mcnn lecture`` with ``new`` and ``build``."""
    parser = commands.add_parser(
        "lecture",
        help="write a lecture as one page of slides that compute",
        description="Write a lecture on convolutional networks as one HTML file. It opens by a double click, and every "
        "figure computes. Press ? in the page for its keys.",
        examples=("mcnn lecture", "mcnn lecture --run runs/cifar4-1 -o cifar.html", "mcnn lecture new my-lecture"),
    )
    _add_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=False)
    new = actions.add_parser(
        "new",
        help="copy the text of the lecture, to be edited",
        description="Copy the Markdown files of the lecture into a new folder. Change, translate, remove or add "
        "slides there, and build them.",
        examples=("mcnn lecture new my-lecture",),
    )
    new.add_argument("folder", metavar="DIR", help="the folder to make")
    set_command(new, _new, _new_code)
    build = actions.add_parser(
        "build",
        help="build a lecture from a folder of Markdown",
        description="Build the page of a lecture from a folder that `mcnn lecture new` made.",
        examples=("mcnn lecture build my-lecture -o my-lecture.html",),
    )
    build.add_argument("folder", metavar="DIR", help="a folder of Markdown files")
    _add_options(build)


def _add_options(parser):
    parser.add_argument(
        "--run", dest="model", metavar="RUN", help="a trained network for the figures (default: a small one)"
    )
    parser.add_argument(
        "--network",
        dest="own",
        action="append",
        type=_own,
        default=[],
        metavar="NAME=FILE:NAME",
        help="the class or function of your own network, where its file was moved or changed since its run; before =, "
        "its name in deck.toml, or yours for the network of --run",
    )
    parser.add_argument("-o", dest="output", metavar="FILE", default="lecture.html", help="(default: lecture.html)")
    parser.set_defaults(kinds=(".html",), folder=None, data=None, network=None, unverified=False, skip_broken=False)
    set_command(parser, _build, _build_code)


def _own(text):
    """Parse the name of a network of the lecture, and where its code is."""
    name, _, place = text.partition("=")
    if not (name and is_own(place)):
        expected = "expected the network's name in deck.toml and its file, such as pets=own.py:Net"
        raise argparse.ArgumentTypeError(f"{expected}, got {text!r}")
    return name, place


def _new(arguments):
    from minitorch_cnn import explain

    try:
        explain.copy_lecture(arguments.folder)
    except ValueError as error:
        raise UsageError(f"mcnn lecture new: {str(error).removeprefix('copy_lecture: ')}") from error
    build = shell.line("mcnn", "lecture", "build", arguments.folder)
    print(f"{arguments.folder}: edit the .md files, then run: {build}")


def _new_code(arguments):
    return f"from minitorch_cnn import explain\n\nexplain.copy_lecture({arguments.folder!r})\n"


def _build(arguments):
    check_output(arguments)
    try:
        made = run_code(arguments)["page"]
    except ModuleNotFoundError as error:
        if error.name != "markdown_it":
            raise
        raise UsageError(f"mcnn lecture: {error}") from error
    print(f"{arguments.output} - {len(made.slides)} slides, {len(made.html) / 1e6:.1f} MB; open it in a browser")


def _build_code(arguments):
    """Return the program: the networks of the figures first, then the page."""
    from minitorch_cnn.explain import lecture
    from minitorch_cnn.explain.lecture import settings

    runs = {name: str(path) for name, path in lecture.lecture_runs(arguments.folder).items()}
    folder = pathlib.Path(arguments.folder or "")
    places = {name: f"{settings.place(folder, name, 'networks')}: networks: {name}" for name in runs}
    if arguments.model is not None:
        runs["yours"], places["yours"] = arguments.model, "--run"
    own = dict(arguments.own)
    if unknown := next((name for name in own if name not in runs), None):
        known = ", ".join(runs) or "none, as there is neither [networks] nor --run"
        got = f"{unknown!r}{hint(unknown, runs)}"
        raise UsageError(f"{arguments.parser.prog}: --network - expected one of {known}, got {got}")
    lines = "pages = {}\n" if runs else ""
    for name, run in runs.items():
        arguments.model, arguments.network = run, own.get(name)
        lines += _network_code(arguments, name, places[name])
    given = [repr(arguments.folder)] if arguments.folder else []
    given += ["pages=pages"] if runs else []
    imports = "data, explain, train" if runs else "explain"
    built = f"page = explain.build_lecture({', '.join(given)})\npage.save({arguments.output!r})\n"
    return f"from minitorch_cnn import {imports}\n\n{lines}{built}"


def _network_code(arguments, name, place):
    """Return the program that loads a network and its test images; ``place`` begins the message of an error."""
    from minitorch_cnn import train

    prog = arguments.parser.prog
    try:
        loaded, test_set = classifier_code(arguments), test_source(arguments).code(train=False)
    except (UsageError, ValueError, OSError) as error:
        cause = error.__cause__
        problem = sentence(error).removeprefix(f"{prog}: ")
        if isinstance(cause, train.OwnNetworkError):
            problem = f"expected --network {name}={cause.place}, got none: {cause.reason}"
        raise UsageError(f"{prog}: {place} - {problem}") from error
    return (
        f"classifier = {loaded}\n"
        f"test_set = {test_set}\n"
        f"images, labels = test_set.images[:{IMAGES}], test_set.labels[:{IMAGES}]\n"
        f"pages[{name!r}] = explain.explore(classifier, images, labels)\n"
    )
