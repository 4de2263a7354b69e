"""Dropout."""

import numpy as np

from minitorch_cnn import rng
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors


class Dropout(Function):
    """Some elements set to 0, the others scaled up."""

    rule = "the gradient passes, scaled, where the element was kept"

    @staticmethod
    def output_shape(x, *, p):
        return x

    @staticmethod
    def forward(ctx, x, *, p):
        # One number per element in memory order, so that the mask lies as x does.
        order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
        kept = rng.generator().random([x.shape[i] for i in order], np.float32) >= p
        mask = kept.transpose(np.argsort(order))
        ctx.scale = x.dtype.type(1 / (1 - p))
        ctx.save(mask)  # bool, one byte per element
        return np.where(mask, x * ctx.scale, x.dtype.type(0))

    @staticmethod
    def backward(ctx, grad_out):
        (mask,) = ctx.saved
        return np.where(mask, grad_out * ctx.scale, grad_out.dtype.type(0))

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


def dropout(x, p=0.5, *, training=True):
    """Set each element to 0 with probability p and divide the others by 1 - p.

    Parameters
    ----------
    x : Tensor, any shape
    p : float, 0 <= p < 1
    training : bool
        False returns x itself.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is no Tensor.
    ValueError
        If p is out of range.

    Notes
    -----
    The mean of every element stays what it was, so nothing is scaled in evaluation. The mask comes
    from the stream that `manual_seed` starts.
    Source: Srivastava et al. 2014, who scale in evaluation instead.
    """
    tensors("dropout", x=x)
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p - expected 0 <= p < 1, got {p}")
    return Dropout.apply(x, p=float(p)) if training and p > 0 else x
