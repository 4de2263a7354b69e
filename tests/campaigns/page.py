"""The engine of the page against the kernels, in Node: every operation alone, and the networks that fit a page.

Each operation gets 200 random hyper-parameters, shapes and arrays, forward and backward. Each network of the zoo gets
random weights and images of three sizes; all maps, and the gradients of all maps and weights are compared.

Among a million elements before ReLUs, some are 0 up to rounding: the last bit, which depends on the order of a sum,
then decides whether a gradient passes, here and in the kernels. So if gradients differ, they are compared again at the
same point: the page goes back through the maps of the kernels, which equal its own to 1e-4 as before.
"""

import pathlib
import tempfile

import harness
import numpy as np

from minitorch_cnn import explain, models
from minitorch_cnn.explain.page.description import describe
from tests.explain.page.engine import from_kernels
from tests.explain.page.random_operations import DRAW, random_case
from tests.explain.page.test_engine import ROUNDING, known, random_network, requires_equal

NEAR = 1e-6  # of the largest element of a map: how far float32 sums in two orders lie apart
MOST_WEIGHTS, MOST_PRODUCTS = 15e6, 1.2e9  # beyond, a page is too large or too slow


def compared(cases, **options):
    with tempfile.TemporaryDirectory() as folder:
        requires_equal(cases, pathlib.Path(folder), **options)


def operations(length):
    """Bar 32: random hyper-parameters."""
    refused = 0
    for name in DRAW:
        cases = [random_case(name, length.rng) for _ in range(length(3, 200))]
        fit = [case for case in cases if known(case[0], case[1].shape)]
        refused += len(cases) - len(fit)
        compared(fit, rounding=ROUNDING)
    count = len(DRAW) * length(3, 200)
    return f"{len(DRAW)} operations, {count - refused} cases, {refused} refused by name", refused == 0


def fitting(name, size, seed):
    """Return a case of a network for images of a size, or None if it takes none or does not fit a page."""
    channels, _ = models.native_input(name)
    try:
        model = models.create(name, image_size=size, drawn=False)
        found = explain.summary(model, (1, channels, size, size))
    except ValueError:
        return None
    fits = found.params <= MOST_WEIGHTS and found.macs <= MOST_PRODUCTS
    return random_network(name, seed, size) if fits else None


def undecided(model, x, grad):
    """Return how many elements before a ReLU are 0 up to rounding."""
    values, _, _ = from_kernels(model, x, grad)
    nodes = describe(model, x.shape).graph["nodes"]
    variables = dict(zip([0, *(node["writes"] for node in nodes)], values, strict=True))
    before = [variables[node["reads"][0]] for node in nodes if node["op"] == "ReLU"]
    return sum(int(np.sum(np.abs(value) <= NEAR * np.abs(value).max())) for value in before)


def agreeing(case):
    """Compare a network; return None, or where gradients agree only at the maps of the kernels `undecided`."""
    try:
        compared([case])
    except AssertionError:
        compared([case], pin=True)
        return undecided(*case)
    return None


def networks(length):
    """Bar 32: the zoo, at its own size of images or those of a small one."""
    compared_with, largest, cases, pinned = {}, 0, 0, []
    for name in models.list() if length.full else ["lenet5", "resnet20"]:
        _, side = models.native_input(name)
        for size in (64, 80, 96) if side > 64 else (side, side + 4, side + 16):
            case = fitting(name, size, seed=0)
            if case:
                cases, close = cases + 1, agreeing(case)
                pinned += [] if close is None else [close]
                compared_with[name] = compared_with.get(name, 0) + 1
                largest = max(largest, sum(p.data.size for p in case[0].parameters()))
                how = "" if close is None else f" at the maps of the kernels: {close} elements at 0 up to rounding"
                print(f"{name}, {size} pixels: agrees{how}", flush=True)
    few = [name for name, count in compared_with.items() if count < 3]
    figure = f"{len(compared_with)} networks of up to {largest / 1e6:.1f} million weights, {cases} cases"
    figure += f", {len(pinned)} of which agree at the maps of the kernels: {sum(pinned)} elements at 0 up to rounding"
    return f"{figure}; fewer than three sizes: {', '.join(few) or 'none'}", bool(compared_with)


if __name__ == "__main__":
    np.seterr(all="ignore")
    harness.main(__doc__, {"32 operations in the page": operations, "32 networks in the page": networks})
