"""The algorithms of convolution: names for users, the choice of "auto", and registration of a user's algorithm.

The table of the compiled algorithms, read from the top, is `minitorch_kernels.conv.select`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import minitorch_kernels as kernels
from minitorch_cnn.ops.reproducible_sum import block_size
from minitorch_cnn.shapes import nchw, nhwc


class Algorithm(NamedTuple):
    """One way to compute a convolution and its two gradients: three functions."""

    name: str
    forward: Callable
    backward_input: Callable | None
    backward_weight: Callable | None


class Chosen(NamedTuple):
    """The algorithm of one product of a convolution, and the reason for the choice."""

    name: str
    reason: str


class ConvAlgorithm(NamedTuple):
    """The algorithms of the three products of a convolution."""

    forward: Chosen
    backward_input: Chosen
    backward_weight: Chosen

    def __str__(self):
        return "\n".join(f"{product:15} {name}: {reason}" for product, (name, reason) in self._asdict().items())


_registered = {}
_BUILT_IN = ("reference", "im2col", "direct", "winograd")


def register_algorithm(name, forward, backward_input=None, backward_weight=None):
    """Register a convolution algorithm, so that ``conv2d(..., algorithm=name)`` uses it.

    Parameters
    ----------
    name : str
        Any name except the built-in ones.
    forward : callable
        ``forward(x, weight, bias, *, stride, padding, dilation, groups)`` on arrays (N, C_in, H, W),
        (C_out, C_in/groups, KH, KW), (C_out,) or None; returns (N, C_out, OH, OW).
    backward_input, backward_weight : callable or None
        As in `minitorch_kernels.reference`; None uses the gradients of im2col.

    Returns
    -------
    Algorithm

    Raises
    ------
    ValueError
        If the name is taken by a built-in algorithm.
    TypeError
        If ``forward`` is not callable.
    """
    if name in ("auto", *_BUILT_IN):
        raise ValueError(f"register_algorithm: name - expected a new name, got the built-in {name!r}")
    if not callable(forward):
        raise TypeError(f"register_algorithm: forward - expected a function, got {type(forward).__name__}")
    _registered[name] = Algorithm(name, forward, backward_input, backward_weight)
    return _registered[name]


def names():
    """Return the allowed values of the argument ``algorithm`` of `conv2d`."""
    return ("auto", *_BUILT_IN, *_registered)


def check(name):
    """Raise ValueError unless there is an algorithm of this name."""
    if name not in names():
        raise ValueError(f"conv2d: algorithm - expected one of {', '.join(names())}, got {name!r}")


def choose(name, x, weight, out_size, **hyper):
    """Return the `Algorithm` of a convolution, on channels-last arrays; raise if the named one cannot compute it."""
    if name == "reference":
        return _on_channels_first(_reference())
    if name in _registered:
        return _on_channels_first(_with_im2col_gradients(_registered[name]))
    rows = _rows(name, x, weight, out_size, **hyper)
    functions = (getattr(row, product) for product, row in rows._asdict().items())
    return Algorithm(rows.forward.name, *functions)


def explain_choice(name, x, weight, out_size, **hyper):
    """Return the `ConvAlgorithm` of a convolution: names and reasons."""
    if name == "reference" or name in _registered:
        own = _reference() if name == "reference" else _registered[name]
        asked, gradient = Chosen(name, "asked for by name"), Chosen("im2col", f"{name!r} has no such function")
        return ConvAlgorithm(asked, *(asked if function else gradient for function in own[2:]))
    rows = _rows(name, x, weight, out_size, **hyper)
    return ConvAlgorithm(*(Chosen(row.name, row.reason) for row in rows))


def _rows(name, x, weight, out_size, *, stride, padding, dilation, groups):
    """Return the rows of the table that compute a convolution."""
    select = kernels.conv.select
    problem = select.Problem(
        images=len(x),
        block=block_size(len(x)),
        in_channels=x.shape[1],
        out_channels=len(weight),
        input_size=x.shape[2:],
        output_size=tuple(out_size),
        kernel_size=weight.shape[2:],
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
        dtype=x.dtype,
    )
    if name in ("direct", "winograd") and not kernels.runtime.simd.supports(x.dtype):
        raise ValueError(f"conv2d: algorithm - expected 'im2col' or 'reference' on this processor, got {name!r}")
    try:
        return select.choose(problem, None if name == "auto" else name)
    except LookupError:
        raise ValueError(
            "conv2d: algorithm - expected 3 x 3 or 5 x 5 filters, stride 1, dilation 1 and groups 1 for 'winograd', "
            f"got weight {weight.shape}, stride {stride}, dilation {dilation}, groups {groups}"
        ) from None


def _reference():
    r = kernels.reference
    return Algorithm("reference", r.conv2d_forward, r.conv2d_backward_input, r.conv2d_backward_weight)


def _with_im2col_gradients(own):
    """Return a user's algorithm with im2col for the gradients that it lacks."""
    im2col = kernels.conv.im2col
    return own._replace(
        backward_input=own.backward_input or functools.partial(_first_to_last, im2col.conv2d_backward_input_im2col),
        backward_weight=own.backward_weight or functools.partial(_weight_last, im2col.conv2d_backward_weight_im2col),
    )


def _first_to_last(function, grad_out, weight, **hyper):
    """Call a channels-last function of grad_out on an array (N, C, H, W)."""
    return nchw(function(nhwc(grad_out), weight, **hyper))


def _weight_last(function, x, grad_out, **hyper):
    """Call a channels-last weight gradient on arrays (N, C, H, W)."""
    return function(nhwc(x), nhwc(grad_out), **hyper)


def _on_channels_first(algorithm):
    """Return an algorithm on channels-last arrays from one on arrays (N, C, H, W)."""
    return Algorithm(
        algorithm.name,
        functools.partial(_map_to_map, algorithm.forward),
        functools.partial(_map_to_map, algorithm.backward_input),
        functools.partial(_maps_to_weight, algorithm.backward_weight),
    )


def _map_to_map(function, maps, *others, **hyper):
    out = function(nchw(maps), *others, **hyper)
    if out.ndim != 4:
        raise ValueError(f"conv2d: algorithm - expected a result with 4 axes (N, C, H, W), got shape {out.shape}")
    return nhwc(out)


def _maps_to_weight(function, x, grad_out, **hyper):
    return function(nchw(x), nchw(grad_out), **hyper)
