"""Records made while operations run: the trace of all operations, and the module that each belongs to.

A *traced* variable has a shape and a dtype but no values. Operations on it compute only shapes, so tracing a
large network takes milliseconds and no memory.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from minitorch_cnn.autograd.checks import check_output, quietly
from minitorch_cnn.autograd.shape_only import ShapeOnly

if TYPE_CHECKING:
    from minitorch_cnn.autograd.engine import Node, Variable

Decorated = TypeVar("Decorated", bound=Callable[..., Any])  # a function stays of the type that it had

_records = ContextVar("trace", default=())  # the lists of all traces that are open
module_call = ContextVar("module_call", default=None)  # the ModuleCall of the outermost module that is running


class setting(contextlib.ContextDecorator):
    """Set a context variable inside a ``with`` block, and while a function that it decorates runs.

    A generator that stops inside such a block leaves it open, so that blocks can end in another order than they began.
    Each takes back its own setting alone, and the last one leaves what was there before them all. Of a decorated
    generator or coroutine, the body runs inside, and the code that waits for it outside.

    Parameters
    ----------
    variable : ContextVar
    value : object
        Returned by ``with setting(...) as value``.

    Raises
    ------
    TypeError
        If it decorates a class or an asynchronous generator.
    """

    def __init__(self, variable: ContextVar[Any], value: Any):
        self.variable, self.value, self._entered = variable, value, []

    def _prepare(self):
        """Return what the variable becomes, and what ``with ... as`` names."""
        return self.value, self.value

    def __enter__(self) -> Any:
        value, named = self._prepare()
        block = _Block(self.variable, self.variable.get())
        try:
            _blocks.set((*_blocks.get(), block))
            self.variable.set(value)
            self._entered.append(block)
            return named
        except BaseException:  # Ctrl-C, after which nobody calls __exit__
            _end(block)
            raise

    def __exit__(self, *error: object) -> None:
        try:
            _end(self._entered[-1])
        except BaseException:  # Ctrl-C in the middle
            _end(self._entered[-1])
            raise
        finally:
            self._entered.pop()

    def _recreate_cm(self):
        return type(self)(self.variable, self.value)

    def __call__(self, function: Decorated) -> Decorated:
        if isinstance(function, type) or inspect.isasyncgenfunction(function):
            kind = "a class" if isinstance(function, type) else "an asynchronous generator"
            raise TypeError(f"{self.variable.name}: function - expected a function to decorate, got {kind}")
        if inspect.iscoroutinefunction(function):
            return cast(Decorated, self._around_coroutine(function))
        if inspect.isgeneratorfunction(function):
            return cast(Decorated, self._around_generator(function))
        return super().__call__(function)

    def _around_coroutine(self, function):
        @functools.wraps(function)
        async def coroutine(*args, **kwargs):
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return coroutine

    def _around_generator(self, function):
        @functools.wraps(function)
        def steps(*args, **kwargs):
            generator = function(*args, **kwargs)
            resume = functools.partial(next, generator)
            while True:
                with self._recreate_cm():
                    try:
                        item = resume()
                    except StopIteration as end:
                        return end.value
                try:
                    resume = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    with self._recreate_cm():
                        generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)

        return steps


@dataclass(eq=False)
class _Block:
    """A block that is open: what it sets, and the value to which its end returns."""

    variable: ContextVar[Any]
    before: Any


_blocks = ContextVar("blocks", default=())  # all that are open, in the order in which they began


def _end(block):
    """Take back what a block has set, unless later blocks set the same; these then return to what was before it."""
    blocks = _blocks.get()
    if block not in blocks:
        return  # it ends in another thread or task, where it has set nothing
    later = [other for other in blocks[blocks.index(block) + 1 :] if other.variable is block.variable]
    if later:
        later[0].before = block.before
    else:
        block.variable.set(block.before)
    _blocks.set(tuple(other for other in blocks if other is not block))


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
        grads = tuple([None if grad is None else np.array(grad) for grad in grads])  # leaves change theirs in place
        return cls(node.function.__name__, node.path, node.function.rule, grad_out, grads, algorithm)


class trace(setting):
    """A context manager that gives the list of every `Record` inside it; see `Variable.like_shape`.

    A trace inside another one records into both.
    """

    def __init__(self):
        super().__init__(_records, ())

    def _prepare(self):
        records = []
        return (*_records.get(), records), records

    def _recreate_cm(self):
        return type(self)()


def module_path():
    """Return the dotted path of the module that is running, "" outside of modules."""
    call = module_call.get()
    return call.path if call else ""


def note(function, inputs, output, hyper):
    """Add an operation that has run to the log of the running module and to the trace."""
    path = module_path()
    if call := module_call.get():
        shapes = [None if v is None else v.data.shape for v in inputs]
        call.op_log.append((path, function, shapes, output.data.shape, hyper))
    if traces := _records.get():
        arrays = [None if v is None else v.data for v in inputs]
        algorithm = function.algorithm(arrays, output.data.shape, **hyper) if function.algorithm else None
        for records in traces:
            records.append(Record(function, inputs, output, hyper, path, algorithm))


def as_traced(variable, shape):
    """Take the values away from a variable, which keeps its dtype, and give it a shape; return it."""
    variable.data, variable.traced = ShapeOnly(shape, variable.data.dtype), True
    return variable


def traced_output(function, ctx, inputs, hyper):
    """Return what a function makes of traced inputs: of the shape by its rule, or if it has none, by a run on zeros."""
    variables = [v for v in inputs if v is not None]
    shape, dtype = ctx.output_shape, variables[0].data.dtype
    if shape is None:
        zeros = [v if v is None else np.zeros(v.data.shape, dtype) for v in inputs]
        result = quietly(function.forward, ctx, *zeros, **hyper)
        check_output(function, None, result)
        shape, dtype = result.shape, result.dtype
    return as_traced(variables[0].result(np.zeros((), dtype)), shape)
