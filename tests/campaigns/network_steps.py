"""Random steps of random networks: each runs here and in PyTorch, which `networks.py` compares.

A step is made by a function that takes a `Net` and the shape of the maps so far, adds itself to the network, and
returns the shape that it makes. All arrays are drawn from the network's own random numbers.
"""

import numpy as np
import torch
import torch.nn.functional as F

from minitorch_cnn import Tensor, nn, ops
from minitorch_kernels.conv.winograd import correlate as winograd
from tests.ops.table.windows import line_of


def interpolated(x, size, mode, align_corners):
    """Return maps at another size; no pixel is read whose weight is 0.

    PyTorch multiplies the pixel by 0, so that an infinite one beside the window makes NaN.
    """
    for axis, out in zip((2, 3), size, strict=True):
        length = x.shape[axis]
        step = (length - 1) / max(out - 1, 1) if align_corners else length / out
        weights = torch.tensor(line_of(length, out, step, mode, False, align_corners)).to(x.dtype)
        products = x.movedim(axis, -1)[..., None, :] * weights
        x = torch.where(weights == 0, torch.zeros((), dtype=x.dtype), products).sum(-1).movedim(-1, axis)
    return x


def absolute(x):
    """Return |x|, whose slope at NaN is NaN; PyTorch's is 0 or NaN, as the vector register has it."""
    fixed = x.detach()
    return x * torch.where(fixed.isnan(), fixed, fixed.sign())


def winners(x, windows):
    """Return which pixel of each window is its maximum: of several the first, and the first NaN before all others.

    PyTorch takes the last of several NaN, and so gives the gradient to another pixel.

    Parameters
    ----------
    x : torch.Tensor
        Maps, (N, C, H, W).
    windows : list of list of range
        The rows of each window, and the columns.

    Returns
    -------
    torch.Tensor
        Their indices in a map of H W pixels, (N, C, OH, OW).
    """
    rows, columns = windows
    pixels = [[i * x.shape[3] + j for i in row for j in column] for row in rows for column in columns]
    most = max(map(len, pixels), default=0)
    index = np.array([window + window[:1] * (most - len(window)) for window in pixels])  # twice the first: no matter
    won = x.detach().flatten(2)[:, :, index].numpy().argmax(-1)  # NumPy's first maximum, or first NaN
    return torch.tensor(index[np.arange(len(index)), won]).reshape(*x.shape[:2], len(rows), len(columns))


def gathered(x, pixels):
    """Return the pixels of x (N, C, H, W) that `winners` chose."""
    return x.flatten(2).gather(2, pixels.flatten(2)).reshape(pixels.shape)


def sliding(size, kernel, stride, padding):
    """Return the pixels of each window of a pool along one axis."""
    starts = range(-padding, size + padding - kernel + 1, stride)
    return [range(max(0, start), min(size, start + kernel)) for start in starts]


def max_pool(x, kernel, stride, padding):
    if not x.isnan().any():
        return F.max_pool2d(x, kernel, stride, padding)
    windows = [sliding(*axis) for axis in zip(x.shape[2:], kernel, stride, padding, strict=True)]
    return gathered(x, winners(x, windows))


def adaptive_max_pool(x, size):
    if not x.isnan().any():
        return F.adaptive_max_pool2d(x, size)
    sizes = zip(x.shape[2:], size, strict=True)
    windows = [[range(i * n // out, -(-(i + 1) * n // out)) for i in range(out)] for n, out in sizes]
    return gathered(x, winners(x, windows))


def active_norm(x, mean, var, gamma, beta, residual=0.0):
    """Return batch norm with fixed statistics and ReLU, where pixels that ReLU stops have no share.

    PyTorch multiplies their gradients of 0 by the pixel, so that an infinite one makes NaN of gamma's gradient.
    """

    def norm(x):
        return F.relu(F.batch_norm(x, mean, var, gamma, beta, False, 0.0, 1e-5) + residual)

    stopped = norm(x).detach() <= 0
    return torch.where(stopped, 0.0, norm(torch.where(stopped, 0.0, x)))


def pooled_norm(x, mean, var, gamma, beta, pool):
    """Return `active_norm` and max pooling, where pixels that did not win have no share either."""
    statistics = mean, var, gamma, beta
    windows = [sliding(n, pool, pool, 0) for n in x.shape[2:]]
    return active_norm(gathered(x, winners(active_norm(x, *statistics), windows)), *statistics)


def response_norm(x, size):
    """Return local response normalisation as it is defined; PyTorch's own spreads NaN to other channels of a window."""
    before, after = size // 2, (size - 1) // 2
    padded = F.pad((x * x).movedim(1, -1), (before, after)).movedim(-1, 1)
    energy = sum(padded[:, d : d + x.shape[1]] for d in range(size))
    return x * (1 + 1e-4 / size * energy) ** -0.75


ELEMENTWISE = {
    "relu": (ops.relu, F.relu),
    "leaky_relu": (ops.leaky_relu, F.leaky_relu),
    "gelu": (ops.gelu, F.gelu),
    "sigmoid": (ops.sigmoid, torch.sigmoid),
    "tanh": (ops.tanh, torch.tanh),
    "abs": (ops.abs, absolute),
    "dropout of nothing": (lambda x: ops.dropout(x, 0.0), lambda x: x),
    "dropout of all": (lambda x: ops.dropout(x, 1.0), lambda x: x * 0),
    "square": (lambda x: x * x, lambda x: x * x),
    "cube": (lambda x: x**3, lambda x: x**3),
    "exp": (lambda x: ops.exp(x * 0.5), lambda x: torch.exp(x * 0.5)),
    "sqrt": (lambda x: ops.sqrt(x * x + 1), lambda x: torch.sqrt(x * x + 1)),
    "log": (lambda x: ops.log(x * x + 1), lambda x: torch.log(x * x + 1)),
    "quotient": (lambda x: x / (x * x + 2), lambda x: x / (x * x + 2)),
    "negative": (lambda x: 1 - x, lambda x: 1 - x),
}
MOVES = {
    "flip": (lambda x: ops.flip(x, (2, 3)), lambda x: torch.flip(x, (2, 3))),
    "transpose": (lambda x: ops.transpose(x, (0, 1, 3, 2)), lambda x: x.permute(0, 1, 3, 2)),
    "shuffle": (lambda x: x[:, ::-1], lambda x: torch.flip(x, (1,))),
    "twice": (lambda x: x[:, [0, *range(x.shape[1])]], lambda x: x[:, [0, *range(x.shape[1])]]),
    "split": (lambda x: ops.concat(ops.split(x, [1, x.shape[1] - 1])[::-1]), lambda x: torch.roll(x, -1, 1)),
    "stack": (lambda x: ops.stack([x, x], 1).sum(1), lambda x: torch.stack([x, x], 1).sum(1)),
    "flatten": (lambda x: ops.flatten(x).reshape(x.shape), lambda x: x.reshape(x.shape)),
}
REDUCTIONS = {
    "sum": (lambda x, a: x.sum(a, keepdims=True), lambda x, a: x.sum(a, keepdim=True)),
    "mean": (lambda x, a: x.mean(a, keepdims=True), lambda x, a: x.mean(a, keepdim=True)),
    "max": (lambda x, a: x.max(a, keepdims=True), lambda x, a: x.max(a, keepdim=True)[0]),
    "min": (lambda x, a: x.min(a, keepdims=True), lambda x, a: x.min(a, keepdim=True)[0]),
    "var": (lambda x, a: x.var(a, keepdims=True), lambda x, a: x.var(a, correction=0, keepdim=True)),
}


def conv(net, shape):
    rng, (_, channels, *size) = net.rng, shape
    groups = int(rng.choice([g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0]))
    out_channels = groups * int(rng.choice([1, 2, 3, 5, 16]))
    like_winograd = rng.random() < 0.5
    kernel = [int(rng.choice([3, 5]))] * 2 if like_winograd else [int(k) for k in rng.integers(1, 6, 2)]
    stride, dilation = ([1, 1], [1, 1]) if like_winograd else ([int(n) for n in rng.integers(1, 4, 2)] for _ in "sd")
    if like_winograd and kernel == [3, 3] and out_channels == 3:  # no further draw, so seeds keep their networks
        stride = [2, 2]
    least = [max(0, -(-(d * (k - 1) + 1 - n) // 2)) for d, k, n in zip(dilation, kernel, size, strict=True)]
    padding = [int(n + rng.integers(0, 3)) for n in least]
    weight, bias = net.draw_filters(out_channels, channels // groups, *kernel), net.draw(out_channels)
    fits = winograd.supports(tuple(kernel), tuple(stride), tuple(dilation), groups)
    names = ["auto", "auto", "direct", "im2col", *["winograd"] * fits, *["reference"] * int(np.prod(shape) < 100)]
    hyper = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    algorithm = str(rng.choice(names))
    net.transformed |= {weight} if algorithm == "winograd" else set()

    def layer(x, p):
        made = nn.Conv2d(channels, out_channels, tuple(kernel), **hyper)
        made.weight, made.bias = p[weight], p[bias]
        return made(x)

    def operation(x, p):
        return ops.conv2d(x, p[weight], p[bias], algorithm=algorithm, **hyper)

    as_layer = algorithm == "auto" and rng.random() < 0.3
    net.add(
        "conv layer" if as_layer else f"conv {algorithm}",
        layer if as_layer else operation,
        lambda x, p: F.conv2d(x, p[weight], p[bias], **hyper),
        f"{kernel} {hyper}",
    )
    extent = zip(size, padding, dilation, kernel, stride, strict=True)
    return shape[0], out_channels, *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in extent)


def conv1d(net, shape):
    weight, hyper = net.draw_filters(3, shape[1], 3), {"padding": int(net.rng.integers(1, 4)), "stride": 2}
    width = (shape[2] * shape[3] + 2 * hyper["padding"] - 3) // 2 + 1

    def line(x):
        return x.reshape(shape[0], shape[1], shape[2] * shape[3])

    net.add(
        "conv1d",
        lambda x, p: ops.conv1d(line(x), p[weight], **hyper).reshape(shape[0], 3, 1, width),
        lambda x, p: F.conv1d(line(x), p[weight], **hyper).reshape(shape[0], 3, 1, width),
    )
    return shape[0], 3, 1, width


def response(net, shape):
    size = int(net.rng.integers(1, 6))
    net.add("lrn", lambda x, p: ops.local_response_norm(x, size), lambda x, p: response_norm(x, size), str(size))


def norm(net, shape):
    """Add batch norm, alone or with ReLU, a residual or pooling; its running statistics are results too."""
    rng, channels, training = net.rng, shape[1], bool(net.rng.random() < 0.5)
    gamma, beta = net.draw_gamma(channels), net.draw(channels)
    mean, var = rng.standard_normal(channels).astype(np.float32), (0.5 + rng.random(channels)).astype(np.float32)
    kind = str(rng.choice(["plain", "relu", "residual", "pool"]))
    pool = int(rng.integers(2, 4)) if kind == "pool" and min(shape[2:]) > 2 else 1
    options = {"training": training, "eps": 1e-5}

    def ours(x, p):
        statistics = mean.astype(x.dtype), var.astype(x.dtype)
        if kind == "plain":
            out = ops.batch_norm(x, p[gamma], p[beta], *statistics, **options)
        else:
            residual = x if kind == "residual" else None
            out = ops.batch_norm_relu(x, p[gamma], p[beta], *statistics, pool=pool, residual=residual, **options)
        net.kept.extend(statistics)
        return out

    def theirs(x, p):
        statistics = [torch.tensor(a, dtype=x.dtype) for a in (mean, var)]
        out = F.batch_norm(x, *statistics, p[gamma], p[beta], training, 0.1, 1e-5)
        net.kept.extend(a.numpy() for a in statistics)
        if pool > 1 and not training and not x.isfinite().all():
            return pooled_norm(x, *statistics, p[gamma], p[beta], pool)
        if kind != "plain" and not training and not x.isfinite().all():
            return active_norm(x, *statistics, p[gamma], p[beta], x if kind == "residual" else 0.0)
        out = out if kind == "plain" else F.relu(out + x if kind == "residual" else out)
        return max_pool(out, (pool, pool), (pool, pool), (0, 0)) if pool > 1 else out

    net.add(f"batch_norm {kind} {'training' if training else 'evaluation'}", ours, theirs, f"pool {pool}")
    return *shape[:2], shape[2] // pool, shape[3] // pool


def dense(net, shape):
    """Add a block of DenseNet of one or two layers, with and without a bottleneck."""
    rng, channels, layers = net.rng, shape[1], []
    training = bool(rng.random() < 0.5)
    for _ in range(rng.integers(1, 3)):
        sizes, stages = ([1, 3] if rng.random() < 0.5 else [3]), []
        inputs = channels
        for size in sizes:
            outputs = int(rng.integers(1, 5))
            drawn = net.draw_gamma(inputs), net.draw(inputs), net.draw_filters(outputs, inputs, size, size)
            drawn = *drawn, net.draw(outputs)
            statistics = (a.astype(np.float32) for a in (rng.standard_normal(inputs), 0.5 + rng.random(inputs)))
            stages.append((*drawn, size, *statistics))
            inputs = outputs
        layers.append(stages)
        channels += inputs

    def ours(x, p):
        def stage(gamma, beta, weight, bias, size, mean, var):
            norm = {"running_mean": mean.astype(x.dtype), "running_var": var.astype(x.dtype)}
            hyper = {"stride": (1, 1), "padding": (size // 2,) * 4, "dilation": (1, 1), "groups": 1}
            options = {"training": training, "momentum": 0.1, "eps": 1e-5}
            return ops.DenseNetStage(*(p[k] for k in (gamma, beta, weight, bias)), norm | options, hyper)

        return ops.dense_block(x, [[stage(*one) for one in stages] for stages in layers])

    def theirs(x, p):
        for stages in layers:
            maps = x
            for gamma, beta, weight, bias, size, mean, var in stages:
                norm = *(torch.tensor(a, dtype=x.dtype) for a in (mean, var)), p[gamma], p[beta]
                if training or maps.isfinite().all():
                    maps = F.relu(F.batch_norm(maps, *norm, training, 0.1, 1e-5))
                else:
                    maps = active_norm(maps, *norm)
                maps = net.between("dense_block", F.conv2d(maps, p[weight], p[bias], padding=size // 2))
            x = torch.cat([x, maps], 1)
        return x

    net.add(f"dense_block {'training' if training else 'evaluation'}", ours, theirs, str([len(s) for s in layers]))
    return shape[0], channels, *shape[2:]


def pool(net, shape):
    rng, size = net.rng, shape[2:]
    kernel = tuple(int(rng.integers(1, min(n, 4) + 1)) for n in size)
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    count = bool(rng.random() < 0.5)
    ours = {"stride": stride, "padding": padding}
    if rng.random() < 0.5:
        both = lambda x, p: ops.max_pool2d(x, kernel, **ours), lambda x, p: max_pool(x, kernel, stride, padding)
        net.add("max_pool", *both, f"{kernel} {ours}")
    else:
        net.add(
            "avg_pool",
            lambda x, p: ops.avg_pool2d(x, kernel, count_include_pad=count, **ours),
            lambda x, p: F.avg_pool2d(x, kernel, stride, padding, False, count),
            f"{kernel} {ours} {count}",
        )
    return *shape[:2], *((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, kernel, stride, strict=True))


def adaptive(net, shape):
    size = tuple(int(n) for n in net.rng.integers(1, 6, 2))
    name = str(net.rng.choice(["adaptive_avg_pool2d", "adaptive_max_pool2d"]))
    theirs = {"adaptive_avg_pool2d": F.adaptive_avg_pool2d, "adaptive_max_pool2d": adaptive_max_pool}[name]
    net.add(name, lambda x, p: getattr(ops, name)(x, size), lambda x, p: theirs(x, size), str(size))
    return *shape[:2], *size


def elementwise(net, shape):
    name = str(net.rng.choice(list(ELEMENTWISE)))
    ours, theirs = ELEMENTWISE[name]
    net.add(name, lambda x, p: ours(x), lambda x, p: theirs(x))


def move(net, shape):
    name = str(net.rng.choice(list(MOVES)))
    ours, theirs = MOVES[name]
    net.add(name, lambda x, p: ours(x), lambda x, p: theirs(x))
    lengths = {"transpose": (*shape[:2], shape[3], shape[2]), "twice": (shape[0], shape[1] + 1, *shape[2:])}
    return lengths.get(name, shape)


def reduction(net, shape):
    """Add x minus a tenth of its sum, mean, ... along an axis, so that broadcasting has its gradient too."""
    name, axis = str(net.rng.choice(list(REDUCTIONS))), int(net.rng.integers(1, 4))
    ours, theirs = REDUCTIONS[name]
    net.add(f"{name} {axis}", lambda x, p: x - ours(x, axis) * 0.1, lambda x, p: x - theirs(x, axis) * 0.1)


def resize(net, shape):
    size = tuple(int(n) for n in net.rng.integers(1, 9, 2))
    mode = str(net.rng.choice(["nearest", "bilinear", "bicubic"]))
    options = {"mode": mode, "align_corners": mode != "nearest" and bool(net.rng.integers(2))}
    both = lambda x, p: ops.resize(x, size, **options), lambda x, p: interpolated(x, size, **options)
    net.add(f"resize {mode}", *both, str(size))
    return *shape[:2], *size


def softmax(net, shape):
    axis, name = int(net.rng.integers(1, 4)), str(net.rng.choice(["softmax", "log_softmax"]))
    net.add(f"{name} {axis}", lambda x, p: getattr(ops, name)(x, axis), lambda x, p: getattr(F, name)(x, axis))


def pad(net, shape):
    ends = [int(n) for n in net.rng.integers(0, 3, 4)]
    mirrored = net.rng.random() < 0.3 and max(ends[:2]) < shape[2] and max(ends[2:]) < shape[3]
    mine, mode = ((0, 0), (0, 0), ends[:2], ends[2:]), "reflect" if mirrored else "constant"
    net.add(
        f"pad {mode}",
        lambda x, p: ops.pad(x, mine, "reflect" if mirrored else "zero"),
        lambda x, p: F.pad(x, (*ends[2:], *ends[:2]), mode),
        str(ends),
    )
    return *shape[:2], shape[2] + sum(ends[:2]), shape[3] + sum(ends[2:])


def shortcut(net, shape):
    scale = net.draw(shape[1], 1, 1)
    net.add("scale", lambda x, p: x + x * p[scale], lambda x, p: x + x * p[scale])
    if net.rng.random() < 0.3:
        net.add("concat", lambda x, p: ops.concat([x, x]), lambda x, p: torch.cat([x, x], 1))
        return shape[0], 2 * shape[1], *shape[2:]
    return shape


def linear(net, shape):
    weight, bias = net.draw(4, shape[3]), net.draw(4)
    net.add(
        "linear",
        lambda x, p: ops.linear(x, p[weight], p[bias]),
        lambda x, p: F.linear(x, p[weight], p[bias]),
    )
    return *shape[:3], 4


def loss(net, shape):
    """Add a loss, the last step: its mean, sum, or one for each image."""
    rng, (batch, *lengths) = net.rng, shape
    classes, reduce = int(np.prod(lengths)), str(net.rng.choice(["mean", "sum", "none"]))
    labels, smoothing = rng.integers(0, classes, batch), float(rng.choice([0.0, 0.1, 1.0]))
    target = rng.standard_normal((batch, classes)).astype(np.float32)
    name = str(rng.choice(["cross_entropy", "nll_loss", "mse_loss"]))
    smooth = {"label_smoothing": smoothing} if name == "cross_entropy" else {}

    def ours(x, p):
        x = x.reshape(batch, classes)
        wanted = Tensor(target.astype(x.dtype)) if name == "mse_loss" else labels
        return getattr(ops, name)(x, wanted, reduction=reduce, **smooth)

    def theirs(x, p):
        x = x.reshape(batch, classes)
        wanted = torch.tensor(target, dtype=x.dtype) if name == "mse_loss" else torch.tensor(labels)
        return getattr(F, name)(x, wanted, reduction=reduce, **smooth)

    net.add(f"{name} {reduce}", ours, theirs, str(smooth))
    return () if reduce != "none" else (batch, classes) if name == "mse_loss" else (batch,)


STEPS = (
    *(conv,) * 4,
    *(norm, pool) * 2,
    *(conv1d, response, dense, adaptive, elementwise, move, reduction, resize, softmax, pad, shortcut, linear),
)
