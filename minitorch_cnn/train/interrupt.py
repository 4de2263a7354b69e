"""Requests to stop: the first one finishes the batch and saves, a second Ctrl-C stops now."""

import signal
import threading

from minitorch_cnn.processes import STOP_SIGNALS


class StopOnRequest:
    """A context inside which Ctrl-C, and every other signal that asks a program to end, only sets ``requested``.

    Schedulers send SIGTERM or SIGUSR1 some time before they kill, and a closed terminal sends SIGHUP. A second
    Ctrl-C raises KeyboardInterrupt as usual. Outside the main thread, where Python delivers no signals, nothing
    changes.
    """

    def __init__(self):
        self.requested = False
        self._earlier = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                ignored = number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN
                if not ignored:  # as nohup ignores SIGHUP
                    self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error):
        for number, handler in self._earlier.items():
            # None stands for a handler that was not set from Python, which cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number, frame):
        # Nothing is written here: the signal may have come in the middle of a write.
        self.requested = True
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
