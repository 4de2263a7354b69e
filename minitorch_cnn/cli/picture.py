"""What the commands of `mcnn explain` share: `-o FILE`, text where there is none, and `--show-code`."""

from minitorch_cnn.cli.parser import UsageError, set_command


def add_options(parser, kinds, run, code):
    """Add ``-o`` and ``--show-code`` to a command, and say what it does.

    Parameters
    ----------
    parser : Parser
    kinds : str
        The ends of files that the result can be saved as, such as ".png or .svg".
    run, code : callable
        Take the arguments; one runs the command, the other returns the Python that does the same.
    """
    parser.add_argument("-o", dest="output", metavar="FILE", help=f"a {kinds} file (default: print text)")
    set_command(parser, run, code)


def show(arguments, make, **options):
    """Print what ``make()`` returns, or save it as ``-o``; a ValueError becomes one line.

    Parameters
    ----------
    arguments : Namespace
        Of a command with `add_options`.
    make : callable
        Returns an object with ``save(path)`` and a text by ``str``.
    options
        Of ``save``.

    Raises
    ------
    UsageError
        If the arguments do not fit together, or the end of the file is none that can be written.
    """
    try:
        made = make()
        if arguments.output is None:
            print(made)
        else:
            made.save(arguments.output, **options)
    except ValueError as error:
        raise UsageError(f"{arguments.parser.prog}: {error}") from error


def ending(arguments, **options):
    """Return the last line of ``--show-code`` for a result called ``made``."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return "print(made)\n" if arguments.output is None else f"made.save({arguments.output!r}{given})\n"
