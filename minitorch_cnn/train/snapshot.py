"""Everything that decides how a training goes on, taken from a `Trainer` and put back into one."""

import dataclasses
import hashlib

from minitorch_cnn import rng
from minitorch_cnn.train.progress import Progress

OPTIONS = ("source", "seed", "holdout", "sync_bn", "accumulate", "save_epochs")  # of a `Trainer`, chosen once


def settings(trainer):
    """Return what was chosen before the first step, as a dict that JSON can hold."""
    train_set = trainer.train_set
    return {
        "recipe": dataclasses.asdict(trainer.recipe),
        **{name: getattr(trainer, name) for name in OPTIONS},
        "dataset": train_set.name,
        "dataset_digest": train_set.digest,
        "verified": train_set.verified,
        "classes": list(train_set.classes),
        "mean": list(train_set.mean),
        "std": list(train_set.std),
    }


def take(trainer):
    """Return the state of this moment: the next steps depend on nothing else.

    Returns
    -------
    dict
        Nested dicts of arrays and of what JSON can hold. The order of the images and their
        augmentation need no state: they follow from seed, epoch and batch.
    """
    return {
        "settings": settings(trainer),
        "progress": dataclasses.asdict(trainer.progress),
        "random": rng.get_state(),
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "schedule": trainer.schedule.state_dict(),
    }


def digest(parameters):
    """Return the sha256 of the bits of parameters, in hexadecimal."""
    sha256 = hashlib.sha256()
    for parameter in parameters:
        sha256.update(parameter.data.tobytes())
    return sha256.hexdigest()


def put_back(trainer, state):
    """Bring a trainer that was made with the same settings to the moment of a snapshot."""
    trainer.progress = Progress(**state["progress"])
    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.schedule.load_state_dict(state["schedule"])
    rng.set_state(state["random"])
