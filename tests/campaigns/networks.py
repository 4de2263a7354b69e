"""Random networks of all operations against PyTorch in float64: odd shapes, all algorithms, any threads, bad values.

Each network is a row of one to five operations on random maps, whose sizes may be 0, 1 and odd. It runs in float32,
or float64, here and in float64 in PyTorch, forward and backward, twice: on ordinary numbers, and with one or two
elements that are NaN, infinite, 1e38, 1e6 or denormal, in the images, a parameter or the gradient. What must hold:

- ordinary: results, gradients and running statistics within 1e-3 (float64: 1e-9) of the largest of each. Where
  PyTorch's own result moves as far when its inputs change in their last float32 digit, such as at a tie in a maximum,
  the network decides nothing and is counted as such;
- with bad elements: what they do not change in PyTorch, they do not change here; and where one of the two gives no
  finite number, both do. Filters and gamma stay finite: PyTorch multiplies an infinite tap by the zeros of padding.

What the definition itself leaves open is written out in `network_steps`, so that nothing is left out: of several NaN
in a window the first wins, |x| has the slope NaN at NaN, pixels that did not win have no share in gamma's gradient.
With bad elements a difference is undecided in two cases only, each of its elements by itself:

- rounding decides it: PyTorch, in the same precision, differs there too when a few rounding errors move what its steps
  get and give (`Rounding`, which moves no zero, so that what spreads to untouched elements is never excused);
- float32 cannot hold the numbers on the way: see `too_large`.

`test_networks.py` plants faults of each kind and wants them found.

The same seed makes the same networks. With --json FILE, a stopped run continues where it was (FILE.progress),
as long as no source has changed.
"""

import collections

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
TIE, ROUNDING, OVERFLOW = (  # why a network decides nothing
    "at ties that rounding decides",
    "with bad elements that rounding decides",
    "with numbers that float32 cannot hold",
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
        self.transformed = set()  # indices of weights of Winograd's convolutions
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

    def expected(self, x, grad, weights, dtype=torch.float64, between=None):
        """Return the same from PyTorch; ``between(name, maps)`` may change what each step gets, and its gradient."""
        leaves = [torch.tensor(a, dtype=dtype, requires_grad=True) for a in (x, *weights)]
        between = self.between = between or (lambda name, maps: maps)
        self.kept = []
        out, used = leaves[0] * 1.0, leaves[1:]
        for k in self.transformed:
            used[k] = between("conv winograd's filters", used[k])
        for name, _, theirs in self.steps:
            out = between(name, theirs(between(name, out), used))
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


def spread(got, clean, bad, only_untouched, tolerance=1e-2):
    """Return where a bad element changed what it does not change in PyTorch, or where only one of the two is finite."""
    with np.errstate(all="ignore"):
        untouched = (clean == bad) & np.isfinite(clean)
        largest = np.abs(clean[untouched]).max(initial=0)
        changed = untouched & ~(np.abs(got - clean) <= tolerance * (1 + largest))
        return changed if only_untouched else changed | (np.isfinite(got) != np.isfinite(bad))


class Rounding:
    """Moves what PyTorch's steps get and give, and their gradients, by a few rounding errors of each element.

    A zero stays zero, so that no error reaches what does not depend on it. Winograd's algorithm alone, where a network
    asks for it, is granted rounding errors of the largest element: it is documented to make them beside zeros.
    """

    def __init__(self, rng, eps):
        self.rng, self.eps = rng, eps

    def moved(self, name, values):
        sizes = np.abs(values)
        if name.startswith("conv winograd"):
            together = {"conv winograd": (1, 2, 3), "conv winograd's filters": (2, 3)}[name]  # the same sums
            finite = np.where(np.isfinite(values), sizes, 0)
            sizes = np.maximum(sizes, 16 * finite.max(together, keepdims=True, initial=0))
        return (values + self.eps * sizes * self.rng.standard_normal(values.shape)).astype(values.dtype)

    def __call__(self, name, maps):
        maps.register_hook(lambda grad: torch.tensor(self.moved(name, grad.numpy())))
        moved = torch.tensor(self.moved(name, maps.detach().numpy()))
        return maps + torch.where(maps.isfinite(), moved - maps, 0).detach()


class Largest:
    """The largest finite element of all maps and gradients between PyTorch's steps."""

    def __init__(self):
        self.found = 0.0

    def see(self, values):
        finite = values[values.isfinite()]
        self.found = max(self.found, float(finite.abs().max()) if len(finite) else 0.0)

    def __call__(self, name, maps):
        self.see(maps.detach())
        maps.register_hook(self.see)
        return maps


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
    """Return (the number of the first result that is wrong, or None; why it decides nothing, or None)."""
    largest = max(np.abs(array).max(initial=0) for array in want)
    for i, (got, expected) in enumerate(zip(net.run(*inputs), want, strict=True)):
        if wrong(got, expected, TOLERANCE[net.dtype], largest):
            return i, TIE if undecided(net, inputs, want, i, largest) else None
    return None, None


def too_large(net, inputs, clean, want, i, only_untouched, faults):
    """Return whether float32 cannot hold numbers on the way to the ``faults`` of result ``i``.

    So it is if some square passes its largest number, if the same code is right in float64, and if a NaN in the place
    of the large elements reaches each of the faults in PyTorch too.
    """
    largest = Largest()
    net.expected(*inputs, between=largest)
    if net.dtype == np.float64 or largest.found**2 < np.finfo(np.float32).max:
        return False
    marked = [np.where(np.abs(a) > 1e18, np.float32(np.nan), a) for a in (*inputs[:2], *inputs[2])]
    reached = net.expected(marked[0], marked[1], marked[2:])[i] != clean[i]
    in_float64 = spread(net.run(*inputs, np.float64)[i], clean[i], want[i], only_untouched)
    return not in_float64.any() and not (faults & ~reached).any()


def decided_by_rounding(net, inputs, clean, want, i, only_untouched, faults):
    """Return whether PyTorch in this precision differs at all ``faults`` of result ``i`` too, as its rounding falls."""
    rng, left = np.random.default_rng(0), faults.copy()
    precision = torch.float32 if net.dtype == np.float32 else torch.float64
    for attempt in range(16):
        between = Rounding(rng, 2 * np.finfo(net.dtype).eps) if attempt else None
        theirs = net.expected(*inputs, precision, between)[i]
        left &= ~spread(theirs, clean[i], want[i], only_untouched, 1e-3)
        if not left.any():
            return True
    return False


def spoilt(net, inputs, clean):
    """Return (the number of the first result that bad elements spoil too much, or None; why it decides nothing)."""
    want = net.expected(*inputs)
    for i, got in enumerate(net.run(*inputs)):
        only_untouched = i - 2 in net.filters
        faults = spread(got, clean[i], want[i], only_untouched)
        if faults.any():
            case = net, inputs, clean, want, i, only_untouched, faults
            return i, ROUNDING if decided_by_rounding(*case) else OVERFLOW if too_large(*case) else None
    return None, None


def judge(net, rng):
    """Return (what is wrong with a network, or nothing; the outcome, if it is not a fault)."""
    inputs = (*(rng.standard_normal(s).astype(np.float32) for s in (net.shape, net.out_shape)), net.weights)
    with np.errstate(all="ignore"):
        want, told = net.expected(*inputs), "ordinary"
        result, why = ordinary(net, inputs, want)
        if result is None and net.shape[0] and len(net.steps) <= 3:
            bad, told = spoiled(net, rng, inputs)
            result, why = spoilt(net, bad, want)
    return "" if result is None or why else f"{told}, result {result}", why or "the same"


def table(steps):
    """Print how often each step ran, and in how many networks that differed."""
    for name in sorted({name for name in steps if not name.startswith("! ")}):
        print(f"   {name:36} {steps[name]:8,} networks {steps[f'! {name}']:6,} with a difference")


def tried(seed):
    """Return (the network of a seed; what is wrong with it; the outcome)."""
    rng = np.random.default_rng(seed)
    count = 1 + int(rng.integers(0, threads.available_threads()))
    if threads.get_num_threads() != count:
        mt.set_num_threads(count)
    net = None
    try:
        net = Net(rng, 5)
        return net, *judge(net, rng)
    except ValueError as error:
        known = any(refusal in str(error) for refusal in REFUSALS)
        return net, "" if known else f"{type(error).__name__}: {str(error)[:150]}", "refused by name"
    except Exception as error:  # the next network is tried all the same
        return net, f"{type(error).__name__}: {str(error)[:150]}", "the same"


def differences(length):
    """Bar 30: random networks."""
    count = length(60, 100_000)
    progress = harness.Progress(length, done=0, steps=collections.Counter(), outcomes=collections.Counter())
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
    table(progress.steps)
    seen = progress.outcomes
    outcomes = ", ".join(f"{seen[name]} {name}" for name in ("the same", "refused by name", TIE, ROUNDING, OVERFLOW))
    steps = sum(name[0] != "!" for name in progress.steps)
    figure = f"{count} networks of {steps} kinds of steps: {outcomes}, {seen['different']} differences"
    return figure, not seen["different"]


if __name__ == "__main__":
    harness.main(__doc__, {"30 random networks against PyTorch": differences})
