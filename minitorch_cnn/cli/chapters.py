"""`mcnn chapters`: the chapters of the lecture as notebooks."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.parser import set_command


def add_commands(commands):
    """Add ``mcnn chapters``."""
    parser = commands.add_parser(
        "chapters",
        help="write the chapters of the lecture as notebooks",
        description="Write the chapters of the lecture as notebooks with their results, for Jupyter, Colab or VS Code. "
        "All of them take several minutes.",
        examples=("mcnn chapters -o notebooks", "mcnn chapters examples/07_pooling.py -o notebooks"),
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="programs in the percent format (default: all chapters)"
    )
    parser.add_argument("-o", dest="to", metavar="DIR", default="notebooks", help="(default: notebooks)")
    parser.add_argument("--no-run", action="store_true", help="write them without results, which takes a second")
    set_command(parser, _write, _code)


def _chosen(arguments):
    """Return the files of the command line, or all chapters."""
    from minitorch_cnn.explain.lecture import chapters

    found = arguments.files or [str(path) for path in chapters.chapters()]
    if not found:
        raise UsageError("mcnn chapters: run this in a clone, whose folder examples has the chapters, or name programs")
    return found


def _write(arguments):
    from minitorch_cnn.explain.lecture import chapters

    for file in _chosen(arguments):
        try:
            print(chapters.write_notebook(file, arguments.to, run=not arguments.no_run), flush=True)
        except (ModuleNotFoundError, chapters.ChapterError) as error:
            raise UsageError(f"mcnn chapters: {error}") from error


def _code(arguments):
    run = ", run=False" if arguments.no_run else ""
    return (
        "from minitorch_cnn.explain.lecture import chapters\n\n"
        f"for file in {_chosen(arguments)!r}:\n"
        f"    print(chapters.write_notebook(file, {arguments.to!r}{run}))\n"
    )
