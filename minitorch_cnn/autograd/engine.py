"""Backpropagation: variables, functions, the graph that they record, and the backward pass through it.

An operation is a subclass of `Function` with two static methods, ``forward`` and ``backward``. ``apply`` runs the first
and records a `Node`. ``Variable.backward`` runs the second on all nodes, the last one first:

    for node in reversed(topological order), for each input of the node:
        gradient of the input += node's backward(gradient of the output)

A node points to the nodes before it, never to the variables in between. So an array lives only as long as the user or
``ctx.save`` keeps it, and the graph has no reference cycle.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Self

import numpy as np

from minitorch_cnn import arguments, habits
from minitorch_cnn.autograd import checks
from minitorch_cnn.autograd.shape_only import ShapeOnly
from minitorch_cnn.autograd.trace import BackwardStep, as_traced, module_path, note, setting, traced_output

_grad_enabled = ContextVar("grad_enabled", default=True)


def no_grad() -> setting:
    """Return a context manager, also usable as a decorator, inside which no graph is recorded."""
    return setting(_grad_enabled, False)


def enable_grad() -> setting:
    """Return a context manager, also usable as a decorator, inside which the graph is recorded, even in `no_grad`."""
    return setting(_grad_enabled, True)


def is_grad_enabled() -> bool:
    """Return True where operations record the graph."""
    return _grad_enabled.get()


class Variable:
    """An array in the graph: ``data``, its gradient ``grad`` (an array or None), and the ``node`` that computed it."""

    data: np.ndarray[Any, np.dtype[Any]]
    grad: np.ndarray[Any, np.dtype[Any]] | None
    node: Node | None
    add_arrays = staticmethod(operator.add)  # adds two gradients; `Tensor` has functions that are faster
    _unshared = staticmethod(lambda array: array if array.base is None else np.array(array))  # a view is copied

    def __init__(self, data: Any, requires_grad: bool = False):
        self.data, self.grad, self.node = data, None, None
        self.requires_grad, self.traced = requires_grad, False
        self._version = [0]  # one list for all variables on the same memory

    @property
    def version(self) -> int:
        """How often the memory was changed in place by a method or an optimiser."""
        return self._version[0]

    def bump_version(self) -> None:
        """Say that ``data`` was changed in place."""
        self._version[0] += 1

    @classmethod
    def like_shape(cls, shape: tuple[int, ...], dtype: Any = np.float32) -> Self:
        """Return a traced variable: it has a shape and a dtype, but no values and no memory."""
        return as_traced(cls(np.zeros((), ShapeOnly(shape, dtype).dtype)), shape)

    def result(self, data: Any) -> Variable:
        """Return a new variable of the type that operations on this one return."""
        return type(self)(data)

    def detach(self) -> Self:
        """Return a variable on the same memory outside the graph; of a traced one, itself, as it has no gradient."""
        if self.traced:
            return self
        other = self.result(self.data)
        other._version = self._version
        return other

    def retain_grad(self) -> None:
        """Ask backward to add the gradient to ``grad`` here too, although this variable is not a leaf."""
        if self.node is not None:
            self.node.retained = weakref.ref(self)

    def backward(
        self, grad: Any = None, *, retain_graph: bool = False, trace: bool = False,
        on_leaf: Callable[[Any], None] | None = None
    ) -> list[BackwardStep] | None:
        """Add the gradient of this variable to ``grad`` of every leaf that it depends on.

        Parameters
        ----------
        grad : ndarray of the shape of ``data``, or None
            The gradient of this variable. None stands for 1, where there is a single element.
        retain_graph : bool
            Keep what forward saved, so that backward can run again.
        trace : bool
            Return the steps. `explain.BackwardTrace` prints them, and shows them as a table in notebooks.
        on_leaf : callable or None
            Called with each leaf as soon as its gradient is final, while backward continues.

        Returns
        -------
        list of BackwardStep, the last operation first, or None without ``trace``

        Raises
        ------
        GraphError, TraceError, ValueError
            If nothing requires a gradient, or the graph or ``grad`` does not fit. No gradient has changed then.
        """
        arguments.flag("backward", retain_graph=retain_graph, trace=trace)
        root = self.node or self
        grads, steps = {root: checks.first_gradient(self, grad)}, []
        order = topological_order(root)
        for node in order:  # before any gradient changes, so that a failure leaves all as it was
            if isinstance(node, Node):
                checks.check_node(node)
            else:
                checks.check_leaf(node)
        for node in reversed(order):
            grad_out = grads.pop(node, None)
            if isinstance(node, Variable):  # a leaf, whose gradient is final now, or None
                node._add_gradient(grad_out, on_leaf)
                continue
            if grad_out is not None:
                grads_in = node.backward(grad_out)
                for edge, grad in zip(node.edges, grads_in, strict=True):
                    if edge is not None and grad is not None:  # the sum is a new array: others may hold the old one
                        grads[edge] = self.add_arrays(grads[edge], grad) if edge in grads else grad
                if trace:
                    steps.append(BackwardStep.of(node, grad_out, grads_in))
            if not retain_graph:
                node.free()
        return steps if trace else None

    def _add_gradient(self, grad, on_leaf=None):
        """Add an array that nobody else holds to ``grad``, and tell ``on_leaf``; None means no gradient."""
        if grad is not None:
            self.grad = np.asarray(self._unshared(grad) if self.grad is None else self.grad + grad)  # not a scalar
            if on_leaf:
                on_leaf(self)


class Context(habits.ContextHints):
    """Passes values from forward to backward: arrays by ``save``, small values as ordinary attributes.

    Attributes
    ----------
    needs_grad : tuple of bool
        For each input, whether its gradient is wanted.
    output_shape : tuple of int or None
        The shape that the function's ``output_shape`` returned.
    saved : tuple
        The arrays that ``save`` was given.
    """

    def __init__(self, needs_grad: tuple[bool, ...], output_shape: tuple[int, ...] | None = None):
        self.needs_grad, self.output_shape = needs_grad, output_shape
        self.saved: tuple[Any, ...] = ()

    def save(self, *arrays: Any) -> None:
        """Keep arrays until the graph is freed."""
        self.saved = arrays


class Node:
    """One operation that ran: its function, the context with saved arrays, and an edge to the origin of each input."""

    def __init__(self, function: type[Function], ctx: Context, inputs: Any, output: Variable, path: str):
        self.function, self.ctx, self.path, self.retained = function, ctx, path, None
        # An edge leads to the node that computed the input, or to the leaf itself; None where no gradient is wanted.
        self.edges = [(v.node or v) if needed else None for v, needed in zip(inputs, ctx.needs_grad, strict=True)]
        self.versions = checks.saved_versions(ctx, [v for v in (*inputs, output) if v is not None])
        self.expected = [None if v is None else (v.data.shape, v.data.dtype) for v in inputs]

    def backward(self, grad_out: Any) -> tuple[Any, ...]:
        """Return the gradient of each input, or None; a leaf gets an array that nobody else holds."""
        if (variable := self.retained and self.retained()) is not None:
            variable._add_gradient(np.array(grad_out))
        grads = list(checks.check_gradients(self, checks.quietly(self.function.backward, self.ctx, grad_out)))
        return checks.owned(grads, [isinstance(edge, Variable) for edge in self.edges])

    def free(self) -> None:
        """Drop the saved arrays and the edges to earlier nodes."""
        self.ctx, self.edges = None, []


def topological_order(root: Node | Variable) -> list[Node | Variable]:
    """Return ``root`` and the nodes and leaves that it depends on, each after its own dependencies.

    A loop instead of recursion allows graphs of any depth. A leaf comes right before the first node that reads it:
    read from the end, that is as soon as its gradient is final.
    """
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if isinstance(node, Node):
                for kind in (Variable, Node):  # leaves lie deeper in the stack
                    stack += [(edge, False) for edge in node.edges if isinstance(edge, kind)]
    return order


class Function:
    """An operation: a subclass writes ``forward`` and ``backward`` side by side.

    ``forward(ctx, *arrays, **hyper)`` returns an array; ``backward(ctx, grad_out)`` returns the gradient of each input.
    ``output_shape(*shapes, **hyper)`` takes shapes, None for an absent input, checks the arguments, and returns the
    shape of the output. ``choices(ctx)`` returns the discrete choices that forward made. ``rule`` says in one sentence
    what backward does. ``any_dtype`` allows integers.

    ``reads`` says which input elements an output element depends on, ``kind`` and ``label`` how drawings show the
    operation, and ``macs(call)`` how many multiply-adds it takes; see `minitorch_cnn.ops.reads`. Anything not declared
    is shown as "not known". ``algorithm(arrays, shape, **hyper)`` tells traces which kernels compute it, and why.
    """

    any_dtype, output_shape, rule = False, None, ""
    reads: Any = None
    macs: Any = None
    algorithm: Any = None
    kind = label = ""

    @classmethod
    def apply(cls, *inputs: Any, **hyper: Any) -> Any:
        """Run the operation on variables, None for an absent optional one, and record it in the graph."""
        variables, traced = checks.variables_among(cls, inputs)
        if not cls.any_dtype:
            checks.check_dtypes(cls, variables)
        arrays = [None if v is None else v.data for v in inputs]
        shapes = [None if a is None else a.shape for a in arrays]
        shape = cls.output_shape(*shapes, **hyper) if cls.output_shape else None
        recording = is_grad_enabled() and not traced
        ctx = Context(tuple([recording and v is not None and v.requires_grad for v in inputs]), shape)
        if traced:
            output = traced_output(cls, ctx, inputs, hyper)
        else:
            data = checks.quietly(cls.forward, ctx, *arrays, **hyper)
            checks.check_output(cls, shape, data)
            output = variables[0].result(data)
            for v in variables:
                if np.may_share_memory(v.data, data):
                    output._version = v._version
        if True in ctx.needs_grad:
            output.requires_grad = True
            output.node = Node(cls, ctx, inputs, output, module_path())
        note(cls, inputs, output, hyper)
        return output
