"""Memory: a long training holds no more than a short one, and no graph is left."""

import gc

import harness
import numpy as np

from minitorch_cnn import Tensor, models, nn, ops, optim
from minitorch_cnn.autograd import Node

EARLY = 50


def growth(length):
    """Bar 24: what the process holds after many steps, against what it held after fifty."""
    steps = length(150, 1000)
    model = nn.fuse(models.create("cifar4"))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = Tensor(length.rng.standard_normal((4, 3, 32, 32), np.float32))

    def train():
        loss = ops.cross_entropy(model(images), np.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    train()  # where kernels are compiled, the compiler's own cycles hold on to the graph that called it
    gc.collect()
    gc.disable()  # garbage that needs the collector stays from here on and is counted
    try:
        for step in range(1, steps + 1):
            train()
            if step == EARLY:
                early = harness.memory("VmRSS")
        late = harness.memory("VmRSS")
        nodes = sum(isinstance(thing, Node) for thing in gc.get_objects())
    finally:
        gc.enable()
    ratio = late / early - 1
    return f"after {steps} steps {100 * ratio:+.2f} % against step {EARLY}, {nodes} nodes of a graph left", (
        ratio <= 0.01 and nodes == 0
    )


if __name__ == "__main__":
    harness.main(__doc__, {"24 memory of a long training": growth})
