"""Standard output and standard error, which may be closed, full, or a pipe that nobody reads any more."""

import contextlib
import io
import os
import pathlib
import sys
import warnings


def say(text):
    """Write a line to standard error, or drop it if it cannot be written: the work itself continues."""
    if sys.stderr is not None:  # else `print` would take standard output
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def warnings_in_words():
    """Write warnings of the library as a line of their text, without the place in its code, and none of Pillow's.

    Pillow warns of unusual contents of files that it reads nevertheless, in words about its own code.
    """

    def show(message, category, filename, lineno, file=None, line=None):
        if not category.__module__.startswith("PIL") and "PIL" not in pathlib.PurePath(filename).parts:
            say(f"mcnn: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def escape_unknown():
    """Let standard output write what its encoding lacks, such as in names that are not valid text, as ``\\udcff``."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def print_json(value):
    """Print JSON; NaN and infinities become null, and an entry "not_finite" next to them tells which they were."""
    from minitorch_cnn.io import json_text

    print(json_text.dumps(value, indent=2))


def give_up_broken():
    """Point a standard stream that cannot be written to the null device, or Python complains once more at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
