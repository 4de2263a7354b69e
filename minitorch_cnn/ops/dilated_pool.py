"""Max pooling whose windows have gaps, and the position of each maximum: a loop over the pixels of a window."""

from typing import NamedTuple

import numpy as np

from minitorch_cnn.autograd import Function
from minitorch_cnn.ops.reads import Windows
from minitorch_cnn.shapes import ShapeError, batch_hint, conv_output_size


class LargestTaps(NamedTuple):
    """The maximum of each window (N, C, OH, OW), and which pixel of the window it is, in row-major order."""

    values: np.ndarray
    taps: np.ndarray
    width: int  # of the image
    hyper: dict

    def indices(self):
        """Return row * width + column of each maximum, int64."""
        (top, _, left, _), dilation = self.hyper["padding"], self.hyper["dilation"]
        rows, columns = np.divmod(self.taps, self.hyper["kernel_size"][1])
        sides = zip(self.taps.shape[2:], self.hyper["stride"], (top, left), strict=True)
        starts = [np.arange(count) * stride - before for count, stride, before in sides]
        return (starts[0][:, None] + dilation[0] * rows) * self.width + starts[1] + dilation[1] * columns


def _slices(kernel_size, stride, dilation, out_size):
    """Yield for each pixel of a window the slices of the padded image that it reads in all windows."""
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            first = u * dilation[0], v * dilation[1]
            yield tuple(slice(f, f + (n - 1) * s + 1, s) for f, n, s in zip(first, out_size, stride, strict=True))


def largest_taps(x, out_size, *, kernel_size, stride, padding, dilation):
    """Return the `LargestTaps` of images (N, C, H, W): of equal values the first, of NaN the first as well."""
    ends = padding[:2], padding[2:]
    inside = np.pad(np.ones(x.shape[2:], bool), ends)
    padded = np.pad(x, ((0, 0), (0, 0), *ends))
    values = np.zeros((*x.shape[:2], *out_size), x.dtype)
    taps = np.full(values.shape, -1)
    for tap, (rows, columns) in enumerate(_slices(kernel_size, stride, dilation, out_size)):
        pixel = padded[:, :, rows, columns]
        better = (pixel > values) | (np.isnan(pixel) & ~np.isnan(values)) | (taps < 0)
        better &= inside[rows, columns]
        np.copyto(values, pixel, where=better)
        taps[better] = tap
    hyper = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    return LargestTaps(values, taps, x.shape[3], hyper)


class DilatedMaxPool2d(Function):
    """The largest value of each window, whose pixels lie ``dilation`` apart."""

    rule = "the gradient goes to the first largest value of each window"
    reads = Windows("kernel_size", "stride", "padding", "dilation", groups=None)
    kind, label = "pool", "max"

    @staticmethod
    def output_shape(x, *, kernel_size, stride, padding, dilation):
        if len(x) != 4:
            raise ShapeError(f"max_pool2d: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        out = []
        for i, name in enumerate(("height", "width")):
            before, after = padding[2 * i : 2 * i + 2]
            sizes = kernel_size[i], stride[i], before, after, dilation[i]
            count = conv_output_size(x[2 + i], *sizes, f"max_pool2d: {name}")
            starts = np.arange(count)[:, None] * stride[i] - before + dilation[i] * np.arange(kernel_size[i])
            if not ((starts >= 0) & (starts < x[2 + i])).any(1).all():
                raise ShapeError(
                    f"max_pool2d: padding - expected at least one pixel of the image in every window, got {padding} "
                    f"for {name} {x[2 + i]}, windows of {kernel_size[i]} and dilation {dilation[i]}"
                )
            out.append(count)
        return (*x[:2], *out)

    @staticmethod
    def forward(ctx, x, **hyper):
        largest = largest_taps(x, ctx.output_shape[2:], **hyper)
        ctx.size, ctx.hyper = x.shape[2:], hyper
        ctx.save(largest.taps)  # x is not needed
        return largest.values

    @staticmethod
    def backward(ctx, grad_out):
        (taps,), (top, bottom, left, right) = ctx.saved, ctx.hyper["padding"]
        height, width = ctx.size
        padded = np.zeros((*grad_out.shape[:2], top + height + bottom, left + width + right), grad_out.dtype)
        sizes = (ctx.hyper[name] for name in ("kernel_size", "stride", "dilation"))
        for tap, (rows, columns) in enumerate(_slices(*sizes, grad_out.shape[2:])):
            padded[:, :, rows, columns] += np.where(taps == tap, grad_out, 0)
        return padded[:, :, top : top + height, left : left + width]

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]
