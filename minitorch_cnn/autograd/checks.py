"""The checks of the engine: wrong types and shapes, a graph that was freed, and arrays changed in place.

Every block of memory has a version counter, a list of one integer that all variables on that memory share. Methods and
optimisers that write to the memory add 1 to it. A node remembers the counters of the arrays that it saved, so backward
notices when one of them was overwritten.
"""

import sys
from typing import Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd.shape_only import TraceError

_ARRAYS = (np.ndarray, np.generic)
FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class GraphError(RuntimeError):
    """Backward cannot run: the graph was freed, or an array that it needs was changed in place."""


def check_dtypes(function, variables):
    """Raise TypeError unless all variables are float32 or all are float64."""
    dtype = variables[0].data.dtype
    if dtype not in FLOAT_DTYPES or [v.data.dtype for v in variables].count(dtype) < len(variables):
        got = ", ".join(str(v.data.dtype) for v in variables)
        bytes_first = variables[0].data.dtype == np.uint8
        hint = "; pixels of 0 to 255 become floats by x = Tensor(np.float32(images) / 255)" if bytes_first else ""
        raise TypeError(
            f"{function.__name__}: dtype - expected float32 or float64, the same everywhere, got {got}{hint}"
        )


def variables_among(function, inputs):
    """Return the inputs that are not None, and whether one is traced; raise TypeError unless they are variables."""
    variables = [v for v in inputs if v is not None]
    try:
        traced = [v.traced for v in variables]
    except AttributeError:
        wrong = next(v for v in variables if not hasattr(v, "traced"))
        got = type(wrong).__name__
        raise TypeError(f"{function.__name__}.apply: inputs - expected Tensors or None, got {got}") from None
    if not traced:
        raise TypeError(f"{function.__name__}.apply: inputs - expected at least one Tensor, got none")
    return variables, True in traced


@np.errstate(all="ignore")  # infinities and NaN are values too; the trainer looks for them
def quietly(function, /, *args, **hyper):
    """Call a forward or backward without NumPy's warnings; ``with np.errstate`` would take twice the time."""
    return function(*args, **hyper)


def check_output(function, shape, output):
    """Raise unless forward returned one array, of the shape that ``output_shape`` promised."""
    if not isinstance(output, _ARRAYS):
        raise TypeError(f"{function.__name__}.forward: result - expected one array, got {type(output).__name__}")
    if shape is not None and output.shape != tuple(shape):
        raise ValueError(f"{function.__name__}.forward: expected shape {tuple(shape)}, got {output.shape}")


def first_gradient(variable, grad):
    """Return the gradient that backward starts from, as a new array; raise if there cannot be one."""
    data = variable.data
    if variable.traced:
        raise TraceError("backward: expected a variable computed from real data, got a traced one without values")
    if not variable.requires_grad:
        why = "nothing it comes from requires one, or no_grad() was in force, perhaps of a generator that waits"
        raise GraphError(f"backward: expected a variable that requires a gradient, got one that does not: {why}")
    if data.dtype.kind != "f":
        raise GraphError(f"backward: expected a variable of floating numbers, got {data.dtype}")
    if grad is None and data.size != 1:
        raise ValueError(f"backward: grad - expected an array of shape {data.shape}, got None")
    grad = np.ones_like(data) if grad is None else _as_gradient(grad, data.dtype)
    if grad.shape != data.shape:
        raise ValueError(f"backward: grad - expected shape {data.shape}, got {grad.shape}")
    return grad


def _as_gradient(grad, dtype):
    """Return a given gradient as a new array of a dtype; raise unless it has real numbers, none of them masked."""
    array = arguments.rows("backward", "grad", grad)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"backward: grad - expected real numbers, got dtype {array.dtype}")
    return array.astype(dtype)


def saved_versions(ctx: Any, variables: list[Any]) -> list[tuple[Any, int]]:
    """Return (counter, its value now) of each variable whose memory ``ctx`` has saved."""
    arrays = [a for a in ctx.saved if isinstance(a, np.ndarray)]
    ids = [id(a) for a in arrays]  # most saved arrays are those of a variable, which costs less to find out
    held = [v for v in variables if id(v.data) in ids or True in [np.may_share_memory(v.data, a) for a in arrays]]
    return [(v._version, v.version) for v in held]


def check_leaf(leaf):
    """Raise GraphError if the gradient that a leaf already has is not one to which another can be added."""
    grad, data = leaf.grad, leaf.data
    if grad is not None and not (isinstance(grad, _ARRAYS) and (grad.shape, grad.dtype) == (data.shape, data.dtype)):
        got = f"{type(grad).__name__} {getattr(grad, 'shape', '')} {getattr(grad, 'dtype', '')}".strip()
        raise GraphError(f"backward: grad - expected None or an array {data.shape} of {data.dtype}, got {got}")


class GradientCountError(ValueError):
    """A backward that returns more or fewer gradients than forward has inputs."""


def check_node(node):
    """Raise GraphError if the backward of a node cannot run any more."""
    name = node.function.__name__ + (f" in {node.path}" if node.path else "")
    if node.ctx is None:
        raise GraphError(f"backward: {name} was freed by an earlier backward - expected one with retain_graph=True")
    for counter, expected in node.versions:
        if counter[0] != expected:
            changed = f"expected version {expected}, got {counter[0]}"
            raise GraphError(f"backward: {name} - an array that it saved was changed in place, {changed}")


def _fits(grad, expected):
    return grad is None or (isinstance(grad, _ARRAYS) and (grad.shape, grad.dtype) == expected)


def check_gradients(node, grads):
    """Return the result of backward as a tuple; raise ValueError unless each gradient fits its input."""
    grads = tuple(grads) if isinstance(grads, (tuple, list)) else (grads,)
    if len(grads) == len(node.expected) and all(map(_fits, grads, node.expected)):
        return grads
    if wrong := [grad for grad in grads if grad is not None and not isinstance(grad, _ARRAYS)]:
        expected, got = "an array or None for each input", type(wrong[0]).__name__
        raise TypeError(f"{node.function.__name__}.backward: result - expected {expected}, got {got}")
    if len(grads) != len(node.expected):
        expected = f"one gradient for each input of forward, {len(node.expected)}"
        raise GradientCountError(f"{node.function.__name__}.backward: expected {expected}, got {len(grads)}")
    got = [None if grad is None else (grad.shape, grad.dtype) for grad in grads]
    expected, got = ([p and (p[0], str(p[1])) for p in pairs] for pairs in (node.expected, got))
    raise ValueError(f"{node.function.__name__}.backward: expected gradients of {expected}, got {got}")


def _references():
    array = np.empty(0)
    return sys.getrefcount(array)


_ALONE = _references()  # what `owned` counts for an array that nothing but its variable holds


def owned(grads, wanted):
    """Return the arrays of a list as a tuple: where ``wanted``, a copy of each that anything else holds.

    A backward may return an array that it keeps for the next time, or the gradient of its output.
    """
    for i in [i for i, grad in enumerate(grads) if wanted[i] and grad is not None]:
        grad, grads[i] = grads[i], None
        grads[i] = grad if sys.getrefcount(grad) <= _ALONE else np.array(grad)
    return tuple(grads)
