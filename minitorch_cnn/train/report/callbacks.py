"""What a trainer can call after every epoch: a chart that grows in a notebook, and event files for TensorBoard."""

from typing import Any

from minitorch_cnn.train.report import plots

_TAGS = {  # TensorBoard draws the curves of one group, the part before the slash, next to each other
    "train_loss": "loss/training",
    "holdout_loss": "loss/held out",
    "train_accuracy": "accuracy/training",
    "holdout_accuracy": "accuracy/held out",
    "lr": "training/learning rate",
    "images_per_second": "training/images per second",
}


class LiveChart:
    """The learning curves in a notebook, drawn anew after every epoch: ``Trainer(..., on_epoch=LiveChart())``.

    Raises
    ------
    ImportError
        When it is called, if IPython is not installed.
    """

    def __init__(self) -> None:
        self._handles: dict[Any, Any] = {}  # by the folder of the run: several trainers may share the chart

    def __call__(self, trainer: Any, record: dict[str, Any]) -> None:
        """Draw the history of a trainer in the place of the last chart."""
        try:
            from IPython import display
        except ImportError:
            raise ImportError("LiveChart: run it in a notebook, or install IPython: pip install ipython") from None
        recipe = trainer.recipe
        trained = plots.trained_by(recipe.name, trainer.settings["architecture"]["name"], recipe.model)
        title = f"{trained}, epoch {record['epoch']} of {recipe.epochs}"
        figure = plots.curves(trainer.progress.history, title)
        run = trainer.folder.path
        if run not in self._handles:
            self._handles[run] = display.display(figure, display_id=True)
        else:
            self._handles[run].update(figure)


class TensorBoard:
    """Event files in the folder of the run, one value per curve and epoch: ``tensorboard --logdir runs`` shows them.

    Use it as ``Trainer(..., on_epoch=TensorBoard())``. A resumed run continues its curves: what an interrupted epoch
    had written is left out of them.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    def __init__(self) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            install = "pip install 'minitorch-cnn[tensorboard]'"
            raise ImportError(f"TensorBoard: event files need the package tensorboardX: {install}") from None
        self._new_writer, self._writers = SummaryWriter, {}  # by the folder of the run

    def __call__(self, trainer: Any, record: dict[str, Any]) -> None:
        """Write the values of an epoch that has ended."""
        epoch, run = record["epoch"], trainer.folder.path
        if run not in self._writers:
            self._writers[run] = self._new_writer(str(run), purge_step=epoch, flush_secs=1 << 20)
        for name, tag in _TAGS.items():
            if name in record:
                self._writers[run].add_scalar(tag, record[name], epoch)
        self._writers[run].flush()
