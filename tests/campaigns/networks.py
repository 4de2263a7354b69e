"""Random networks of all operations against PyTorch in float64: odd shapes, all algorithms, any threads, bad values.

Each network is a row of one to five operations on random maps, whose sizes may be 0, 1 and odd. It runs in float32,
or float64, here and in float64 in PyTorch, forward and backward, twice: on ordinary numbers, and with one or two
elements that are NaN, infinite, 1e38, 1e6 or denormal, in the images, a parameter or the gradient. What must hold:

- ordinary: results, gradients and running statistics within 1e-3 (float64: 1e-9) of the largest of each. Where
  PyTorch's own result moves as far when its inputs change in their last float32 digit, such as at a tie in a maximum,
  the network decides nothing and is counted as such;
- with bad elements: what they do not change in PyTorch, they do not change here; and where one of the two gives no
  finite number, both do, unless PyTorch's own float32 is no better. The latter is not asked where PyTorch multiplies an
  infinity by a zero that the definition leaves out: see `AMBIGUOUS`. Filters and gamma stay finite for the same reason.

The same seed makes the same networks. With --json FILE, a stopped run continues where it was (FILE.progress),
as long as no source has changed.
"""

import collections
import hashlib
import json

import harness
import network_steps
import numpy as np
import torch

import minitorch_cnn as mt
from minitorch_cnn import nn
from minitorch_kernels.runtime import threads

torch.set_num_threads(1)
BAD = (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e6, 1e-42)
TOLERANCE = {np.float32: 1e-3, np.float64: 1e-9}
AMBIGUOUS = (  # steps
    "abs",  # PyTorch's slope at NaN is 0 or NaN, as the vector register has it
    "batch_norm pool",  # pixels that did not win have no share in a gradient here
    "max_pool",  # of several NaN the first wins here, the last in PyTorch
    "adaptive_max_pool2d",
)
REFUSALS = (  # ours, or PyTorch's of the same, where PyTorch computes something
    "expected more than one value per channel",  # PyTorch takes a batch of no images, and makes NaN of it
    "Expected more than 1 value per channel",
    "padded pixels",
    "less than the window",
    "at least one pixel",
)


class Net:
    """What both sides run: a list of (name, ours, theirs), each called with x and its own parameters."""

    def __init__(self, rng, most):
        self.rng, self.steps, self.weights, self.kept, self.details = rng, [], [], [], []
        self.filters, self.scales = set(), set()  # indices of weights of convolutions, and of gamma
        sizes = [int(rng.choice([0, 1, 2, 3, 5, 7, 12, 16])) for _ in range(2)]
        self.shape = (min(sizes[0], 3), max(sizes[1], 1), *(int(n) for n in rng.integers(1, 14, 2)))
        self.dtype = np.float64 if rng.random() < 0.15 else np.float32
        shape = self.shape
        for _ in range(rng.integers(1, most + 1)):
            make = network_steps.STEPS[rng.integers(0, len(network_steps.STEPS))]
            if np.prod(shape) < 100_000:
                shape = make(self, shape) or shape
        if rng.random() < 0.15:
            shape = network_steps.loss(self, shape)
        self.out_shape = shape

    def draw(self, *shape):
        """Return the index of a parameter, whose values are the same on both sides."""
        self.weights.append((self.rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32))
        return len(self.weights) - 1

    def draw_filters(self, *shape):
        """Return the index of the filters of a convolution."""
        self.filters.add(len(self.weights))
        return self.draw(*shape)

    def draw_gamma(self, channels):
        """Return the index of the scale of a batch norm."""
        self.scales.add(len(self.weights))
        return self.draw(channels)

    def add(self, name, ours, theirs, details=""):
        self.steps.append((name, ours, theirs))
        self.details.append(f"{name} {details}".strip())

    def run(self, x, grad, weights, dtype=None):
        """Return output, gradients of x and all parameters, and running statistics, as computed here."""
        dtype = dtype or self.dtype
        leaves = [nn.Parameter(a.astype(dtype)) for a in (x, *weights)]
        self.kept = []
        out = leaves[0]
        for _, ours, _ in self.steps:
            out = ours(out, leaves[1:])
        out.backward(grad.astype(dtype))
        grads = (np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad for leaf in leaves)
        return [out.data, *grads, *self.kept]

    def expected(self, x, grad, weights, dtype=torch.float64):
        """Return the same from PyTorch."""
        leaves = [torch.tensor(a, dtype=dtype, requires_grad=True) for a in (x, *weights)]
        self.kept = []
        out = leaves[0] * 1.0
        for _, _, theirs in self.steps:
            out = theirs(out, leaves[1:])
        out.backward(torch.tensor(grad, dtype=dtype))
        zero = torch.zeros_like
        found = [t.detach().numpy() for t in (out, *(zero(t) if t.grad is None else t.grad for t in leaves))]
        return [*found, *self.kept]


def wrong(got, want, tolerance, largest):
    """Return whether an ordinary result is off by more than a part of its largest and a little of all results'."""
    if got.shape != want.shape:
        return True
    scale = 1 + np.abs(want).max(initial=0) + 0.01 * largest
    return bool(got.size and not np.abs(got - want).max() <= tolerance * scale)


def undecided(net, inputs, want, i, largest):
    """Return whether rounding decides result ``i``: PyTorch's float32 is off too, or its inputs' last digit matters."""
    rng, tolerance = np.random.default_rng(0), 0.1 * TOLERANCE[net.dtype]
    if net.dtype == np.float32 and wrong(net.expected(*inputs, torch.float32)[i], want[i], tolerance, largest):
        return True
    if net.dtype == np.float32 and not wrong(net.run(*inputs, np.float64)[i], want[i], TOLERANCE[np.float64], largest):
        return not wrong(net.run(*inputs)[i], want[i], 10 * TOLERANCE[np.float32], largest)  # ten times is too much
    for _ in range(8):
        moved = [a * (1 + 2e-7 * rng.standard_normal(a.shape)) for a in (*inputs[:2], *inputs[2])]
        if wrong(net.expected(moved[0], moved[1], moved[2:])[i], want[i], tolerance, largest):
            return True
    return False


def spread(got, clean, bad, only_untouched):
    """Return whether a bad element changed here what it does not change in PyTorch, or is finite on one side alone."""
    with np.errstate(all="ignore"):
        untouched = (clean == bad) & np.isfinite(clean)
        largest = np.abs(clean[untouched]).max(initial=0)
        if (~(np.abs(got - clean)[untouched] <= 1e-2 * (1 + largest))).any():
            return True
        return bool(not only_untouched and (np.isfinite(got) != np.isfinite(bad)).any())


def spoiled(net, rng, inputs):
    """Return the inputs with one or two bad elements, and their description."""
    x, grad, weights = inputs
    arrays = [x.copy(), grad.copy(), *(w.copy() for w in weights)]
    told = []
    for _ in range(rng.integers(1, 3)):
        which = int(rng.choice([0, 0, 0, *range(len(arrays))]))
        if arrays[which].size:
            array, value = arrays[which], float(rng.choice(BAD[3:] if which - 2 in net.filters | net.scales else BAD))
            array[tuple(int(rng.integers(0, n)) for n in array.shape)] = value
            told.append(f"{value:g} in {('x', 'the gradient')[which] if which < 2 else f'parameter {which - 2}'}")
    return (arrays[0], arrays[1], arrays[2:]), ", ".join(told)


def ordinary(net, inputs, want):
    """Return (the number of the first result that is wrong, or None; whether rounding decides it)."""
    largest = max(np.abs(array).max(initial=0) for array in want)
    for i, (got, expected) in enumerate(zip(net.run(*inputs), want, strict=True)):
        if wrong(got, expected, TOLERANCE[net.dtype], largest):
            return i, undecided(net, inputs, want, i, largest)
    return None, False


def spoilt(net, inputs, clean):
    """Return (the number of the first result that bad elements spoil too much, or None; whether PyTorch does it too).

    PyTorch does, in this precision, where numbers overflow on the way that float64 can hold, and at ties.
    """
    ambiguous = any(name.startswith(AMBIGUOUS) for name, *_ in net.steps)
    want = net.expected(*inputs)
    for i, got in enumerate(net.run(*inputs)):
        only_untouched = ambiguous or i - 2 in net.filters
        if spread(got, clean[i], want[i], only_untouched):
            theirs = net.expected(*inputs, torch.float32 if net.dtype == np.float32 else torch.float64)
            return i, spread(theirs[i], clean[i], want[i], only_untouched)
    return None, False


def judge(net, rng):
    """Return (what is wrong with a network, or nothing; whether it decided nothing)."""
    inputs = (*(rng.standard_normal(s).astype(np.float32) for s in (net.shape, net.out_shape)), net.weights)
    with np.errstate(all="ignore"):
        want, told = net.expected(*inputs), "ordinary"
        result, open_ = ordinary(net, inputs, want)
        if result is None and net.shape[0] and len(net.steps) <= 3:
            bad, told = spoiled(net, rng, inputs)
            if "1e+38" in told and any(name.startswith("dense") for name, *_ in net.steps):
                return "", True  # its batch norms see numbers that float32 cannot hold
            result, open_ = spoilt(net, bad, want)
    return "" if result is None or open_ else f"{told}, result {result}", open_


def sources():
    """Return a digest of everything that the result depends on."""
    folders = ("minitorch_cnn", "kernels", "tests/campaigns")
    files = sorted(path for folder in folders for path in (harness.ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


class Progress:
    """Counts of what was seen so far, kept in a file beside the record."""

    def __init__(self, record):
        self.path = record and record.with_name(f"{record.name}.progress")
        self.sources, self.done, self.steps, self.outcomes = sources(), 0, collections.Counter(), collections.Counter()
        if self.path and self.path.is_file():
            kept = json.loads(self.path.read_text())
            if kept["sources"] == self.sources:
                self.done = kept["done"]
                self.steps, self.outcomes = collections.Counter(kept["steps"]), collections.Counter(kept["outcomes"])

    def save(self):
        if self.path:
            kept = {name: getattr(self, name) for name in ("sources", "done", "steps", "outcomes")}
            self.path.write_text(json.dumps(kept))

    def table(self):
        """Print how often each step ran, and in how many networks that differed."""
        for name in sorted({name for name in self.steps if not name.startswith("! ")}):
            print(f"   {name:36} {self.steps[name]:8,} networks {self.steps[f'! {name}']:6,} with a difference")


def tried(seed):
    """Return (the network of a seed; what is wrong with it; "same", "undecided" or "refused")."""
    rng = np.random.default_rng(seed)
    count = 1 + int(rng.integers(0, threads.available_threads()))
    if threads.get_num_threads() != count:
        mt.set_num_threads(count)
    net = None
    try:
        net = Net(rng, 5)
        fault, open_ = judge(net, rng)
        return net, fault, "undecided" if open_ else "same"
    except ValueError as error:
        known = any(refusal in str(error) for refusal in REFUSALS)
        return net, "" if known else f"{type(error).__name__}: {str(error)[:150]}", "refused"
    except Exception as error:  # the next network is tried all the same
        return net, f"{type(error).__name__}: {str(error)[:150]}", "same"


def differences(length):
    """Bar 30: random networks."""
    count, progress = length(60, 100_000), Progress(length.record if length.full else None)
    for index in range(progress.done, count):
        seed = length.seed * 1_000_000 + index
        net, fault, outcome = tried(seed)
        names = {name for name, *_ in net.steps} if net else ()
        progress.steps.update(names)
        progress.outcomes["different" if fault else outcome] += 1
        if fault:
            progress.steps.update(f"! {name}" for name in names)
            print(f"   seed {seed}: {fault}: {net and (net.shape, np.dtype(net.dtype).name, net.details)}", flush=True)
        progress.done = index + 1
        if progress.done % 1000 == 0 or progress.done == count:
            progress.save()
            print(f"   {progress.done} networks: {dict(progress.outcomes)}", flush=True)
    progress.table()
    seen = progress.outcomes
    figure = (
        f"{count} networks of {sum(name[0] != '!' for name in progress.steps)} kinds of steps, {seen['refused']} "
        f"refused by name, {seen['undecided']} at ties that rounding decides, {seen['different']} differences"
    )
    return figure, not seen["different"]


if __name__ == "__main__":
    harness.main(__doc__, {"30 random networks against PyTorch": differences})
