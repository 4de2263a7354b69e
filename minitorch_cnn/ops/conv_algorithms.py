"""The algorithms of convolution: names for users, the choice of "auto", and registration of a user's algorithm.

The table of the compiled algorithms, read from the top, is `minitorch_kernels.conv.selection`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.ops.reproducible_sum import block_size
from minitorch_cnn.shapes import nchw, nhwc
from minitorch_cnn.types import Array


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

    def __str__(self) -> str:
        return "\n".join(f"{product:15} {name}: {reason}" for product, (name, reason) in self._asdict().items())


_registered = {}
_BUILT_IN = ("reference", "im2col", "direct", "winograd")


def register_algorithm(
    name: str,
    forward: Callable[..., Array],
    backward_input: Callable[..., Array] | None = None,
    backward_weight: Callable[..., Array] | None = None,
) -> None:
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


def check(name, owner="conv2d"):
    """Raise ValueError unless there is an algorithm of this name."""
    arguments.one_of(owner, names(), algorithm=name)


def candidates(name, x, weight, out_size, *, stride, padding, dilation, groups):
    """Return a convolution as the arguments of `minitorch_kernels.conv.selection.choose`.

    Parameters
    ----------
    name : str
        What the user asked for, one of `names`.
    x, weight : ndarray
        Shapes and dtype are read, values are not.
    out_size : (int, int)
    stride, padding, dilation, groups
        As for the kernels.

    Returns
    -------
    (Problem, tuple of Row)
        The rows of the table that ``name`` allows. Their functions take channels-last arrays.

    Raises
    ------
    ValueError
        If the algorithm cannot compute this convolution.
    """
    selection = kernels.conv.selection
    problem = selection.Problem(
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
        precision=kernels.runtime.precision.get_precision(),
    )
    if name == "reference" or name in _registered:
        return problem, _own_rows(_reference() if name == "reference" else _registered[name])
    if name in ("direct", "winograd") and not kernels.runtime.simd.supports(x.dtype):
        expected = "'im2col' or 'reference' where nothing is compiled"
        raise ValueError(f"conv2d: algorithm - expected {expected}, got {name!r}")
    rows = selection.TABLE
    if name != "auto":
        rows = tuple(_asked(name, row) for row in rows if row.family == name)
        if not any(row.supports(problem) for row in rows):
            raise ValueError(
                "conv2d: algorithm - expected 3 x 3 filters with stride 1 or 2, or 5 x 5 with stride 1, dilation 1 and "
                f"groups 1 for 'winograd', got weight {weight.shape}, stride {stride}, dilation {dilation}, "
                f"groups {groups}"
            )
    return problem, (selection.EMPTY,) if problem.empty() else rows


def explain_choice(inputs, output_shape, *, algorithm, **hyper):
    """Return the `ConvAlgorithm` of a call of the operation `Conv2d`, whose inputs are x, weight and bias."""
    x, weight, *_ = inputs
    choice = kernels.conv.selection.choose(*candidates(algorithm, x, weight, output_shape[2:], **hyper))
    return ConvAlgorithm(*(Chosen(chosen.name, chosen.reason) for chosen in choice))


def _asked(name, row):
    """Return a row whose reason says that the user named its family."""
    return row._replace(reason="asked for by name" if row.name == name else f"asked for {name!r}; {row.reason}")


def _always(problem):
    return True


def _reference():
    r = kernels.reference
    return Algorithm("reference", r.conv2d_forward, r.conv2d_backward_input, r.conv2d_backward_weight)


def _own_rows(own):
    """Return the rows for an algorithm on arrays (N, C, H, W): its own functions, and im2col's where it has none."""
    Row, im2col = kernels.conv.selection.Row, kernels.conv.selection.TABLE[-1]
    adapters = _forward, _map_to_map, _maps_to_weight
    functions = [f and functools.partial(adapt, f) for adapt, f in zip(adapters, own[1:], strict=True)]
    row = Row(own.name, own.name, _always, _always, "asked for by name", *functions)
    return row, im2col._replace(reason=f"{own.name!r} has no such function")


def _forward(function, maps, *others, relu=False, **hyper):
    out = _map_to_map(function, maps, *others, **hyper)
    return np.where(out <= 0, 0, out) if relu else out


def _map_to_map(function, maps, *others, **hyper):
    out = function(nchw(maps), *others, **hyper)
    arguments.instance("conv2d: algorithm", np.ndarray, result=out)
    if out.ndim != 4:
        raise ValueError(f"conv2d: algorithm - expected a result with 4 axes (N, C, H, W), got shape {out.shape}")
    return nhwc(out)


def _maps_to_weight(function, x, grad_out, **hyper):
    return function(nchw(x), nchw(grad_out), **hyper)
