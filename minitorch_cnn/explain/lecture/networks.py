"""The trained networks of the lecture that is shipped: small enough to train while a deck is built."""

import numpy as np

from minitorch_cnn import data, models, nn, ops, optim, rng
from minitorch_cnn.explain.lecture import digits
from minitorch_cnn.explain.page.content import network_content
from minitorch_cnn.tensor import Tensor

IMAGES = 24  # test images in the page
TRAINING = 3000  # images that a network learns from
STEPS, BATCH, RATE = 400, 64, 4e-3
NAMES = ("yours", "lenet5")


def shipped(name):
    """Train a network, and describe it for the page.

    Parameters
    ----------
    name : str
        "yours", which stands for the user's own and learns shapes10, or "lenet5", which learns printed digits.

    Returns
    -------
    dict
        See `network_content`.
    """
    known = rng.get_state()
    rng.manual_seed(0)
    try:
        model, training, test, facts = _digits() if name == "lenet5" else _shapes()
        _train(model, _normalised(training[0], facts), training[1])
    finally:
        rng.set_state(known)
    images, labels = (part[:IMAGES] for part in test)
    return network_content(model, _normalised(images, facts), images, labels.tolist(), facts | {"title": name})


def _shapes():
    """Return a network whose first filters are large enough to be looked at, and shapes10."""

    def stage(channels, filters, size):
        convolution = nn.Conv2d(channels, filters, size, padding=size // 2, bias=False)
        return convolution, nn.BatchNorm2d(filters), nn.ReLU()

    model = nn.Sequential(
        *stage(3, 16, 5),
        nn.MaxPool2d(2),
        *stage(16, 32, 3),
        nn.MaxPool2d(2),
        *stage(32, 48, 3),
        nn.MaxPool2d(8),  # the largest element of each map
        nn.Flatten(),
        nn.Linear(48, 10),
    )
    training, test = data.Shapes10(train=True, size=TRAINING), data.Shapes10(train=False, size=IMAGES)
    facts = {"classes": list(test.classes), "mean": list(test.mean), "std": list(test.std)}
    return model, (training.images, training.labels), (test.images, test.labels), facts


def _digits():
    facts = {"classes": list(digits.CLASSES), "mean": [0.1], "std": [0.3]}
    return models.create("lenet5"), digits.digits(TRAINING, 0), digits.digits(IMAGES, 1), facts


def _normalised(images, facts):
    x = (images / 255 - facts["mean"]) / facts["std"]
    return x.transpose(0, 3, 1, 2).astype(np.float32)


def _train(model, x, labels):
    """Train by Adam with a rate that falls to 0, and leave the model in evaluation mode."""
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    for step in range(STEPS):
        first = step * BATCH % (len(x) - BATCH)
        loss = ops.cross_entropy(model(Tensor(x[first : first + BATCH])), labels[first : first + BATCH])
        optimizer.zero_grad()
        loss.backward()
        optimizer.lr = RATE * (1 - step / STEPS)
        optimizer.step()
    model.eval()
