"""How long a training will take here: a few of its steps on a copy of the network, which leave no trace."""

import copy
import statistics
import time

from minitorch_cnn import data, ops, rng
from minitorch_cnn.train import setup

BATCHES = 4  # the first brings memory and compiled kernels, and is not timed
_ENOUGH = 3.0  # seconds, for two steps or more
_LONG = 10.0  # seconds: a first step this long is not repeated


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
    model = copy.deepcopy(trainer.model).train()
    optimizer, loader = setup.optimizer(trainer.recipe, model), trainer.loader
    options = {"shuffle": True, "drop_last": True, "transforms": loader.transforms, "seed": loader.seed}
    images = data.DataLoader(loader.dataset, loader.batch_size, **options)
    start = time.perf_counter()
    for _, (x, labels) in zip(range(BATCHES), images, strict=False):
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()
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
