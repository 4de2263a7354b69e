"""What a user sees while training runs: a bar on a terminal, a few plain lines in a pipe.

All of it goes to standard error: standard output belongs to results.
"""

import collections
import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minitorch_cnn import arguments
from minitorch_cnn.io.streams import NullStream, ProgressStream, bar_width

if TYPE_CHECKING:
    from minitorch_cnn.train.recipes import Recipe
    from minitorch_cnn.train.state import Progress

PIPE_INTERVAL = 10.0  # seconds between two lines inside an epoch
_ENOUGH = 5  # steps that a forecast is made of, at least
_RECENT = 50  # steps, at most: other programs may come and go
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
_KERNEL_BAR = "{desc}: {n_fmt}/{total_fmt}|{bar}| [{elapsed}]"


class Reporter:
    """Shows progress on a stream.

    Parameters
    ----------
    stream : text stream or None
        None takes standard error. One that cannot be written any more stops no training: the rest is not shown.
    clock : callable
        Seconds; a test can give its own.

    Notes
    -----
    The forecast is the median of the latest steps times the steps that are left. Steps in which a kernel was
    compiled, the first step, and the time between two epochs are not counted.
    """

    def __init__(self, stream: Any = None, clock: Callable[[], float] = time.monotonic):
        self.stream = ProgressStream(stream)
        self._clock = clock
        self._bar = None
        self._next_line = 0.0
        self._compiling = False
        self._step_began = None
        self._seconds = collections.deque(maxlen=_RECENT)

    def say(self, text: str) -> None:
        """Write one line, above the bar where there is one."""
        self._end_compiling()
        if self._bar is None:
            print(text, file=self.stream, flush=True)
        else:
            self._bar.write(text, file=self.stream)

    def compiling(self, name: str, count: int) -> None:
        """Say that kernel ``name``, the ``count``-th of this process, is being compiled."""
        self.restart_clock()
        text = f"compiling kernel {count} (the first time only): {name}"
        if self.stream.isatty() and self._bar is None:
            print(f"\r\033[K{text}", end="", file=self.stream, flush=True)
            self._compiling = True
        elif self.stream.isatty():
            self._bar.set_postfix_str(text)
        elif self._is_time():
            print(text, file=self.stream, flush=True)

    def compiled(self, done: int, count: int) -> None:
        """Show that ``done`` of ``count`` kernels are compiled, all of them before the first step."""
        if not self.stream.isatty():
            if done in (0, count):
                self.say(f"compiled {done} of {count} kernels; only the first run needs to")
        elif self._bar is None:
            self._bar = self._new_bar(count, "compiling kernels, the first time only", _KERNEL_BAR)
        else:
            self._bar.update(done - self._bar.n)
        if done == count:
            self.end()

    def part_done(self, what: str, done: int, count: int) -> None:
        """Show the progress of work before the first step: ``done`` of ``count`` images."""
        if self.stream.isatty() or self._is_time() or done == count:
            self.say(f"{what}: {done:,} of {count:,} images")

    def begin(self, recipe: "Recipe", batches: int, step: int, steps: int) -> None:
        """Start to show a training.

        Parameters
        ----------
        recipe : Recipe
        batches : int
            Of an epoch.
        step : int
            Steps that the resumed run has done before.
        steps : int
            Steps that it will have done at its end.
        """
        self.end()
        self._epochs, self._batches = math.ceil(recipe.epochs), batches
        self._steps = steps
        self.restart_clock()
        self._seconds.clear()
        self._next_line = self._clock() + PIPE_INTERVAL
        if self.stream.isatty():
            self._bar = self._new_bar(self._steps, None, _BAR, initial=step)

    def _new_bar(self, total, text, bar_format, **options):
        from tqdm.std import tqdm  # not tqdm.auto: a notebook gets plain lines

        options |= bar_width(self.stream)
        return tqdm(desc=text, total=total, file=self.stream, bar_format=bar_format, **options)

    def restart_clock(self) -> None:
        """Leave the time of the running step out of the forecast: something other than the step took it."""
        self._step_began = None

    def step(self, progress: "Progress") -> None:
        """Show the state after a batch; see `Progress`."""
        now = self._clock()
        if self._step_began is not None:
            self._seconds.append(now - self._step_began)
        self._step_began = now
        if self._bar is None and not self._is_time():
            return
        loss, accuracy = progress.loss_sum / progress.images, progress.correct / progress.images
        left = self._time_left(self._steps - progress.step)
        if self._bar is not None:
            self._bar.set_description_str(f"epoch {progress.epoch + 1}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(f"{left}, loss {loss:.3f}, accuracy {accuracy:.1%}", refresh=False)
            self._bar.update()
        else:
            print(
                f"epoch {progress.epoch + 1}/{self._epochs}, batch {progress.batch}/{self._batches}: "
                f"loss {loss:.3f}, accuracy {accuracy:.1%}, {left}",
                file=self.stream,
                flush=True,
            )

    def seconds_left(self, steps: int) -> float | None:
        """Return the forecast for ``steps`` steps in seconds, or None before enough of them were measured."""
        if len(self._seconds) < _ENOUGH:
            return None
        return steps * statistics.median(self._seconds)

    def _time_left(self, steps):
        """Return how long the remaining steps will take, as text."""
        seconds = self.seconds_left(steps)
        return "measuring the time left" if seconds is None else f"about {duration(seconds)} left"

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Write the line of a finished epoch; ``record`` is its line in ``run.jsonl``."""
        held_out = f", held-out accuracy {record['holdout_accuracy']:.1%}" if "holdout_accuracy" in record else ""
        self.say(
            f"epoch {record['epoch']}/{self._epochs} done: loss {record['train_loss']:.3f}, "
            f"accuracy {record['train_accuracy']:.1%}{held_out}, {record['images_per_second']:,.0f} images/s, "
            f"{duration(record['seconds'])} since the start"
        )
        self.restart_clock()
        self._next_line = self._clock() + PIPE_INTERVAL

    def end(self) -> None:
        """Close the bar, and clear the line about compiling."""
        self._end_compiling()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _is_time(self):
        now = self._clock()
        if now < self._next_line:
            return False
        self._next_line = now + PIPE_INTERVAL
        return True

    def _end_compiling(self):
        if self._compiling:
            print("\r\033[K", end="", file=self.stream, flush=True)
            self._compiling = False


def duration(seconds):
    """Return seconds as text: ``"48 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def given_reporter(reporter: Reporter | None, rank: int) -> Reporter:
    """Return where a trainer shows progress: on rank 0 as given, by default on standard error, elsewhere nowhere."""
    reporter = Reporter() if reporter is None else reporter
    arguments.instance("Trainer", Reporter, reporter=reporter)
    return Reporter(NullStream()) if rank else reporter
