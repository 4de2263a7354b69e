"""Ctrl-C: once to finish the batch and save, twice to stop now."""

import signal
import threading


class StopOnRequest:
    """A context inside which the first Ctrl-C only sets ``requested``.

    The second one raises KeyboardInterrupt as usual. Outside the main thread, where Python delivers
    no signals, nothing changes.
    """

    def __init__(self):
        self.requested = False
        self._earlier = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGINT, self._first)
        return self

    def __exit__(self, *error):
        if self._earlier is not None:
            signal.signal(signal.SIGINT, self._earlier)

    def _first(self, number, frame):
        # Nothing is written here: the signal may have come in the middle of a write.
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
