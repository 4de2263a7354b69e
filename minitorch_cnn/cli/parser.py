"""Command lines: parsing, one-line errors, and hints where a name is nearly right."""

import argparse
import math
import textwrap

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.hints import hint

SEEDS = 2**64 - 1  # the largest seed


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what is wrong in one line, and what was probably meant.

    Parameters
    ----------
    description : str
    examples : sequence of str
        Command lines that run as they stand; the help ends with them.
    options
        As for `argparse.ArgumentParser`.

    Attributes
    ----------
    more_options, more_arguments : str
        Where a command takes options of another one, or what is often written as an argument, for the message about
        one that it does not know.
    """

    more_options = more_arguments = ""

    def __init__(self, *args, description="", examples=(), **options):
        super().__init__(
            *args,
            description=textwrap.fill(description, 78),
            epilog="\n".join(["examples:", *(f"  {line}" for line in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the lines of the examples
            allow_abbrev=False,
            **options,
        )

    def error(self, message):
        raise UsageError(f"{self.prog}: {message}")

    def _print_message(self, message, file=None):
        """Print help; argparse itself leaves a text that cannot be written to Python's exit."""
        print(message, end="", file=file, flush=True)

    def _get_values(self, action, arg_strings):
        """Refuse ``--option=--``, of which argparse would make an empty list, and what an unset variable leaves."""
        if action.option_strings and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "expected a value, got '--'")
        if "" in arg_strings and action.nargs != argparse.PARSER:  # a command checks its own words
            raise argparse.ArgumentError(action, "expected a value, got '': is a variable unset?")
        return super()._get_values(action, arg_strings)

    def _check_value(self, action, value):
        """Name the nearest choice; argparse itself does not before Python 3.14."""
        if action.choices is not None and value not in action.choices:
            expected = f"expected one of {', '.join(map(str, action.choices))}, got {value!r}"
            raise argparse.ArgumentError(action, expected + hint(value, action.choices))

    def unknown(self, extras):
        """Raise UsageError for arguments that this command does not know."""
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        first = extras[0].split("=")[0]
        what = "option" if first.startswith("-") else "argument"
        near = hint(first, options, 0.7) or self.more_options if what == "option" else self.more_arguments
        near = "; put it before --" if first in options else near
        self.error(f"unknown {what} {first}{near or f'; see {self.prog} --help'}")


def integer(least, most=1_000_000):
    """Return an argument type: integers from ``least`` to ``most``."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text!r}")
        if value > most:
            raise argparse.ArgumentTypeError(f"expected an integer of at most {most:,}, got {text[:40]!r}")
        return value

    return parse


def positive(text):
    """Parse a positive finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return value


def epochs(text):
    """Parse a number of epochs, at least 1; a whole one becomes an integer."""
    value = number(1)(text)
    if value > 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a number of at most 1,000,000, got {text[:40]!r}")
    return int(value) if value == int(value) else value


def number(least, most=math.inf, below=math.inf):
    """Return an argument type: finite numbers from ``least`` to ``most``, and below ``below``."""

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (least <= value <= most and value < below):
            upper = f"from {least:g} to below {below:g}" if below < math.inf else f"from {least:g} to {most:g}"
            expected = upper if min(most, below) < math.inf else f"of at least {least:g}"
            raise argparse.ArgumentTypeError(f"expected a number {expected}, got {text!r}")
        return value

    return parse


def set_command(parser, run, code):
    """Say what a command does, and add ``--show-code``.

    Parameters
    ----------
    parser : Parser
    run, code : callable
        Take the arguments; one runs the command, the other returns the Python that does the same.
    """
    parser.add_argument("--show-code", action="store_true", help="print the Python that does the same, and stop")
    parser.set_defaults(run=run, code=code, parser=parser)
