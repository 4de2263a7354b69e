"""The engine: variables, functions, the graph between them, and the walk back through it.

An operation is a subclass of `Function` with two static methods, ``forward`` and ``backward``;
``apply`` runs the first and leaves a `Node` behind; ``Variable.backward`` runs the second:

    for node in reversed(topological order), and each input of node:
        gradient of the input += node's backward (gradient of the output)

A node points to nodes before it, never to variables between them: an array lives only as long as
the user or a ``ctx.save`` keeps it, and the graph has no reference cycle.
"""

import contextlib
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from minitorch_cnn.story import Story

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_grad_enabled = ContextVar("grad_enabled", default=True)
_recorder = ContextVar("recorder", default=None)
running_module = ContextVar("running_module", default=None)  # a ModuleCall, set by the outermost module


class GraphError(RuntimeError):
    """The graph cannot be walked: it was freed, or an array that it needs was changed in place."""


class TraceError(RuntimeError):
    """A traced variable, which has a shape but no values, was asked for a value."""


@contextlib.contextmanager
def setting(variable, value):
    """Set a context variable inside a ``with`` block."""
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


def no_grad():
    """Return a context manager, also usable as a decorator, inside which no graph is recorded."""
    return setting(_grad_enabled, False)


def is_grad_enabled():
    """Return True where operations record the graph."""
    return _grad_enabled.get()


@dataclass(frozen=True)
class Record:
    """One operation of a trace: its class, its variables, its keyword arguments, its module."""

    op: type
    inputs: tuple
    output: "Variable"
    hyper: dict
    path: str


def trace():
    """Return a context manager that gives the list of every `Record` inside it; see `Variable.like_shape`."""
    return setting(_recorder, [])


@dataclass
class ModuleCall:
    """What the outermost running module keeps for the operations inside it."""

    paths: dict  # id(module) -> dotted path from the outermost module
    path: str = ""
    steps: list = field(default_factory=list)  # (path, operation name, input shapes, output shape, hyper)


class Context:
    """What a `Function` hands from forward to backward; small things are ordinary attributes.

    ``needs_grad[i]`` says whether the gradient of input i is wanted.
    """

    def __init__(self, needs_grad):
        self.needs_grad, self.saved = needs_grad, ()

    def save(self, *arrays):
        """Keep arrays until the graph is freed."""
        self.saved = arrays


class Node:
    """One operation that happened: how to go back through it, and where its inputs came from."""

    def __init__(self, function, ctx, inputs, output, path):
        self.function, self.ctx, self.path, self.retained = function, ctx, path, None
        # An edge leads to the node that made the input, or to the leaf itself, or nowhere.
        self.edges = [(v.node or v) if needed else None for v, needed in zip(inputs, ctx.needs_grad, strict=True)]
        arrays = [a for a in ctx.saved if isinstance(a, np.ndarray)]
        held = [v for v in (*inputs, output) if v is not None and any(np.may_share_memory(v.data, a) for a in arrays)]
        self.versions = [(v._version, v.version) for v in held]
        self.expected = [None if v is None else (v.data.shape, v.data.dtype) for v in inputs]

    def check(self):
        """Raise GraphError if backward cannot run any more."""
        name = self.function.__name__ + (f" in {self.path}" if self.path else "")
        if self.ctx is None:
            raise GraphError(f"backward: {name} was freed by an earlier backward - expected one with retain_graph=True")
        for version, expected in self.versions:
            if version[0] != expected:
                changed = f"expected version {expected}, got {version[0]}"
                raise GraphError(f"backward: {name} - an array that it saved was changed in place, {changed}")

    def checked(self, grads):
        """Return what backward returned as a tuple; ValueError unless it fits the inputs one by one."""
        grads = grads if isinstance(grads, tuple) else (grads,)
        got = [None if grad is None else (grad.shape, grad.dtype) for grad in grads]
        if len(got) != len(self.expected) or any(g not in (None, e) for g, e in zip(got, self.expected, strict=True)):
            expected, got = ([p and (p[0], str(p[1])) for p in pairs] for pairs in (self.expected, got))
            raise ValueError(f"{self.function.__name__}.backward: expected gradients of {expected}, got {got}")
        return grads


@dataclass(frozen=True)
class BackwardStep:
    """One card of ``backward(trace=True)``: the local rule, and the gradients before and after it."""

    op: str
    path: str
    rule: str
    grad_out: np.ndarray
    grads: tuple


class Variable:
    """An array with a place in the graph: ``data``, ``grad`` (an array or None) and ``node``."""

    def __init__(self, data, requires_grad=False):
        self.data, self.grad, self.node = data, None, None
        self.requires_grad, self.traced = requires_grad, False
        self._version = [0]  # one list for all views of one memory

    @property
    def version(self):
        """How often the memory was changed in place by a method or an optimiser."""
        return self._version[0]

    def bump_version(self):
        """Say that ``data`` was changed in place."""
        self._version[0] += 1

    @classmethod
    def like_shape(cls, shape, dtype=np.float32):
        """Return a traced variable: a shape and a dtype, and NaNs that take no memory."""
        variable = cls(np.broadcast_to(np.asarray(np.nan, dtype), shape))
        variable.traced = True
        return variable

    def result(self, data):
        """Return a new variable of the type that operations on this one give."""
        return type(self)(data)

    def detach(self):
        """Return a variable of the same memory outside the graph."""
        other = self.result(self.data)
        other._version, other.traced = self._version, self.traced
        return other

    def retain_grad(self):
        """Ask backward to add the gradient to ``grad`` here too, although this is not a leaf."""
        if self.node is not None:
            self.node.retained = weakref.ref(self)

    def backward(self, grad=None, *, retain_graph=False, trace=False, ready=None):
        """Add the gradient of this variable to ``grad`` of every leaf that it depends on.

        Parameters
        ----------
        grad : ndarray of the shape of ``data``, or None for 1, the gradient of a single element
        retain_graph : bool, whether to keep what forward saved, so that backward can run again
        trace : bool, whether to return the walk, a `Story` of BackwardSteps
        ready : callable or None, called with each leaf as soon as its gradient is final, while the walk goes on

        Raises
        ------
        GraphError, TraceError, ValueError : nothing needs a gradient, or the graph or ``grad`` does not fit
        """
        if self.traced:
            raise TraceError("backward: expected a variable computed from real data, got a traced one without values")
        if not self.requires_grad:
            raise GraphError("backward: expected a variable that requires a gradient, got one that does not")
        if grad is None and self.data.size != 1:
            raise ValueError(f"backward: grad - expected an array of shape {self.data.shape}, got None")
        grad = np.ones_like(self.data) if grad is None else np.asarray(grad, self.data.dtype)
        if grad.shape != self.data.shape:
            raise ValueError(f"backward: grad - expected shape {self.data.shape}, got {grad.shape}")
        order = topological_order(self.node) if self.node else []
        for node in order:  # before the first gradient is touched, so that a failure changes nothing
            node.check()
        if self.node is None:
            _accumulate(self, grad, owned=False)
        last = {edge: node for node in reversed(order) for edge in node.edges}  # that gives it a gradient
        grads, steps = {self.node: grad}, Story()
        for node in reversed(order):
            if node in grads:
                step = _step_back(node, grads.pop(node), grads)
                steps += [step] if trace else []
            for edge in dict.fromkeys(node.edges) if ready else ():
                if isinstance(edge, Variable) and last[edge] is node:
                    ready(edge)
            if not retain_graph:
                node.ctx, node.edges = None, []
        return steps if trace else None


def topological_order(root):
    """Return the nodes behind ``root``, each after all that it depends on; iterative, so any depth."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((edge, False) for edge in node.edges if isinstance(edge, Node))
    return order


def _step_back(node, grad_out, grads):
    """Run the backward of one node and hand its gradients on."""
    if (variable := node.retained and node.retained()) is not None:
        _accumulate(variable, grad_out, owned=False)
    with np.errstate(all="ignore"):
        results = node.checked(node.function.backward(node.ctx, grad_out))
    for edge, grad in zip(node.edges, results, strict=True):
        if isinstance(edge, Node) and grad is not None:  # a sum makes a new array: another edge may hold the old one
            grads[edge] = grads[edge] + grad if edge in grads else grad
        elif edge is not None and grad is not None:
            holders = sum(grad is other for other in (grad_out, *node.ctx.saved, *results))
            _accumulate(edge, grad, owned=grad.base is None and holders == 1)
    return BackwardStep(node.function.__name__, node.path, node.function.rule, grad_out, results)


def _accumulate(leaf, grad, owned):
    """Add ``grad`` to a variable; its first gradient is taken over if nobody else holds the array."""
    if leaf.grad is not None:
        leaf.grad = np.asarray(leaf.grad + grad)  # a sum of scalars is no array
    else:
        leaf.grad = np.asarray(grad) if owned else np.array(grad)


class Function:
    """An operation: subclasses give ``forward`` and ``backward`` side by side.

    ``output_shape(*shapes, **hyper)`` (shapes in, shape out, None for an absent input) checks the
    arguments and serves the trace; ``choices(ctx)`` returns the discrete choices made by forward;
    ``rule`` says in one sentence what backward does; ``any_dtype`` lets integers through.
    """

    any_dtype, output_shape, rule = False, None, ""

    @classmethod
    def apply(cls, *inputs, **hyper):
        """Run the operation on variables (None for an absent optional one) and record it."""
        present = [v for v in inputs if v is not None]
        dtype = present[0].data.dtype
        if not cls.any_dtype and any(v.data.dtype != dtype or dtype not in FLOAT_DTYPES for v in present):
            got = ", ".join(str(v.data.dtype) for v in present)
            raise TypeError(f"{cls.__name__}: dtype - expected float32 or float64, the same everywhere, got {got}")
        shapes = [None if v is None else v.data.shape for v in inputs]
        shape = cls.output_shape(*shapes, **hyper) if cls.output_shape else None
        traced = any(v.traced for v in present)
        recording = _grad_enabled.get() and not traced
        ctx = Context(tuple(recording and v is not None and v.requires_grad for v in inputs))
        call = running_module.get()
        path = call.path if call else ""
        if traced and shape is not None:
            output = present[0].result(np.broadcast_to(np.asarray(np.nan, dtype), shape))
        else:  # a user's traced function without output_shape runs on zeros
            arrays = [v if v is None else np.zeros(v.data.shape, dtype) if traced else v.data for v in inputs]
            with np.errstate(all="ignore"):  # infinities and NaN go on as values; the trainer looks for them
                output = present[0].result(cls.forward(ctx, *arrays, **hyper))
            if shape is not None and output.data.shape != tuple(shape):
                raise ValueError(f"{cls.__name__}.forward: expected shape {tuple(shape)}, got {output.data.shape}")
        output.traced = traced
        for v in present:
            if not traced and np.may_share_memory(v.data, output.data):
                output._version = v._version
        if any(ctx.needs_grad):
            output.requires_grad = True
            output.node = Node(cls, ctx, inputs, output, path)
        if call:
            call.steps.append((path, cls.__name__, shapes, output.data.shape, hyper))
        if (records := _recorder.get()) is not None:
            records.append(Record(cls, inputs, output, hyper, path))
        return output
