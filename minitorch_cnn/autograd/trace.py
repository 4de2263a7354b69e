"""Records made while operations run: the trace of all operations, and the module that each belongs to.

A *traced* variable has a shape and a dtype but no values. Operations on it compute only shapes, so tracing a
large network takes milliseconds and no memory.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from minitorch_cnn.autograd.engine import Node, Variable

_records = ContextVar("records", default=None)
module_call = ContextVar("module_call", default=None)  # the ModuleCall of the outermost module that is running


@contextlib.contextmanager
def setting(variable: ContextVar[Any], value: Any) -> Iterator[Any]:
    """Set a context variable inside a ``with`` block."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


@dataclass(frozen=True)
class Record:
    """One operation of a trace: its class, inputs, output and keyword arguments, and the path of its module.

    ``algorithm`` is what ``op.algorithm`` returned: of a convolution, the names of the kernels that compute it and its
    gradients, and the reasons for the choice. None for an operation that has one way to compute it.
    """

    op: type[Any]
    inputs: tuple[Any, ...]
    output: "Variable"
    hyper: dict[str, Any]
    path: str
    algorithm: Any = None


@dataclass
class ModuleCall:
    """State that the outermost running module keeps for the operations inside it."""

    paths: dict[int, str]  # id(module) -> dotted path from the outermost module
    path: str = ""  # of the module that is running
    op_log: list[Any] = field(default_factory=list)  # (path, Function, input shapes, output shape, hyper)


@dataclass(frozen=True)
class BackwardStep:
    """One step of ``backward(trace=True)``: an operation, its local rule, and the gradients before and after it.

    ``algorithm`` holds the kernels that computed the gradients, where the operation has a choice of them.
    """

    op: str
    path: str
    rule: str
    grad_out: np.ndarray[Any, np.dtype[Any]]
    grads: tuple[Any, ...]
    algorithm: Any = None

    @classmethod
    def of(cls, node: "Node", grad_out: np.ndarray[Any, np.dtype[Any]], grads: tuple[Any, ...]) -> Self:
        """Return the step that a node of the graph made."""
        algorithm = getattr(node.ctx, "algorithm", None)
        return cls(node.function.__name__, node.path, node.function.rule, grad_out, grads, algorithm)


def trace() -> "contextlib._GeneratorContextManager[Any]":
    """Return a context manager that gives the list of every `Record` inside it; see `Variable.like_shape`."""
    return setting(_records, [])


def module_path():
    """Return the dotted path of the module that is running, "" outside of modules."""
    call = module_call.get()
    return call.path if call else ""


def note(function, inputs, output, hyper, path):
    """Add an operation that has run in the module of this path to the log of that module and to the trace."""
    if call := module_call.get():
        shapes = [None if v is None else v.data.shape for v in inputs]
        call.op_log.append((path, function, shapes, output.data.shape, hyper))
    if (records := _records.get()) is not None:
        arrays = [None if v is None else v.data for v in inputs]
        algorithm = function.algorithm(arrays, output.data.shape, **hyper) if function.algorithm else None
        records.append(Record(function, inputs, output, hyper, path, algorithm))


def without_values(shape, dtype):
    """Return an array of NaN of any shape that takes the memory of one element."""
    return np.broadcast_to(np.asarray(np.nan, dtype), shape)


def traced_forward(function, ctx, inputs, hyper):
    """Return the output of a function on traced inputs: its shape, or its result on zeros if it has no shape rule."""
    dtype = next(v for v in inputs if v is not None).data.dtype
    if ctx.output_shape is not None:
        return without_values(ctx.output_shape, dtype)
    zeros = [v if v is None else np.zeros(v.data.shape, dtype) for v in inputs]
    with np.errstate(all="ignore"):
        return function.forward(ctx, *zeros, **hyper)
