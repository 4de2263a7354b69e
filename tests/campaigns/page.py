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
SIZES = 3  # of images, for each network
DEPENDS = (  # what a result depends on: the kernels and what calls them, the engine, and how both are compared
    "kernels",
    *(f"minitorch_cnn/{name}" for name in ("autograd", "ops", "tensor.py", "nn", "models", "explain/trace")),
    *(f"minitorch_cnn/explain/page/{name}" for name in ("engine", "description.py")),
    *(f"tests/explain/page/{name}" for name in ("engine.py", "random_operations.py", "run.mjs", "test_engine.py")),
    "tests/campaigns/page.py",
)


def compared(cases, **options):
    with tempfile.TemporaryDirectory() as folder:
        requires_equal(cases, pathlib.Path(folder), **options)


def operations(length):
    """Bar 32: random hyper-parameters. ``alone`` has how many cases of an operation the page refused by name."""
    progress = harness.Progress(length, DEPENDS, alone={})
    for index, name in enumerate(DRAW):
        if name in progress.alone:
            continue
        rng = np.random.default_rng([length.seed, index])
        cases = [random_case(name, rng) for _ in range(length(3, 200))]
        fit = [case for case in cases if known(case[0], case[1].shape)]
        compared(fit, rounding=ROUNDING)
        progress.alone[name] = len(cases) - len(fit)
        progress.save()
    count, refused = len(DRAW) * length(3, 200), sum(progress.alone.values())
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


def cases(length):
    """Yield the names of the zoo, each with sizes of images: near its own, or small ones; the last are spare."""
    for name in models.list() if length.full else ["lenet5", "resnet20"]:
        _, side = models.native_input(name)
        yield name, (64, 80, 96, 72, 48) if side > 64 else (side, side + 4, side + 16, side + 8, side - 4)


def outcome(case):
    """Return a record of one case: its weights, what `agreeing` returned or in which way it differs."""
    found = {"weights": sum(p.data.size for p in case[0].parameters()), "close": None}
    try:
        found["close"] = agreeing(case)
    except AssertionError as error:  # the next network is compared all the same
        found["differs"] = str(error)
    return found


def networks(length):
    """Bar 32: the zoo. ``seen`` has the `outcome` of a network at a size, or None if it does not fit a page."""
    progress = harness.Progress(length, DEPENDS, seen={})
    few = []
    for name, sizes in cases(length):
        count = 0
        for size in sizes:
            key = f"{name}, {size} pixels"
            if count < SIZES and key not in progress.seen:
                case = fitting(name, size, seed=0)
                progress.seen[key] = case and outcome(case)
                progress.save()
                print(f"{key}: {progress.seen[key] or 'does not fit'}", flush=True)
            count += progress.seen.get(key) is not None
        few += [f"{name} ({count})"] if 0 < count < SIZES else []
    found = {key: one for key, one in progress.seen.items() if one}
    names = {key.split(",")[0] for key in found}
    pinned = [one["close"] for one in found.values() if one["close"] is not None]
    different = [key for key, one in found.items() if "differs" in one]
    largest = max(one["weights"] for one in found.values()) / 1e6
    figure = f"{len(names)} networks of up to {largest:.1f} million weights, {len(found)} cases, {len(pinned)} of "
    figure += f"which agree at the maps of the kernels: {sum(pinned)} elements at 0 up to rounding"
    figure += f"; fewer than three sizes: {', '.join(few) or 'none'}; different: {'; '.join(different) or 'none'}"
    return figure, not different


if __name__ == "__main__":
    np.seterr(all="ignore")
    harness.main(__doc__, {"32 operations in the page": operations, "32 networks in the page": networks})
