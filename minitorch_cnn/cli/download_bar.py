"""How a download shows: a bar on a terminal, a line every ten seconds in a pipe."""

import time

from minitorch_cnn.io.streams import ProgressStream

_INTERVAL = 10.0  # seconds


class DownloadBar:
    """Shows the progress that `files.download` reports.

    Parameters
    ----------
    name : str
    stream : text stream or None
        None takes standard error.
    """

    def __init__(self, name, stream=None):
        self._name, self._stream = name, ProgressStream(stream)
        self._next_line = time.monotonic() + _INTERVAL
        self._shown = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._shown:
            print(file=self._stream)

    def show(self, done, total, rate):
        """Show ``done`` of ``total`` bytes (None if not known) at ``rate`` bytes a second."""
        of_all = f" of {total / 1e6:.0f}" if total else ""
        text = f"{self._name}: {done / 1e6:.0f}{of_all} MB, {rate / 1e6:.1f} MB/s"
        if self._stream.isatty():
            self._shown = True
            print(f"\r\033[K{text}", end="", file=self._stream, flush=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _INTERVAL
            print(text, file=self._stream, flush=True)
