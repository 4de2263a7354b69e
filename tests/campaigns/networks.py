"""Random networks of all layers against PyTorch in float64: odd shapes, all algorithms, any threads, bad values.

Each network is a row of one to five operations on random maps, whose sizes may be 0, 1 and odd. It runs in float32
here and in float64 in PyTorch, forward and backward, twice: on ordinary numbers, and with one element that is NaN,
infinite, 1e38, 1e6 or a denormal. What must hold:

- ordinary: results and gradients within 1e-3 of the largest of each, for every network;
- with the bad element: what it does not change in PyTorch, it does not change here; and where one of the
  two gives no finite number, both do, unless the float64 number would be too large for float32.

The same seed makes the same networks.
"""

import collections

import harness
import numpy as np
import torch
import torch.nn.functional as F

import minitorch_cnn as mt
from minitorch_cnn import Tensor, ops
from minitorch_kernels.runtime import threads

torch.set_num_threads(1)
BAD = (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e6, 1e-42)
TOO_LARGE = 1e30  # beyond this float32 may overflow on the way, where float64 does not
ELEMENTWISE = {
    "relu": (ops.relu, F.relu),
    "leaky_relu": (ops.leaky_relu, F.leaky_relu),
    "gelu": (ops.gelu, F.gelu),
    "sigmoid": (ops.sigmoid, torch.sigmoid),
    "tanh": (ops.tanh, torch.tanh),
    "abs": (ops.abs, torch.abs),
    "dropout": (lambda x: ops.dropout(x, 0.0), lambda x: x),
    "square": (lambda x: x * x, lambda x: x * x),
}
REFUSALS = ("expected more than one value per channel", "padded pixels", "less than the window", "at least one pixel")


class Net:
    """What both sides run: a list of (name, ours, theirs), each called with x and its own parameters."""

    def __init__(self, rng, most):
        self.rng, self.steps, self.weights = rng, [], []
        sizes = [int(rng.choice([0, 1, 2, 3, 5, 7, 12, 16])) for _ in range(2)]
        self.shape = (min(sizes[0], 3), max(sizes[1], 1), *(int(n) for n in rng.integers(1, 14, 2)))
        shape = self.shape
        for _ in range(rng.integers(1, most + 1)):
            make = (conv, conv, norm, pool, adaptive, elementwise, resize, softmax, pad, shortcut)[rng.integers(0, 10)]
            shape = make(self, shape) or shape
        self.out_shape = shape

    def draw(self, *shape):
        """Return a parameter's values, the same on both sides."""
        self.weights.append((self.rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))).astype(np.float32))
        return len(self.weights) - 1

    def add(self, name, ours, theirs):
        self.steps.append((name, ours, theirs))

    def run(self, x, grad):
        """Return output and gradients here, of x and all parameters."""
        leaves = [Tensor(a.copy(), requires_grad=True) for a in (x, *self.weights)]
        out = leaves[0]
        for _, ours, _ in self.steps:
            out = ours(out, leaves[1:])
        out.backward(grad)
        return [out.data, *(np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad for leaf in leaves)]

    def expected(self, x, grad):
        """Return the same from PyTorch in float64."""
        leaves = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, *self.weights)]
        out = leaves[0] * 1.0
        for _, _, theirs in self.steps:
            out = theirs(out, leaves[1:])
        out.backward(torch.tensor(grad.astype(np.float64)))
        zero = torch.zeros_like
        return [t.detach().numpy() for t in (out, *(zero(t) if t.grad is None else t.grad for t in leaves))]


def conv(net, shape):
    rng, (_, channels, *size) = net.rng, shape
    groups = int(rng.choice([g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0]))
    out_channels = groups * int(rng.choice([1, 2, 3, 5, 16]))
    like_winograd = rng.random() < 0.5
    kernel = [int(rng.choice([3, 5]))] * 2 if like_winograd else [int(k) for k in rng.integers(1, 6, 2)]
    stride, dilation = ([1, 1], [1, 1]) if like_winograd else ([int(n) for n in rng.integers(1, 4, 2)] for _ in "sd")
    least = [max(0, -(-(d * (k - 1) + 1 - n) // 2)) for d, k, n in zip(dilation, kernel, size, strict=True)]
    padding = [int(n + rng.integers(0, 3)) for n in least]
    weight, bias = net.draw(out_channels, channels // groups, *kernel), net.draw(out_channels)
    fits = kernel[0] == kernel[1] and kernel[0] in (3, 5) and (stride, dilation, groups) == ([1, 1], [1, 1], 1)
    names = ["auto", "auto", "direct", "im2col", *["winograd"] * fits, *["reference"] * int(np.prod(shape) < 100)]
    hyper = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    algorithm = str(rng.choice(names))
    net.add(
        f"conv {algorithm} {kernel} {hyper}",
        lambda x, p: ops.conv2d(x, p[weight], p[bias], algorithm=algorithm, **hyper),
        lambda x, p: F.conv2d(x, p[weight], p[bias], **hyper),
    )
    extent = zip(size, padding, dilation, kernel, stride, strict=True)
    return shape[0], out_channels, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in extent)


def norm(net, shape):
    channels, training = shape[1], bool(net.rng.random() < 0.5)
    gamma, beta = net.draw(channels), net.draw(channels)
    mean, var = net.rng.standard_normal(channels), 0.5 + net.rng.random(channels)
    if net.rng.random() < 0.3:
        net.add("lrn", lambda x, p: ops.local_response_norm(x, 3), lambda x, p: F.local_response_norm(x, 3))
        return
    fused = training and min(shape[2:]) > 1 and net.rng.random() < 0.5
    options = {"training": training, "eps": 1e-5}

    def ours(x, p):
        statistics = mean.astype(np.float32), var.astype(np.float32)
        run = ops.batch_norm_relu if fused else ops.batch_norm
        return run(x, p[gamma], p[beta], *statistics, **options)

    def theirs(x, p):
        statistics = (torch.tensor(a.astype(np.float32).astype(np.float64)) for a in (mean, var))
        out = F.batch_norm(x, *statistics, p[gamma], p[beta], training, 0.1, 1e-5)
        return F.relu(out) if fused else out

    net.add(f"batch_norm {training} {fused}", ours, theirs)


def pool(net, shape):
    rng, size = net.rng, shape[2:]
    kernel = tuple(int(rng.integers(1, min(n, 4) + 1)) for n in size)
    stride, padding = (
        tuple(int(n) for n in rng.integers(1, 4, 2)),
        tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel),
    )
    count = bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        net.add(
            "max_pool",
            lambda x, p: ops.max_pool2d(x, kernel, stride=stride, padding=padding),
            lambda x, p: F.max_pool2d(x, kernel, stride, padding),
        )
    else:
        net.add(
            "avg_pool",
            lambda x, p: ops.avg_pool2d(x, kernel, stride=stride, padding=padding, count_include_pad=count),
            lambda x, p: F.avg_pool2d(x, kernel, stride, padding, False, count),
        )
    return *shape[:2], *((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True))


def adaptive(net, shape):
    size = tuple(int(n) for n in net.rng.integers(1, 6, 2))
    name = str(net.rng.choice(["adaptive_avg_pool2d", "adaptive_max_pool2d"]))
    net.add(name, lambda x, p: getattr(ops, name)(x, size), lambda x, p: getattr(F, name)(x, size))
    return *shape[:2], *size


def elementwise(net, shape):
    name = str(net.rng.choice(list(ELEMENTWISE)))
    ours, theirs = ELEMENTWISE[name]
    net.add(name, lambda x, p: ours(x), lambda x, p: theirs(x))


def resize(net, shape):
    size = tuple(int(n) for n in net.rng.integers(1, 9, 2))
    net.add("resize", lambda x, p: ops.resize(x, size), lambda x, p: F.interpolate(x, size, mode="bilinear"))
    return *shape[:2], *size


def softmax(net, shape):
    axis, name = int(net.rng.integers(1, 4)), str(net.rng.choice(["softmax", "log_softmax"]))
    net.add(f"{name} {axis}", lambda x, p: getattr(ops, name)(x, axis), lambda x, p: getattr(F, name)(x, axis))


def pad(net, shape):
    ends = [int(n) for n in net.rng.integers(0, 3, 4)]
    mine = ((0, 0), (0, 0), ends[:2], ends[2:])
    net.add("pad", lambda x, p: ops.pad(x, mine), lambda x, p: F.pad(x, (*ends[2:], *ends[:2])))
    return *shape[:2], shape[2] + sum(ends[:2]), shape[3] + sum(ends[2:])


def shortcut(net, shape):
    scale = net.draw(shape[1], 1, 1)
    net.add("scale", lambda x, p: x + x * p[scale], lambda x, p: x + x * p[scale])
    if net.rng.random() < 0.3:
        net.add("concat", lambda x, p: ops.concat([x, x]), lambda x, p: torch.cat([x, x], 1))
        return shape[0], 2 * shape[1], *shape[2:]
    return None


def wrong(got, want):
    """Return whether an ordinary result is off by more than 1e-3 of the largest."""
    if got.shape != want.shape:
        return True
    return got.size and not np.abs(got - want).max() <= 1e-3 * (1 + np.abs(want).max())


def spread(got, clean, bad):
    """Return whether a bad element changed here what it does not change in PyTorch, or is finite on one side alone."""
    with np.errstate(all="ignore"):
        untouched = (clean == bad) & np.isfinite(clean)
        largest = np.abs(clean[untouched]).max(initial=0)
        if (~(np.abs(got - clean)[untouched] <= 1e-2 * (1 + largest))).any():
            return True
        small = ~(np.abs(bad) > TOO_LARGE) | ~np.isfinite(bad)
        return (np.isfinite(got) != np.isfinite(bad))[small].any()


def judge(net, rng):
    """Return what is wrong with a network, or nothing."""
    x, grad = (rng.standard_normal(s).astype(np.float32) for s in (net.shape, net.out_shape))
    with np.errstate(all="ignore"):
        want = net.expected(x, grad)
        for i, (got, expected) in enumerate(zip(net.run(x, grad), want, strict=True)):
            if wrong(got, expected):
                return f"ordinary, result {i}"
        if not x.size or len(net.steps) > 3:
            return ""
        value = float(rng.choice(BAD))
        x[tuple(int(rng.integers(0, n)) for n in x.shape)] = value
        for i, (got, clean, bad) in enumerate(zip(net.run(x, grad), want, net.expected(x, grad), strict=True)):
            if i < 2 and spread(got, clean, bad):
                return f"{value:g}, result {i}"
    return ""


def differences(length):
    """Bar 30: random networks."""
    count, found, refused = length(60, 100_000), collections.Counter(), 0
    for seed in range(length.seed * 1_000_000, length.seed * 1_000_000 + count):
        rng = np.random.default_rng(seed)
        mt.set_num_threads(int(rng.integers(1, threads.available_threads() + 1)))
        net = Net(rng, 5)
        try:
            fault = judge(net, rng)
        except ValueError as error:
            fault = "" if any(known in str(error) for known in REFUSALS) else f"{type(error).__name__}: {error}"
            refused += not fault
        except Exception as error:  # the next network is tried all the same
            fault = f"{type(error).__name__}: {str(error)[:150]}"
        if fault:
            found[fault] += 1
            print(f"   seed {seed}: {fault}: {net.shape} {[name for name, *_ in net.steps]}", flush=True)
        if seed % 1000 == 999:
            print(f"   {seed + 1 - length.seed * 1_000_000} networks, {sum(found.values())} differences", flush=True)
    figure = (
        f"{count} networks, {refused} refused by name on both sides or by design, {sum(found.values())} differences"
    )
    return figure, not found


if __name__ == "__main__":
    harness.main(__doc__, {"30 random networks against PyTorch": differences})
