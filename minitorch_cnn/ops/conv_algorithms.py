"""The algorithms of convolution: which there are, which one "auto" takes, and how a user's own joins them."""

from typing import NamedTuple

import minitorch_kernels as kernels
from minitorch_cnn.ops.reproducible_sum import block_size
from minitorch_cnn.shapes import nchw, nhwc


class Algorithm(NamedTuple):
    """One way to compute a convolution and its two gradients.

    The three functions take and return arrays that read as (N, C, H, W), with the keywords of the
    functions of the same purpose in `minitorch_kernels.reference`.
    """

    forward: callable
    backward_input: callable
    backward_weight: callable


_registered = {}
_BUILT_IN = ("reference", "im2col", "direct", "winograd")


def register_algorithm(name, forward, backward_input=None, backward_weight=None):
    """Make a convolution of your own available as ``conv2d(..., algorithm=name)``.

    Parameters
    ----------
    name : str
        Not one of the built-in names.
    forward : callable
        ``forward(x, weight, bias, *, stride, padding, dilation, groups)`` on arrays (N, C_in, H, W),
        (C_out, C_in/groups, KH, KW), (C_out,) or None; returns (N, C_out, OH, OW).
    backward_input, backward_weight : callable or None
        As in `minitorch_kernels.reference`; None takes the gradients of im2col.

    Returns
    -------
    Algorithm

    Raises
    ------
    ValueError
        If the name is taken by a built-in algorithm.
    TypeError
        If ``forward`` cannot be called.
    """
    if name in ("auto", *_BUILT_IN):
        raise ValueError(f"register_algorithm: name - expected a new name, got the built-in {name!r}")
    if not callable(forward):
        raise TypeError(f"register_algorithm: forward - expected a function, got {type(forward).__name__}")
    im2col = algorithm("im2col")
    _registered[name] = Algorithm(
        forward, backward_input or im2col.backward_input, backward_weight or im2col.backward_weight
    )
    return _registered[name]


def _channels_last(forward, backward_input, backward_weight):
    """Wrap kernels that speak (N, H, W, C)."""
    return Algorithm(
        lambda x, weight, bias, **hyper: nchw(forward(nhwc(x), weight, bias, **hyper)),
        lambda grad_out, weight, **hyper: nchw(backward_input(nhwc(grad_out), weight, **hyper)),
        lambda x, grad_out, **hyper: backward_weight(nhwc(x), nhwc(grad_out), **hyper),
    )


def algorithm(name):
    """Return the functions of a name."""
    if name in _registered:
        return _registered[name]
    if name == "reference":
        r = kernels.reference
        return Algorithm(r.conv2d_forward, r.conv2d_backward_input, r.conv2d_backward_weight)
    if name == "im2col":
        k = kernels.conv.im2col
        return _channels_last(k.conv2d_forward_im2col, k.conv2d_backward_input_im2col, k.conv2d_backward_weight_im2col)
    if name == "direct":
        k, weight = kernels.conv.indirect, kernels.conv.indirect_weight.conv2d_backward_weight_direct
        return _channels_last(k.conv2d_forward_direct, k.conv2d_backward_input_direct, weight)
    k, weight = kernels.conv.winograd.correlate, kernels.conv.winograd.weight.conv2d_backward_weight_winograd
    return _channels_last(k.conv2d_forward_winograd, k.conv2d_backward_input_winograd, weight)


def names():
    """Return what the argument ``algorithm`` of `conv2d` may be."""
    return ("auto", *_BUILT_IN, *_registered)


def choose(name, x, weight, out_size, *, stride, dilation, groups, padding):
    """Return the functions for this convolution; raise where the named algorithm cannot do it here."""
    if name not in ("auto", "direct", "winograd"):
        return algorithm(name)
    has_tile = kernels.conv.indirect.available(x.dtype)
    fits = kernels.conv.winograd.correlate.fits(weight.shape[2:], stride, dilation, groups)
    if name == "auto":
        if not has_tile:
            return algorithm("im2col")
        direct = algorithm("direct")
        if not fits:
            return direct
        winograd = algorithm("winograd")
        sizes = block_size(len(x)), out_size, *weight.shape[1::-1], weight.shape[2]
        correlation = winograd if kernels.conv.winograd.correlate.pays(*sizes) else direct
        gradient = winograd if kernels.conv.winograd.weight.pays(*sizes) else direct
        return correlation._replace(backward_weight=gradient.backward_weight)
    if not has_tile:
        raise ValueError(f"conv2d: algorithm - expected 'im2col' or 'reference' on this processor, got {name!r}")
    if name == "winograd" and not fits:
        raise ValueError(
            "conv2d: algorithm - expected 3 x 3 or 5 x 5 filters, stride 1, dilation 1 and groups 1 for 'winograd', "
            f"got weight {weight.shape}, stride {stride}, dilation {dilation}, groups {groups}"
        )
    return algorithm(name)
