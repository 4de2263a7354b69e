"""`mcnn train --find-lr`: suggest a learning rate for a training, and draw why."""

import sys
import tempfile

from minitorch_cnn.cli import training
from minitorch_cnn.cli.errors import EXIT_FAILED, UsageError
from minitorch_cnn.cli.options import check_output
from minitorch_cnn.cli.streams import say
from minitorch_cnn.display import figures
from minitorch_cnn.io.streams import bar_width

CHART = "learning-rate.png"
_SENSELESS = ("lr", "resume", "run_folder", "save_epochs", "tensorboard")  # together with --find-lr


def refuse_others(arguments):
    """Raise UsageError for options that --find-lr does not go with, or a chart that cannot be written."""
    for name in _SENSELESS:
        if getattr(arguments, name):
            option = "run" if name == "run_folder" else name.replace("_", "-")
            raise UsageError(f"mcnn train: leave out --{option}: --find-lr looks for a rate and trains nothing")
    arguments.output, arguments.kinds = arguments.find_lr, figures.KINDS
    check_output(arguments)


def run(arguments, plan, ranks):
    """Find a rate for a `Plan` of `mcnn train`; return the exit code."""
    import tqdm

    from minitorch_cnn import train

    def make(train_set, reporter):
        return plan.trainer(train_set, folder, reporter=reporter, ranks=ranks)

    if ranks.size > 1:
        raise UsageError("mcnn train: leave out mpiexec with --find-lr: one process looks for the rate")
    with tempfile.TemporaryDirectory() as folder, training.trainer_of("train", make, plan.source) as trainer:
        options = {"unit": "step", "leave": False, "disable": None, **bar_width(sys.stderr)}
        with tqdm.tqdm(desc="trying learning rates", **options) as bar:

            def show(done, count):
                bar.total = count
                bar.update(done - bar.n)

            found = train.find_rate(trainer, on_step=show)
        now = trainer.recipe.peak_lr
    found.save(arguments.find_lr)
    if found.rate is None:
        say(f"mcnn train: no learning rate can be named: {found.reason}; see {arguments.find_lr}")
        return EXIT_FAILED
    print(f"learning rate {found.rate:g} (now {now:g}): {found.reason}; see {arguments.find_lr}")
    say(f"to train with it, write --lr {found.rate:g} in the place of --find-lr")
    return 0


def code(arguments, lines):
    """Return the Python that does the same; ``lines`` make the trainer."""
    tail = [
        "found = train.find_rate(trainer)  # which is afterwards as it was",
        "print(found.rate, found.reason)",
        f"found.save({arguments.find_lr!r})",
    ]
    return training.program("data, train", arguments.threads, [*lines, *tail])
