"""One planted mistake, and ways to make some: each ``wrong(right, ctx, grad_out)`` spoils the right gradients."""

import contextlib
import importlib
from typing import Any, NamedTuple

import numpy as np

# What the checker says of the classic mistakes.
SIGN, TWICE, HALF = "the wrong sign", "a factor 2: counted twice", "a factor 1/2: half"
KERNEL, TURNED, BATCH = "an unflipped kernel", "a transposed", "a missing sum over the batch"
BESIDE, MEAN, MASK = "off by one in the padding", "a dropped mean term", "a missing mask"


class Mutant(NamedTuple):
    """One wrong backward.

    ``wrong(right, ctx, grad_out)`` takes the place of ``right(ctx, grad_out)`` of the class ``target`` in
    `minitorch_cnn.ops`; ``case`` is the function and the arrays that it is tried on; ``cause`` is what the
    checker has to say of a classic one, nothing for the others.
    """

    family: str
    name: str
    target: str
    wrong: callable
    case: tuple[Any, ...]
    cause: str = ""

    @contextlib.contextmanager
    def planted(self):
        """Let the operation be wrong inside a ``with`` block."""
        module, name = self.target.split(".")
        operation = getattr(importlib.import_module(f"minitorch_cnn.ops.{module}"), name)
        right, own = operation.backward, vars(operation).get("backward")
        operation.backward = staticmethod(lambda ctx, grad_out: self.wrong(right, ctx, grad_out))
        try:
            yield
        finally:
            if own is None:  # inherited: a class method, left here, would work for this class alone
                del operation.backward
            else:
                operation.backward = own


def family(family, target, case, *mutants):
    """Write a table: (name, wrong backward, cause, another case), the last two being optional."""
    for name, wrong, *rest in mutants:
        cause, own = (*rest, *("", None)[len(rest) :])
        yield Mutant(family, name, target, wrong, own or case, cause)


def normal(*shape):
    return np.random.default_rng([7, *shape]).standard_normal(shape)


def apart(*shape):
    """Numbers of both signs that all differ by 0.25 and more, so that nothing lies on a kink."""
    size = int(np.prod(shape))
    return (np.random.default_rng(7).permutation(size).reshape(shape) - size // 2 + 0.5) / 4


def only(i, make):
    """Take gradient i from ``make``, the others from the right backward."""

    def wrong(right, ctx, g):
        grads = right(ctx, g)
        grads = list(grads) if isinstance(grads, tuple) else [grads]
        grads[i] = make(right, ctx, g, grads[i])
        return tuple(grads)

    return wrong


def times(factor, i=0):
    return only(i, lambda right, ctx, g, grad: grad * factor)


def changed(change, i=0):
    """Spoil gradient i itself."""
    return only(i, lambda right, ctx, g, grad: change(grad))


def seeing(change, i=0):
    """Compute gradient i from a wrong gradient of the output."""

    def make(right, ctx, g, grad):
        grads = right(ctx, change(g))
        return grads[i] if isinstance(grads, tuple) else grads

    return only(i, make)


def misread(saved=None, i=0, **attributes):
    """Compute gradient i with other saved arrays or attributes of ctx: functions of the right ones."""

    def make(right, ctx, g, grad):
        before = dict(vars(ctx))
        if saved:
            ctx.saved = saved(*ctx.saved)
        for name, change in attributes.items():
            setattr(ctx, name, change(getattr(ctx, name)))
        try:
            grads = right(ctx, g)
        finally:
            vars(ctx).update(before)
        return grads[i] if isinstance(grads, tuple) else grads

    return only(i, make)


def instead(formula):
    """Compute the gradient of an operation of one input from ctx.saved and grad_out."""
    return lambda right, ctx, g: formula(g, *ctx.saved)


def flip(a):
    return a[..., ::-1, ::-1].copy()


def first(a):
    """Keep the first image, or row, alone."""
    return np.concatenate([a[:1], np.zeros_like(a[1:])])


def beside(a):
    """Move all by one along the last axis."""
    return np.concatenate([np.zeros_like(a[..., :1]), a[..., :-1]], -1)


def no_border(a):
    out = np.zeros_like(a)
    out[..., 1:-1, 1:-1] = a[..., 1:-1, 1:-1]
    return out


def keywords(**changes):
    return lambda hyper: {**hyper, **changes}
