"""What `mcnn train` and `mcnn transfer` share: from a trainer to the line of the result."""

import contextlib
import itertools
import os.path
import sys

from minitorch_cnn.cli import errors
from minitorch_cnn.cli.errors import EXIT_STOPPED, FailedError


def given(options):
    """Return the entries of a dict that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def say(text):
    """Write a line to standard error."""
    print(text, file=sys.stderr, flush=True)


def say_no_cifar10(network):
    """Say that CIFAR-10 is not here, and that ``network`` is trained on shapes10 instead."""
    from minitorch_cnn.data import cifar10

    say(f"no CIFAR-10 in {cifar10.default_folder()}: `mcnn data get` fetches it, --data DIR names another folder.")
    say(f"Training {network} on shapes10 instead, which needs no download.")


def free_folder(name):
    """Return the first of runs/NAME-1, -2, ... that is not there yet."""
    return next(path for i in itertools.count(1) if not os.path.exists(path := os.path.join("runs", f"{name}-{i}")))


def train_to_the_end(command, make, place, folder, tested):
    """Train, judge, and print the result.

    Parameters
    ----------
    command : str
        Whose errors these are.
    make : callable
        Returns a Trainer for (train_set, reporter).
    place : Source
    folder : str
        Of the run.
    tested : bool
        Whether the test set is looked at in the end.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    UsageError, FailedError
        If the arguments do not fit together; if something outside fails while it trains.
    """
    import minitorch_kernels as kernels
    from minitorch_cnn import train

    reporter = train.Reporter()
    forget = kernels.runtime.jit.on_compile(reporter.compiling)
    try:
        train_set = place.open(train=True)
        try:
            trainer = make(train_set, reporter)
        except (ValueError, TypeError) as error:
            if type(error) not in (ValueError, TypeError, train.OwnNetworkError):
                raise  # those that have a name of their own say it all
            raise errors.usage(f"mcnn {command}", error) from error
        with _telling_how_to_go_on(trainer):
            if not trainer.fit():
                say(f"stopped after batch {trainer.progress.step} and saved; go on by: mcnn train --resume {folder}")
                return EXIT_STOPPED
            result = trainer.final_eval(place.open(train=False) if tested else None)
    finally:
        reporter.end()
        forget()
    print(summary(result, folder))
    return 0


@contextlib.contextmanager
def _telling_how_to_go_on(trainer):
    """Turn failures of the machine and of worker processes into a FailedError that names the command to go on by."""
    from minitorch_cnn import data, train

    try:
        yield
    except train.FolderGoneError as error:
        raise FailedError(f"{error}; go on by: mcnn train --resume {error.rescued}") from error
    except (OSError, MemoryError, data.WorkerError) as error:
        path, checkpoints = trainer.folder.path, trainer.checkpoints.paths()
        text = errors.sentence(error)
        if checkpoints:
            step = int(checkpoints[0].stem.partition("-")[2])
            text += f"; step {step} is saved: go on by: mcnn train --resume {path}"
        raise FailedError(text) from error


def summary(result, folder):
    """Return ``result.json`` as a line."""
    kind = "test" if result["test_reads"] else "holdout"
    accuracy, loss = result[f"{kind}_accuracy"], result[f"{kind}_loss"]
    unverified = "" if result["verified"] else " (unverified images)"
    return (
        f"{kind} accuracy {accuracy:.2%}, loss {loss:.4f}: {result['recipe']} on {result['dataset']}{unverified}, "
        f"{result['epochs']} epochs in {result['seconds']:.0f} s, seed {result['seed']}; "
        f"{os.path.join(folder, 'result.json')}"
    )


def code(imports, threads, lines, place, tested):
    """Return the Python of a training: ``lines`` make the trainer, the rest is the same for all."""
    head = [f"from minitorch_cnn import {imports}", ""]
    if threads is not None:
        head = ["import minitorch_cnn", *head, f"minitorch_cnn.set_num_threads({threads})"]
    kind, test_set = ("test", place.code(train=False)) if tested else ("holdout", "")
    tail = [
        "if trainer.fit():  # False after Ctrl-C",
        f"    result = trainer.final_eval({test_set})",
        f"    print('{kind} accuracy', result['{kind}_accuracy'])",
    ]
    return "\n".join([*head, *lines, *tail]) + "\n"


def arguments_code(options):
    """Return a dict as further keyword arguments of a call."""
    return "".join(f", {name}={value!r}" for name, value in options.items())
