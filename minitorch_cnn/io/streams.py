"""Streams for progress: what cannot be shown is dropped, and the work continues."""

import io
import os
import sys


class NullStream(io.TextIOBase):
    """A stream that forgets."""

    def write(self, text):
        return len(text)


class ProgressStream:
    """A stream that falls silent, instead of raising, when the one below it cannot be written any more.

    Its terminal was closed, its disk is full, or the reader of its pipe has gone.

    Parameters
    ----------
    stream : text stream or None
        None takes standard error; a program without one, such as a service, writes to nobody.
    """

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr or NullStream()

    def __getattr__(self, name):
        if name.startswith("_"):  # also `_stream` itself, while a copy is being made
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text):
        return self._attempt("write", text)

    def flush(self):
        return self._attempt("flush")

    def _attempt(self, method, *arguments):
        try:
            return getattr(self._stream, method)(*arguments)
        except (OSError, ValueError):  # ValueError: it was closed
            self._stream = NullStream()
            return None


def bar_width(stream):
    """Return the options of a `tqdm` bar for the width of its terminal; one of 0 columns counts as 80.

    There are such terminals in containers, and `tqdm` would show nothing on them.
    """
    try:
        known = os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError, AttributeError):  # no terminal of the system's
        known = True
    return {"dynamic_ncols": True} if known else {"ncols": 80}
