"""Initial filters of a convolution that are computed, not drawn; they are part of `nn.init`."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Variable, no_grad
from minitorch_cnn.shapes import ShapeError

if TYPE_CHECKING:
    from minitorch_cnn.nn.conv import Conv2d
    from minitorch_cnn.tensor import Tensor


def identity_(conv: "Conv2d") -> "Conv2d":
    """Let a convolution begin by passing its input through: its first filters become the identity, the rest stay.

    weight[c, c, middle, middle] = 1, and all other elements of the filters 0 .. C_in - 1 are 0

    Parameters
    ----------
    conv : Conv2d
        With one group and windows of odd sides. If C_out > C_in, the remaining filters keep their random values; if
        C_out < C_in, the first C_out channels are passed through.

    Returns
    -------
    Conv2d, the same one

    Raises
    ------
    TypeError
        If ``conv`` is not a 2-D convolution.
    ShapeError
        If it has groups, or a window without a pixel in its middle.

    Notes
    -----
    A deep network of such layers begins as a shallow one: apart from batch norm and activations, the image arrives at
    the classifier and gradients arrive at the first layer unchanged. `dirac_` makes a whole weight the identity.
    Source: the convolutions of ``airbench94.py`` in https://github.com/KellerJordan/cifar10-airbench.
    """
    weight = _weight_of("identity_", conv)
    height, width = weight.shape[2:]
    if conv.groups != 1 or not height % 2 == width % 2 == 1:
        got = f"{conv.groups} groups and {height} x {width}"
        raise ShapeError(f"identity_: conv - expected one group and windows of odd sides, got {got}")
    passed = np.arange(min(weight.shape[:2]))
    values = weight.data.copy()
    values[: len(passed)] = 0
    values[passed, passed, height // 2, width // 2] = 1
    with no_grad():
        weight.copy_(values)
    return conv


def patch_whitening_(conv: "Conv2d", images: "ArrayLike | Tensor", eps: float = 5e-4) -> "Conv2d":
    """Compute the filters of a first layer from images, so that its outputs are uncorrelated and of equal size.

    Neighbouring pixels are nearly equal. So most of what a patch of 2 x 2 pixels holds is its mean, and the differences
    that show edges are small. Gradient descent is slow in directions that are small. Whitening turns the axes into
    directions in which patches vary independently, and stretches each to a mean square of 1:

        C = P.T @ P / n,   C @ v[i] = l[i] * v[i],   filter[i] = v[i] / sqrt(l[i] + eps),   filter[K + i] = -filter[i]

    P (n, K) holds all patches of the images as rows, K = C_in*KH*KW. Where eps is small beside l, the second moments of
    the first K outputs are the identity: filter[i] @ C @ filter[j] = 1 where i = j, else 0. The negative filters are
    there because the activation that follows drops most of what is negative.

    Parameters
    ----------
    conv : Conv2d
        With one group and C_out = 2*K filters. Its bias stays as it is.
    images : array_like or Tensor, shape (N, C_in, H, W)
        As the network gets them, normalised. Some thousand are enough.
    eps : float, > 0
        Added to the mean squares l, so that directions with nothing but noise are not stretched without limit.

    Returns
    -------
    Conv2d, the same one

    Raises
    ------
    TypeError
        If ``conv`` is not a 2-D convolution, or ``eps`` is not a number.
    ShapeError
        If it has groups or another number of filters, or the images have another shape or are smaller than a window.
    ValueError
        If ``eps`` is not positive, or an image has NaN or infinity.

    Notes
    -----
    The direction with the largest mean square comes first, and the largest element of each is positive, so the same
    images give the same filters. Cost: 2*n*K**2 flop, and memory for the patches of 100 images.
    Source: ``init_whitening_conv`` of ``airbench94.py`` in https://github.com/KellerJordan/cifar10-airbench.
    """
    weight = _weight_of("patch_whitening_", conv)
    x = images.data if isinstance(images, Variable) else np.asarray(images)
    size, (height, width) = math.prod(weight.shape[1:]), weight.shape[2:]
    if conv.groups != 1 or len(weight.data) != 2 * size:
        got = f"{len(weight.data)} filters and {conv.groups} groups"
        raise ShapeError(f"patch_whitening_: conv - expected {2 * size} filters in one group, got {got}")
    if x.ndim != 4 or not len(x) or x.shape[1] != weight.shape[1] or x.shape[2] < height or x.shape[3] < width:
        expected = f"(N, {weight.shape[1]}, H, W) of at least {height} x {width} pixels"
        raise ShapeError(f"patch_whitening_: images - expected {expected}, got shape {x.shape}")
    arguments.positive("patch_whitening_", eps=eps)
    moments = _second_moments(x, height, width)
    if not np.isfinite(moments).all():
        raise ValueError("patch_whitening_: images - expected finite numbers, got NaN, infinity or squares beyond them")
    squares, directions = np.linalg.eigh(moments)  # ascending
    filters = (directions / np.sqrt(squares + eps)).T[::-1]  # (K, K), a filter in each row
    filters = filters * np.sign(np.take_along_axis(filters, np.abs(filters).argmax(1)[:, None], 1))
    with no_grad():
        weight.copy_(np.concatenate([filters, -filters]).reshape(weight.shape))
    return conv


def _second_moments(x, height, width):
    """Return P.T @ P / n of all patches P (n, C*height*width) of images, in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), (2, 3))  # (N, C, OH, OW, height, width)
    patches = windows.transpose(0, 2, 3, 1, 4, 5)
    size = x.shape[1] * height * width
    total = np.zeros((size, size))
    for first in range(0, len(x), 100):
        columns = np.ascontiguousarray(patches[first : first + 100].reshape(-1, size).T, np.float64)  # (K, 100*OH*OW)
        total += np.einsum("in,jn->ij", columns, columns)  # no BLAS: the same bits for any number of threads
    return total / math.prod(patches.shape[:3])


def _weight_of(name, conv: Any):
    """Return the weight of a 2-D convolution; raise TypeError for anything else."""
    weight = getattr(conv, "weight", None)
    if not isinstance(weight, Variable) or weight.data.ndim != 4 or not hasattr(conv, "groups"):
        raise TypeError(f"{name}: conv - expected a Conv2d, got {type(conv).__name__}")
    return weight
