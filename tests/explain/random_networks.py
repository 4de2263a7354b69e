"""Random networks of everything that an operation can read, and what a gradient says about them."""

import numpy as np
from hypothesis import strategies as st

from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops.reads import Windows

CHANNELS = 4


class Blur(Function):
    """A user's own operation: the mean of three neighbours below each other; it does not say what it reads."""

    @staticmethod
    def forward(ctx, x):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
        return (padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]) / 3

    @staticmethod
    def backward(ctx, grad_out):
        return Blur.forward(ctx, grad_out)


class DeclaredBlur(Blur):
    """The same, and it says so."""

    reads, kind = Windows((3, 1), padding=(1, 0), groups=None), "pointwise"


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


class Join(nn.Module):
    """Two branches that give maps of one size, and what joins them."""

    def __init__(self, left, right, join):
        self.left, self.right, self.join = left, right, join

    def forward(self, x):
        return self.join(self.left(x), self.right(x))


class Gate(nn.Module):
    """Squeeze and excite: each channel is scaled by what the whole map says."""

    def __init__(self):
        self.gate = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        return x * ops.sigmoid(self.gate(ops.mean(x, (2, 3), keepdims=True)))


def shuffle(x):
    n, c, h, w = x.shape
    return ops.reshape(ops.transpose(ops.reshape(x, (n, 2, c // 2, h, w)), (0, 2, 1, 3, 4)), (n, c, h, w))


def crop(x):
    return x[:, :, 1:-1, 1:]


PLAIN = {
    "relu": nn.ReLU,
    "batch norm": lambda: nn.BatchNorm2d(CHANNELS),
    "response norm": lambda: nn.LocalResponseNorm(3),
    "global gate": Gate,
    "shuffle": lambda: Apply(shuffle),
    "flip": lambda: Apply(lambda x: ops.flip(x, 3)),
    "crop": lambda: Apply(crop),
    "mirror": lambda: Apply(lambda x: ops.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")),
    "transpose": lambda: Apply(lambda x: ops.transpose(x, (0, 1, 3, 2))),
    # Times x, as the sum of a softmax is constant: its gradient would cancel.
    "softmax of rows": lambda: Apply(lambda x: ops.softmax(x, axis=3) * x),
    "product": lambda: Apply(lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2)))),
    "own": lambda: Apply(Blur.apply),
    "own, declared": lambda: Apply(DeclaredBlur.apply),
}


@st.composite
def layers(draw, depth=2):
    """A layer that takes maps of CHANNELS channels and gives maps of CHANNELS channels."""
    kind = draw(st.sampled_from(["conv", "conv", "pool", "resize", "adaptive", "plain", "plain", "plain", "join"]))
    if kind == "conv":
        size, stride, dilation = (draw(st.tuples(*[st.integers(1, most)] * 2)) for most in (3, 2, 2))
        groups, padding = draw(st.sampled_from([1, 2, 4])), draw(st.integers(0, 2))
        options = {"stride": stride, "dilation": dilation, "groups": groups, "padding": padding}
        return nn.Conv2d(CHANNELS, CHANNELS, size, **options)
    if kind == "pool":
        return nn.AvgPool2d(draw(st.integers(1, 3)), stride=draw(st.integers(1, 3)))
    if kind == "resize":
        side, mode = draw(st.integers(5, 24)), draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
        if mode != "nearest" and draw(st.booleans()):
            return nn.Resize(mode=mode, scale_factor=draw(st.sampled_from([0.7, 1.3, 1.5])))
        chosen = None if mode == "nearest" else draw(st.sampled_from([None, "antialias", "align_corners"]))
        return nn.Resize((side, side), mode=mode, **({chosen: True} if chosen else {}))
    if kind == "adaptive":
        return nn.AdaptiveAvgPool2d(draw(st.integers(2, 12)))
    if kind == "plain" or depth == 0:
        return PLAIN[draw(st.sampled_from(sorted(PLAIN)))]()
    branch = nn.Conv2d(CHANNELS, CHANNELS, draw(st.sampled_from([1, 3, 5])), padding="same")
    other = draw(st.sampled_from([nn.Identity(), Gate(), Apply(DeclaredBlur.apply)]))
    joined = draw(st.sampled_from(["sum", "product", "concatenation"]))
    if joined == "concatenation":
        halves = Join(branch, other, lambda a, b: ops.concat([a, b]))
        return nn.Sequential(halves, nn.Conv2d(2 * CHANNELS, CHANNELS, 1))
    return Join(branch, other, {"sum": ops.add, "product": ops.mul}[joined])


def networks():
    """Return a strategy for networks of two to five such layers."""
    return st.lists(layers(), min_size=2, max_size=5).map(lambda parts: nn.Sequential(*parts))


def support(replay, end, y, x):
    """Return (top, left, bottom, right) of the pixels with a gradient; None if it is 0, as of a softmax over one.

    All weights are positive, and random like the pixels, so that no two terms of a gradient cancel. Both are small, so
    that no gate saturates after a product of maps.
    """
    for i in replay.ancestors(end):
        record = replay.records[i]
        for v in record.inputs:
            if v is not None and not v.traced and v.data.ndim == 4:
                v.data[...] = np.random.default_rng(i).uniform(0.5, 1, v.shape) / np.prod(v.shape[1:])
    pixels = Tensor(np.random.default_rng(0).uniform(0.1, 0.2, replay.x.shape), requires_grad=True)
    out = replay.run([(replay.x, pixels)], end)
    grad = np.zeros(out.shape)
    grad[:, :, y, x] = np.random.default_rng(1).uniform(0.5, 1, out.shape[1])
    out.backward(grad)
    size = np.abs(pixels.grad).sum((0, 1))
    if not size.any():
        return None
    rows, columns = np.nonzero(size > 1e-13 * size.max())
    return int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
