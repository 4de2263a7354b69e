"""A learning rate for a training that has not begun: try many for one step each, and look where the loss falls.

found = train.find_rate(trainer)
found.rate              # None where none can be named; found.reason says why
found.chart()           # the loss against the learning rate
trainer.fit()           # as if nothing had been tried
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.display import figures
from minitorch_cnn.nn.tracing import keeping_modes
from minitorch_cnn.train import attributes, setup, state
from minitorch_cnn.train.nan_check import TrainingDivergedError
from minitorch_cnn.train.report import plots
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.types import Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST, MOST, STEPS = 1e-6, 10.0, 120
FEWEST = 30  # steps of a sweep: fewer say nothing
_WIDTH = 0.03  # of the smoothing: the standard deviation of its weights as a share of all steps
_ENDED = 4.0  # the sweep ends where the loss is this many times the lowest one
_CLEAR = 5.0  # standard errors of the smoothed loss by which it must fall
_OVER = 0.5  # share of the fall by which it rises where the first valley ends: later ones are of a network that broke
_BOTTOM = 0.1  # share of the fall that the bottom of the valley may be above the lowest loss


@dataclasses.dataclass(frozen=True)
class FoundRate:
    """What a sweep over learning rates has found.

    Attributes
    ----------
    rate : float or None
        The suggestion for ``peak_lr``. None if there is none.
    reason : str
        A sentence: why this rate, or why none.
    rates : list of float
        What was tried, in this order: values of ``peak_lr``.
    losses, smoothed : list of float
        The mean loss of the batch before the step at each rate, and the same smoothed.
    name : str
        Of the recipe.
    """

    rate: float | None
    reason: str
    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    name: str

    def chart(self) -> "Figure":
        """Return the loss against the learning rate, with the suggestion, as a matplotlib Figure."""
        title = f"{self.name}: one step at each learning rate"
        return plots.rates(self.rates, self.losses, self.smoothed, title, self.rate)

    def save(self, path: Path) -> None:
        """Write the chart to a ``.png``, ``.svg`` or ``.pdf`` file; errors as `figures.save`."""
        figures.save(self.chart(), path)


def find_rate(
    trainer: Trainer,
    *,
    least: float = LEAST,
    most: float = MOST,
    steps: int = STEPS,
    on_step: Callable[[int, int], object] | None = None,
) -> FoundRate:
    """Suggest a learning rate: take one step at each of many rates, which grow by a constant factor.

    The loss, smoothed, falls into a valley and rises again when the rate is too high. Its bottom is where the loss is
    above the lowest by at most a tenth of the fall; the suggestion is the geometric mean of the two ends of the bottom.
    It suits the highest rate of a schedule that rises and falls, as those of the recipes do.

    Parameters
    ----------
    trainer : Trainer
        Afterwards it is as it was, to the last bit: weights, statistics of batch norm, optimiser, schedule, random
        numbers and the next batch. Nothing is written into its folder.
    least, most : float, > 0
        The first and the last rate, as values of the recipe's ``peak_lr``: groups of parameters with rates of their own
        keep their share. The sweep ends earlier where the loss grows far beyond its lowest value.
    steps : int, >= 30
        How many rates; each takes one batch of the training images.
    on_step : callable or None
        Called with the steps done and all steps.

    Returns
    -------
    FoundRate

    Raises
    ------
    TypeError, ValueError
        If an argument is something else or out of its range, or the trainer is one of several ranks.

    Notes
    -----
    Cost: as many training steps, and a copy of weights and optimiser.
    """
    arguments.instance("find_rate", Trainer, trainer=trainer)
    arguments.positive("find_rate", least=least, most=most)
    arguments.integer("find_rate", least=FEWEST, steps=steps)
    if on_step is not None:
        arguments.function("find_rate", on_step=on_step)
    if not least < most < math.inf:
        raise ValueError(f"find_rate: most - expected a finite number above least, {least!r}, got {most!r}")
    if trainer.ranks.size > 1:
        raise ValueError(f"find_rate: trainer - expected one process, got one of {trainer.ranks.size} ranks")
    rates = np.geomspace(float(least), float(most), steps)
    with _left_as_it_was(trainer):
        losses = _sweep(trainer, rates, on_step or (lambda done, count: None))
    smoothed = _smoothed(losses, _WIDTH * steps)
    rate, reason = _choice(rates, losses, smoothed, _WIDTH * steps)
    tried = rates[: len(losses)].tolist()
    return FoundRate(rate, reason, tried, losses.tolist(), smoothed.tolist(), trainer.recipe.name)


@contextlib.contextmanager
def _left_as_it_was(trainer: Trainer) -> Iterator[None]:
    """Give a trainer back its whole state at the end of the context."""
    saved: dict[str, Any] = state.snapshot(trainer.state, trainer.settings)
    learns = [(parameter, parameter.requires_grad) for parameter in trainer.model.parameters()]
    try:
        with attributes.kept(trainer.model), keeping_modes(trainer.model):
            yield
    finally:
        trainer.optimizer.zero_grad()
        state.restore(trainer.state, saved)
        for parameter, requires_grad in learns:
            parameter.requires_grad = requires_grad
        trainer.loader.set_epoch(trainer.progress.epoch)
        trainer.loader.close()  # stops its workers


def _sweep(trainer, rates, on_step):
    """Return the loss before the step at each rate, up to the one where it is far above the lowest, or not finite."""
    groups, shares = trainer.optimizer.param_groups, _shares(trainer)
    trainer.model.train()
    setup.begin_epoch(trainer.recipe, trainer.model, trainer.progress.epoch)
    losses, lowest = [], math.inf
    with contextlib.closing(_batches(trainer)) as batches, np.errstate(all="ignore"):
        for rate, (images, labels) in zip(rates, batches, strict=False):
            for group, share in zip(groups, shares, strict=True):
                group["lr"] = float(rate * share)
            try:
                total, _, count = trainer.learn(images, labels)
            except TrainingDivergedError:
                break
            losses.append(total / count)
            on_step(len(losses), len(rates))
            recent = float(np.mean(losses[-5:]))  # one batch may be hard
            lowest = min(lowest, recent)
            if recent > _ENDED * lowest:
                break
    return np.array(losses)


def _shares(trainer):
    """Return the learning rate of each group of parameters as a multiple of the recipe's ``peak_lr``."""
    unit = dataclasses.replace(trainer.recipe, peak_lr=1.0)
    return [group["lr"] for group in setup.optimizer(unit, trainer.model).param_groups]


def _batches(trainer):
    """Yield batches of the running epoch and, where it has too few, of the next ones."""
    epoch, batch = trainer.progress.epoch, trainer.progress.batch
    while True:
        trainer.loader.set_epoch(epoch)
        with contextlib.closing(trainer.loader.iterate(start_batch=batch)) as batches:
            yield from batches
        epoch, batch = epoch + 1, 0


def _smoothed(losses, width):
    """Return losses averaged with Gaussian weights over neighbours to both sides: nothing is delayed."""
    if not len(losses):
        return losses
    bounded = np.minimum(losses, 2 * losses[:5].mean())  # one huge loss at the end would hide the lowest
    distance = np.subtract.outer(np.arange(len(losses)), np.arange(len(losses)))
    weights = np.exp(-0.5 * (distance / width) ** 2)
    return weights @ bounded / weights.sum(axis=1)


def _choice(rates, losses, smoothed, width):
    """Return (rate, reason), the rate None if there is nothing to choose by."""
    if len(losses) < FEWEST // 2:
        what = "is not finite or grows" if len(losses) else "is not finite"
        return None, f"the loss {what} at the low rate of {rates[len(losses)]:.1e} already: look at images and network"
    deviation = 1.48 * np.median(np.abs(losses - smoothed))  # that of a normal distribution
    clear = _CLEAR * deviation / math.sqrt(2 * math.sqrt(math.pi) * width)  # as many losses make a smoothed one
    lowest = np.minimum.accumulate(smoothed)
    fall = smoothed[0] - lowest
    over = np.flatnonzero((fall > clear) & (smoothed - lowest > _OVER * fall))
    end = over[0] if len(over) else len(smoothed)
    low = int(np.argmin(smoothed[:end]))
    if not fall[low] > clear:
        return None, (
            f"the loss fell from {smoothed[0]:.3g} by {fall[low]:.2g}, which is no more than it differs between "
            "batches: take larger batches"
        )
    above = np.flatnonzero(smoothed > smoothed[low] + _BOTTOM * fall[low])
    first = above[above < low][-1] + 1
    last = min([*above[above > low], end, len(losses)]) - 1
    rate = float(f"{math.sqrt(rates[first] * rates[last]):.1e}")
    reason = f"the loss falls from {smoothed[0]:.3g} to {smoothed[low]:.3g} and is lowest between rates of "
    reason += f"{rates[first]:.1e} and {rates[last]:.1e}"
    if last == len(rates) - 1:
        reason += ", the highest that was tried"
    return rate, reason
