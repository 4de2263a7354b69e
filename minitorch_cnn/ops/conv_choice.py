"""The choice of the algorithms for a convolution, and the reasons for it."""

from __future__ import annotations

from minitorch_cnn.ops import conv_algorithms
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.conv import Conv2d
from minitorch_cnn.shapes import padding4, pair
from minitorch_cnn.types import Operand, Size


def conv_algorithm(
    x: Operand,
    weight: Operand,
    *,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> conv_algorithms.ConvAlgorithm:
    """Return the algorithms that compute a convolution and its gradients, and the reasons for the choice.

    Parameters
    ----------
    x : Tensor, shape (N, C_in, H, W), float32 or float64
    weight : Tensor, shape (C_out, C_in/groups, KH, KW)
    stride, padding, dilation, groups, algorithm
        As in `conv2d`.

    Returns
    -------
    ConvAlgorithm
        ``.forward``, ``.backward_input`` and ``.backward_weight``, each with a ``.name`` and a ``.reason``. Prints as
        three lines. The names are those of the table of kernels; they are finer than the values of ``algorithm``.

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `conv2d`.
    """
    tensors("conv_algorithm", x=x, weight=weight)
    stride, dilation = pair(stride, "conv2d: stride"), pair(dilation, "conv2d: dilation")
    groups, _ = pair(groups, "conv2d: groups")
    conv_algorithms.check(algorithm)
    padding = padding4(padding, "conv2d: padding", x.data.shape[2:], weight.data.shape[2:], stride, dilation)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shape = Conv2d.output_shape(x.data.shape, weight.data.shape, None, algorithm=algorithm, **hyper)
    return conv_algorithms.explain_choice((x.data, weight.data, None), shape, algorithm=algorithm, **hyper)
