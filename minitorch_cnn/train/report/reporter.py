"""What a person sees while training runs: a bar on a terminal, a few plain lines in a pipe.

All of it goes to standard error: standard output belongs to results.
"""

import sys
import time

PIPE_INTERVAL = 10.0  # seconds between two lines inside an epoch


class Reporter:
    """Shows progress on a stream.

    Parameters
    ----------
    stream : text stream or None
        None takes standard error.
    clock : callable
        Seconds; a test can give its own.
    """

    def __init__(self, stream=None, clock=time.monotonic):
        self.stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._bar = None
        self._next_line = 0.0
        self._compiling = False

    def say(self, text):
        """Write one line, above the bar where there is one."""
        self._end_compiling()
        if self._bar is None:
            print(text, file=self.stream, flush=True)
        else:
            self._bar.write(text, file=self.stream)

    def compiling(self, name, count):
        """Say that kernel ``name``, the ``count``-th of this process, is being compiled."""
        if self.stream.isatty() and self._bar is None:
            print(f"\r\033[Kcompiling kernel {count}: {name}", end="", file=self.stream, flush=True)
            self._compiling = True
        elif self.stream.isatty():
            self._bar.set_postfix_str(f"compiling kernel {count}: {name}")
        elif self._is_time():
            print(f"compiling kernel {count}: {name}", file=self.stream, flush=True)

    def begin(self, recipe, batches, step):
        """Start to show a training.

        Parameters
        ----------
        recipe : Recipe
        batches : int
            Of an epoch.
        step : int
            Steps done already, by the run that this one resumes.
        """
        self._end_compiling()
        self._epochs, self._batches = recipe.epochs, batches
        self._measured_from = step, self._clock()
        self._warm = False
        self._next_line = self._clock() + PIPE_INTERVAL
        if self.stream.isatty():
            from tqdm.std import tqdm  # not tqdm.auto: a notebook gets plain lines

            self._bar = tqdm(
                total=recipe.epochs * batches,
                initial=step,
                file=self.stream,
                unit="batch",
                dynamic_ncols=True,
                smoothing=0.05,
            )

    def step(self, progress):
        """Show the state after a batch; see `Progress`."""
        first, begun = self._measured_from
        seconds = (self._clock() - begun) / (progress.step - first)
        if not self._warm:  # the first step compiles kernels, so the forecast measures from its end on
            self._warm, self._measured_from = True, (progress.step, self._clock())
        if self._bar is None and not self._is_time():
            return
        loss, accuracy = progress.loss_sum / progress.images, progress.correct / progress.images
        if self._bar is not None:
            self._bar.set_description(f"epoch {progress.epoch + 1}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.3f}, accuracy {accuracy:.1%}", refresh=False)
            self._bar.update()
        else:
            seconds_left = (self._epochs * self._batches - progress.step) * seconds
            print(
                f"epoch {progress.epoch + 1}/{self._epochs}, batch {progress.batch}/{self._batches}: "
                f"loss {loss:.3f}, accuracy {accuracy:.1%}, about {duration(seconds_left)} left",
                file=self.stream,
                flush=True,
            )

    def end_epoch(self, record):
        """Write the line of a finished epoch; ``record`` is its line in ``run.jsonl``."""
        held_out = f", held-out accuracy {record['holdout_accuracy']:.1%}" if "holdout_accuracy" in record else ""
        self.say(
            f"epoch {record['epoch']}/{self._epochs} done: loss {record['train_loss']:.3f}, "
            f"accuracy {record['train_accuracy']:.1%}{held_out}, {record['images_per_second']:,.0f} images/s, "
            f"{duration(record['seconds'])} since the start"
        )
        self._next_line = self._clock() + PIPE_INTERVAL

    def end(self):
        """Close the bar."""
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
    """Return seconds as people say them: ``"48 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
