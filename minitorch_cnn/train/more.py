"""Training a finished network further: a new run, whose history continues that of the earlier one.

trainer = train.more("runs/cifar4-1", data.CIFAR10(train=True), "runs/cifar4-2", epochs=4)
trainer.fit()
"""

import dataclasses
from typing import Any

from minitorch_cnn import arguments
from minitorch_cnn.data import Dataset
from minitorch_cnn.display import shell
from minitorch_cnn.train import best, continuing, network, state
from minitorch_cnn.train.report.run_folder import RunFolder, RunFolderError
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.types import Path


def more(
    earlier: Path,
    train_set: Dataset,
    folder: Path | RunFolder | None,
    *,
    epochs: float,
    peak_lr: float | None = None,
    model: network.Model | None = None,
    **options: Any,
) -> Trainer:
    """Return a trainer that continues with the weights and the optimiser of a finished run, and a schedule of its own.

    Parameters
    ----------
    earlier : str or Path
        The folder of the finished run, which stays as it is. Weights and optimiser are those of its last epoch.
    train_set : Dataset
        The same images as before; mean and std are those of the run.
    folder : str, Path or RunFolder
        New or empty.
    epochs : int or float, >= 1
        How many more. One cycle of the learning rate goes over these epochs. With a fraction the last one is shorter,
        as in a recipe; after a run whose last epoch was shorter, the next one is whole again.
    peak_lr : float, > 0, or None
        The highest learning rate; None means that of the earlier run. A plateau schedule then continues where it was.
    model : Module, callable, str or None
        As for `Trainer.resume`.
    options
        ``workers``, ``save_every``, ``reporter``, ``ranks`` and ``on_epoch`` as for `Trainer`; all else is that of the
        earlier run.

    Returns
    -------
    Trainer

    Raises
    ------
    RunFolderError
        If there is no such run, another process works in it, or it is not at its end.
    CheckpointError
        If no checkpoint of it can be read, or it has lost the classifier of its best epoch.
    TypeError, ValueError
        If ``epochs`` or ``peak_lr`` is out of its range, or the images, the classes, their order, or the model differ
        from those of the run.
    """
    arguments.number("more", least=1, epochs=epochs)
    run = continuing.read(earlier, train_set, model, "more")
    saved, kept = run.saved, run.options
    recipe, progress = run.recipe, state.Progress(**saved["progress"])
    if not best.at_end(recipe, progress, kept.get("first_epoch", 0)):
        raise RunFolderError(
            f"{earlier} - expected a run at its end, got one with {progress.epoch} of {recipe.epochs} epochs; resume "
            f"it first: {shell.line('mcnn', 'train', '--resume', earlier)}"
        )
    rate = recipe.peak_lr if peak_lr is None else peak_lr
    recipe = dataclasses.replace(recipe, epochs=progress.epoch + epochs, peak_lr=rate)
    kept["first_epoch"] = progress.epoch
    trainer = Trainer(recipe, run.train_set, folder, **kept, **options)
    continuing.take_over(trainer, run)
    schedule = trainer.schedule.state_dict()  # from its first step
    if trainer.schedule.needs_measurement and peak_lr is None:
        schedule = saved["schedule"]
    average = saved.get("average")
    if average and trainer.state.average is not None:  # it looks at the steps of this run
        average |= {"steps": 0, "chosen": trainer.state.average.state_dict().get("chosen", {})}
    state.restore(trainer.state, saved | {"schedule": schedule, "average": average})
    best.inherit(trainer, run.folder)
    return trainer
