"""One training step of cifar4: forward, cross-entropy, backward, Adam, on a batch of 3 x 32 x 32 images.

python benchmarks/train_step.py --peer torch
python benchmarks/train_step.py --peer torch --batch 32 --threads 1
"""

import time

import _peers
import _race
import numpy as np

FLOP_PER_IMAGE = 3 * 2 * 58_397_696  # forward and two gradients, by the definition of convolution


def ours(options):
    """Prepare our step."""
    import numba  # noqa: F401  the first kernel would load it; PyTorch's import loads all that it needs

    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, models, nn, ops, optim

    if options.threads:
        mt.set_num_threads(options.threads)
    images, labels = batch(options.batch)
    options.before()
    x = Tensor(np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))  # as the loader has them
    model = nn.fuse(models.create("cifar4"))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        loss = ops.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return measuring(step, options.steps)


def torch_side(mode):
    """Return the function that prepares PyTorch's step in a mode."""

    def prepare(options):
        torch = _peers.torch_with(options.threads)
        images, labels = (torch.from_numpy(array) for array in batch(options.batch))
        options.before()
        model, images = _peers.in_mode(torch, mode, _peers.torch_cifar4(torch), images)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

        def step():
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        return measuring(step, options.steps)

    return prepare


def batch(count):
    """Return float32 images (N, 3, 32, 32) and labels."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, 3, 32, 32), np.float32), rng.integers(0, 10, count)


def measuring(step, steps):
    """Return a function that runs some steps and returns the mean time of one."""

    def measure():
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return {"training step": (time.perf_counter() - start) / steps}

    return measure


def main():
    """Race and report."""
    parser = _race.parser(__doc__, rounds=15)
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images (default: 128)")
    parser.add_argument("--steps", type=int, default=3, metavar="N", help="between two alternations (default: 3)")
    options = parser.parse_args()
    options.before = lambda: None  # called between the imports and the model: for measurements of memory
    sides = {_race.OURS: ours} | {mode: torch_side(mode) for mode in _peers.TORCH_MODES}
    _race.run("train_step", options, sides, work={"training step": FLOP_PER_IMAGE * options.batch})


if __name__ == "__main__":
    main()
