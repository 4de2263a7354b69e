"""What `mcnn train` and `mcnn transfer` share: from a trainer to the line of the result."""

import contextlib
import itertools
import os
import signal

from minitorch_cnn.cli import errors
from minitorch_cnn.cli.errors import EXIT_STOPPED, FailedError
from minitorch_cnn.cli.streams import say
from minitorch_cnn.display import shell
from minitorch_cnn.processes import ASK_TO_STOP

_ADDRESS_SPACE = 700 * 1024 * 1024  # bytes; most of it is reserved by libraries and threads, and never used


def given(options):
    """Return the entries of a dict that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def say_no_cifar10(network):
    """Say that CIFAR-10 is not here, and that ``network`` is trained on shapes10 instead."""
    from minitorch_cnn.data import official

    say(f"no CIFAR-10 in {official.default_folder()}: `mcnn data get` downloads it, --data DIR names another folder.")
    say(f"Training {network} on shapes10 instead, which needs no download.")


def for_pictures(place, name, chosen, more_epochs=True):
    """Return the changes to a recipe for pictures of the user, and print what was found and chosen.

    Parameters
    ----------
    place : Source
    name : str
        Of a recipe.
    chosen : dict
        What the command line changes; it has the last word.
    more_epochs : bool
        Whether few pictures are looked at more often.

    Returns
    -------
    dict
    """
    from minitorch_cnn import train

    recipe, found = train.recipe(name, **chosen), place.listing()
    few = train.few_images(recipe, int(found.train.sum()))
    if "batch_size" in chosen:  # the rate of the recipe belongs to a batch; that of the user stands
        few.pop("peak_lr", None)
    changes = {name: value for name, value in few.items() if more_epochs or name != "epochs"} | chosen
    recipe = train.recipe(name, **changes)
    say(
        f"{len(found.paths):,} pictures of {len(found.classes)} classes in {place.root}: {recipe.model}, "
        f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} in batches of {recipe.batch_size}"
    )
    return changes


def free_folder(name):
    """Return the first of runs/NAME-1, runs/NAME-2, ... that does not exist yet."""
    return next(path for i in itertools.count(1) if not os.path.exists(path := os.path.join("runs", f"{name}-{i}")))


@contextlib.contextmanager
def reserved_folder(name):
    """Make the first of runs/NAME-1, -2, ... that is not there yet, for a run that its context begins.

    Two trainings that begin at once get two folders. If the context fails before the run has saved anything, the folder
    is removed.
    """
    os.makedirs("runs", exist_ok=True)
    while True:
        folder = free_folder(name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
            break
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            os.removedirs(folder)  # `runs` too, if nothing else is in it
        raise


def train_to_the_end(command, make, place, tested, alone=True):
    """Train, judge, and print the result.

    Parameters
    ----------
    command : str
        The command that error messages name.
    make : callable
        Returns a Trainer for (train_set, reporter).
    place : Source
    tested : bool
        Whether the test set judges the model at the end.
    alone : bool
        Whether no other process trains with this one.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    UsageError, FailedError
        If the arguments do not fit together; if something outside fails while it trains.
    """
    with trainer_of(command, make, place, alone) as trainer:
        folder = trainer.folder.path
        with _telling_how_to_continue(trainer):
            # Pictures that come or go while it trains would change which of the others are for testing.
            test_set = place.open(train=False) if tested and place.is_own else None
            if alone and not trainer.recipe.cache_features:
                _say_how_long(trainer)
            if not trainer.fit():
                # `mcnn launch` repeats its request after a while, which would end this process before it has said so.
                signal.signal(ASK_TO_STOP, signal.SIG_IGN)
                resumed = shell.line("mcnn", "train", "--resume", folder)
                say(f"stopped after batch {trainer.progress.step} and saved; continue with: {resumed}")
                return EXIT_STOPPED
            if tested and test_set is None:
                test_set = place.open(train=False)
            result = trainer.final_eval(test_set)
    print(summary(result, folder))
    return 0


@contextlib.contextmanager
def trainer_of(command, make, place, alone=True):
    """Make a trainer for a context, with its kernels if it trains alone; arguments as `train_to_the_end`.

    In the context it shows what is compiled later.

    Raises
    ------
    UsageError, FailedError
        If the arguments do not fit together; if there is too little memory to begin.
    """
    import minitorch_kernels as kernels
    from minitorch_cnn import train
    from minitorch_cnn.diagnose import compiling

    _check_address_space()
    reporter = train.Reporter()
    forget = kernels.runtime.jit.on_compile(reporter.compiling)
    try:
        with compiling.started_early() if alone else contextlib.nullcontext([]) as compilers:
            trainer = _made(command, make, place.open(train=True), reporter)
            if alone and not trainer.recipe.cache_features:  # which does not learn step by step
                compiling.compile_for(trainer, compilers)
        yield trainer
    finally:
        reporter.end()
        forget()


def _made(command, make, train_set, reporter):
    """Return the trainer; raise UsageError if the arguments do not fit together."""
    from minitorch_cnn.train import OwnNetworkError

    try:
        return make(train_set, reporter)
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError, OwnNetworkError):
            raise  # errors of other types say what to do themselves
        raise errors.usage(f"mcnn {command}", error) from error


def _check_address_space():
    """Raise FailedError where `ulimit -v` leaves too little: libraries then abort or hang, and say nothing useful."""
    from minitorch_kernels.runtime import address_space

    limit = address_space.limit()
    if limit is not None and limit < _ADDRESS_SPACE:
        raise FailedError(
            f"allow this process more address space by `ulimit -v {_ADDRESS_SPACE // 1024}` or more: it has "
            f"{limit // 1024}, and the compiler and the libraries of training do not fit"
        )


def _say_how_long(trainer):
    """Say how long the training will take here."""
    from minitorch_cnn.diagnose import rehearsal
    from minitorch_cnn.train.report.reporter import duration

    whole, step = rehearsal.forecast(trainer)
    epochs = round(trainer.recipe.epochs - trainer.progress.epoch, 3)
    trainer.reporter.say(
        f"{epochs} {'epoch takes' if epochs == 1 else 'epochs take'} about {duration(whole)} here, "
        f"{1000 * step:.0f} ms a step of {trainer.recipe.batch_size} images"
    )


@contextlib.contextmanager
def _telling_how_to_continue(trainer):
    """Turn failures of the machine and of worker processes into a FailedError that says how to continue."""
    from minitorch_cnn import data, train

    try:
        yield
    except train.FolderGoneError as error:
        resumed = shell.line("mcnn", "train", "--resume", error.rescued)
        raise FailedError(f"{error}; continue with: {resumed}") from error
    except (OSError, MemoryError, ImportError, data.WorkerError) as error:
        path, checkpoints = trainer.folder.path, trainer.checkpoints.paths()
        text = errors.sentence(error)
        if checkpoints:
            step = int(checkpoints[0].stem.partition("-")[2])
            text += f"; step {step} is saved, continue with: {shell.line('mcnn', 'train', '--resume', path)}"
        raise FailedError(text) from error


def summary(result, folder):
    """Return ``result.json`` as a line."""
    from minitorch_cnn.train.report import plots

    kind = "test" if result["test_reads"] else "holdout"
    accuracy, loss = result[f"{kind}_accuracy"], result[f"{kind}_loss"]
    seen = ""
    if result.get("views", 1) > 1:
        seen = f" ({result['views']} views; plain {result[f'plain_{kind}_accuracy']:.2%})"
    last = result.get("kept_epoch", result["epochs"])  # older results have none
    kept = "" if last == result["epochs"] else f" (kept: epoch {last})"
    unverified = "" if result["verified"] else " (unverified images)"
    usual = result.get("settings", {}).get("recipe", {}).get("model")
    return (
        f"{kind} accuracy {accuracy:.2%}{seen}, loss {loss:.4f}: "
        f"{plots.trained_by(result['recipe'], result.get('model'), usual)} on {result['dataset']}{unverified}, "
        f"{result['epochs']} epoch{'s' * (result['epochs'] > 1)}{kept} in {result['seconds']:.0f} s, "
        f"seed {result['seed']}; {os.path.join(folder, 'result.json')}"
    )


def code(imports, threads, lines, place, tested):
    """Return the Python of a training: ``lines`` make the trainer, the rest is the same for all."""
    kind, test_set, opened = "test" if tested else "holdout", place.code(train=False) if tested else "", []
    if tested and place.is_own:
        test_set, opened = "test_set", [f"test_set = {test_set}  # before pictures come or go"]
    tail = [
        *opened,
        "if trainer.fit():  # False after Ctrl-C",
        f"    result = trainer.final_eval({test_set})",
        f"    print('{kind} accuracy', result['{kind}_accuracy'])",
    ]
    return program(imports, threads, [*lines, *tail])


def program(imports, threads, lines):
    """Return lines of Python as a program that imports what they need and computes with some number of threads."""
    head = [f"from minitorch_cnn import {imports}", ""]
    if threads is not None:
        head = ["import minitorch_cnn", *head, f"minitorch_cnn.set_num_threads({threads})"]
    return "\n".join([*head, *lines]) + "\n"


def arguments_code(options):
    """Return a dict as further keyword arguments of a call."""
    return "".join(f", {name}={value!r}" for name, value in options.items())
