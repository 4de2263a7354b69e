"""How long a training will take here: a few of its steps on a copy of the network, which leave no trace."""

import copy
import statistics
import time

import minitorch_cnn as mt
from minitorch_cnn import data, rng
from minitorch_cnn.train import setup

BATCHES = 4  # the first brings memory and compiled kernels, and is not timed
_ENOUGH = 3.0  # seconds, for two steps or more
_LONG = 10.0  # seconds: a first step this long is not repeated


class Copy:
    """The steps of a trainer on a copy of its network: its own loss, optimiser, augmentation and mixing.

    Parameters
    ----------
    trainer : Trainer
        Stays as it is.
    """

    def __init__(self, trainer):
        self._loss, self._loader, self._precision = trainer.loss, trainer.loader, trainer.recipe.precision
        self.model = copy.deepcopy(trainer.model).train()
        self._optimizer = setup.optimizer(trainer.recipe, self.model)

    def batches(self, dataset, size):
        """Return a loader in this process of images that stand for those of the training."""
        loader = self._loader
        options = {"transforms": loader.transforms, "mixing": loader.mixing, "seed": loader.seed}
        return data.DataLoader(dataset, size, shuffle=True, drop_last=True, **options)

    def learn(self, x, labels):
        """Take a step."""
        self._optimizer.zero_grad()
        with mt.precision(self._precision):
            loss, _ = self._loss(self.model(x), labels)
        loss.backward()
        self._optimizer.step()


def step_seconds(trainer):
    """Return how long a training step takes, with loading and augmentation, in seconds.

    Parameters
    ----------
    trainer : Trainer
        Stays as it is.

    Returns
    -------
    float
        The median of a few steps.
    """
    state, times = rng.get_state(), []
    copied, loader = Copy(trainer), trainer.loader
    images = copied.batches(loader.dataset, loader.batch_size)
    start = time.perf_counter()
    for _, (x, labels) in zip(range(BATCHES), images, strict=False):
        copied.learn(x, labels)
        times.append(time.perf_counter() - start)
        if times[0] > _LONG or (len(times) > 1 and sum(times) > _ENOUGH):
            break
        start = time.perf_counter()
    rng.set_state(state)
    return statistics.median(times[1:] or times)


def forecast(trainer):
    """Return (seconds that the rest of a training takes, seconds of a step)."""
    seconds = step_seconds(trainer)
    left = setup.total_steps(trainer.recipe.epochs - trainer.progress.epoch, len(trainer.loader))
    return seconds * (left - trainer.progress.batch), seconds
