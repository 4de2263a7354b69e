"""Random graphs, grown, walked back, freed and corrupted in random order, against differences of their forward."""

import importlib
import inspect
import textwrap
from contextvars import copy_context
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from minitorch_cnn import Tensor, no_grad, ops
from minitorch_cnn.autograd import Function, GraphError, Node, Variable, checks, engine
from minitorch_cnn.ops import arithmetic

blocks = importlib.import_module("minitorch_cnn.autograd.trace")  # whose name is also that of a context manager

SHAPE = (2, 3)
EPS = 1e-6


def sum_of_three(y, z):
    """Return y + z + y: the backward of a sum hands the same array to both."""
    return (y + z) + y


UNARY = {
    "tanh": ops.tanh,
    "gelu": ops.gelu,
    "softmax": ops.softmax,
    "flip": lambda x: ops.flip(x, 1),
    "transpose twice": lambda x: ops.transpose(ops.transpose(x)),
    "repeat a row": lambda x: ops.index(x, ([0, 0],)),
    "less its mean": lambda x: x - ops.mean(x, 1, keepdims=True),
    "twice the same": lambda x: x * x * 0.3,
    "one array as three gradients": lambda x: sum_of_three(ops.tanh(x), ops.gelu(x)),
    "halves joined": lambda x: ops.concat(ops.split(x, [1, 2]), 1),
}
BINARY = {
    "add": ops.add,
    "sub": ops.sub,
    "mul": lambda a, b: ops.tanh(a * b),
    "div": lambda a, b: a / (b * b + 1.0),
    "matmul": lambda a, b: ops.tanh(ops.matmul(ops.matmul(a, ops.transpose(b)), a)),
}


class Value(NamedTuple):
    """A Tensor and how it came about: a leaf has ``past``, its values from write to write, all others a recipe."""

    tensor: Tensor
    past: list | None = None
    function: callable = None
    sources: tuple = ()  # (number of the value, how many values its past had)
    constant: bool = False  # made under no_grad
    clock: int = 0  # how many writes came before


seeds = st.integers(0, 2**32 - 1)
numbers = st.just(-1) | st.integers(0, 10**6)  # -1 is the latest value: half of the graphs are long chains


class Engine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.values, self.freed, self.writes = [], set(), []  # writes: (leaf, their number)

    def pick(self, number):
        return number % len(self.values)

    @initialize(seed=seeds)
    def begin(self, seed):
        self.add_leaf(seed)

    @rule(seed=seeds)
    def add_leaf(self, seed):
        array = np.random.default_rng(seed).uniform(-1, 1, SHAPE)
        self.values.append(Value(Tensor(array.copy(), requires_grad=True), past=[array]))

    def grow(self, function, numbers, constant=False):
        used = [self.pick(number) for number in numbers]
        sources = tuple((i, len(self.values[i].past or [0])) for i in used)
        tensors = [self.values[i].tensor for i in used]
        if constant:
            with no_grad():
                out = function(*tensors)
        else:
            out = function(*tensors)
        assert out.requires_grad == (not constant and any(tensor.requires_grad for tensor in tensors))
        self.values.append(Value(out, function=function, sources=sources, constant=constant, clock=len(self.writes)))

    @rule(name=st.sampled_from(sorted(UNARY)), number=numbers, constant=st.sampled_from([False, False, False, True]))
    def unary(self, name, number, constant):
        self.grow(UNARY[name], [number], constant)

    @rule(name=st.sampled_from(sorted(BINARY)), one=numbers, other=numbers)
    def binary(self, name, one, other):
        self.grow(BINARY[name], [one, other])

    @rule(number=numbers, factor=st.sampled_from([0.5, -1.0]))
    def write_in_place(self, number, factor):
        leaf = [value for value in self.values if value.past][number % sum(bool(value.past) for value in self.values)]
        try:
            leaf.tensor.mul_(factor)
        except GraphError:
            pass
        else:
            raise AssertionError("a leaf that requires a gradient let itself be written to")
        with no_grad():
            leaf.tensor.mul_(factor)
        leaf.past.append(leaf.tensor.data.copy())
        self.writes.append((leaf, len(self.writes) + 1))

    def behind(self, i):
        """Return the numbers of all values that the gradient of value i goes through."""
        seen, stack = set(), [i]
        while stack:
            k = stack.pop()
            if k not in seen and self.values[k].tensor.requires_grad:
                seen.add(k)
                stack.extend(source for source, _ in self.values[k].sources)
        return seen

    def reads_a_changed_view(self, j):
        """Return True if value j was computed from a view of a leaf that was written to after the view was made."""
        views = [self.values[k] for k, _ in self.values[j].sources if not self.values[k].past]
        return any(
            view.clock < clock <= self.values[j].clock and np.may_share_memory(view.tensor.data, leaf.tensor.data)
            for view in views
            for leaf, clock in self.writes
        )

    def replay(self, i, age, moves, done):
        """Compute value i anew from leaves moved by ``moves``, by number; constants stay as they were."""
        value = self.values[i]
        if value.past:
            return Tensor(value.past[age - 1] + moves[i])
        if value.constant:
            return value.tensor
        if i not in done:
            done[i] = value.function(*(self.replay(k, then, moves, done) for k, then in value.sources))
        return done[i]

    @rule(number=numbers, retain=st.booleans(), seed=seeds)
    def walk_back(self, number, retain, seed):
        i, draw = self.pick(number), np.random.default_rng(seed)
        root, behind = self.values[i].tensor, self.behind(i)
        leaves = {k: value.tensor for k, value in enumerate(self.values) if value.past}
        for leaf in leaves.values():
            leaf.grad = None
        grad_out = draw.uniform(-1, 1, SHAPE)
        inner = {k for k in behind if not self.values[k].past}
        written = any(
            self.values[k].past and len(self.values[k].past) > age for j in inner for k, age in self.values[j].sources
        )
        try:
            root.backward(grad_out, retain_graph=retain)
        except GraphError:
            assert not behind or behind & self.freed or written
            assert all(leaf.grad is None for leaf in leaves.values()), "a failed backward changed a gradient"
            return
        assert behind and not behind & self.freed
        self.freed |= set() if retain else inner
        if any(map(self.reads_a_changed_view, inner)):
            return  # replay makes the view of the values that the leaf had before
        moves = {k: EPS * draw.uniform(-1, 1, SHAPE) for k in leaves}
        with no_grad():
            age = len(self.values[i].past or [0])
            above = self.replay(i, age, moves, {}).data
            below = self.replay(i, age, {k: -move for k, move in moves.items()}, {}).data
        numeric = (grad_out * (above - below)).sum() / (2 * EPS)
        analytic = sum((leaf.grad * moves[k]).sum() / EPS for k, leaf in leaves.items() if leaf.grad is not None)
        np.testing.assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-6)
        assert all((leaf.grad is None) or k in behind for k, leaf in leaves.items())


Engine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestEngine = Engine.TestCase


# ------------------------------------------------------------------------ the machine is tested

BUGS = {  # what is wrong: (where, function, text, what replaces it, ...)
    "the second gradient of a node or leaf replaces the first": (
        *(Variable, "backward", "self.add_arrays(grads[edge], grad) if", "grad if"),
    ),
    "a sum overwrites an array that another edge holds": (
        *(Variable, "backward", "self.add_arrays(grads[edge], grad) if"),
        "np.add(grads[edge], grad, out=grads[edge]) if",
    ),
    "an input that is used twice counts once": (
        *(Variable, "backward", "in zip(node.edges, grads_in, strict=True)"),
        "in dict(zip(node.edges, grads_in)).items()",
    ),
    "the walk continues before a node has all its gradients": (
        *(engine, "topological_order", "stack.append((node, True))"),
        "order.insert(0, node)",
    ),
    "the gradient that backward is given is not used": (
        *(checks, "first_gradient", "np.ones_like(data) if grad is None else _as_gradient(grad, data.dtype)"),
        "np.ones_like(data)",
    ),
    "the graph stays after backward": (Variable, "backward", "if not retain_graph:", "if False:"),
    "the graph is freed although it should stay": (Variable, "backward", "if not retain_graph:", "if True:"),
    "a freed graph is walked once more": (
        *(checks, "check_node", "if node.ctx is None:"),
        "if node.ctx is None:\n        return\n    if False:",
    ),
    "a backward that fails has changed gradients": (
        *(Variable, "backward", "checks.check_node(node)", "pass"),
        *("grads_in = node.backward(grad_out)", "checks.check_node(node); grads_in = node.backward(grad_out)"),
    ),
    "arrays that were written to go unnoticed": (checks, "check_node", "counter[0] != expected", "False"),
    "inputs that were written to go unnoticed": (Node, "__init__", "in (*inputs, output)", "in (output,)"),
    "views do not share the version of their memory": (Function, "apply", "output._version = v._version", "pass"),
    "writing does not change the version": (Variable, "bump_version", "+= 1", "+= 0"),
    "no_grad records": (Function, "apply", "is_grad_enabled()", "True"),
    "no_grad does not end": (blocks, "_end", "block.variable.set(block.before)", "pass"),
    "constants take gradients": (Function, "apply", "recording and v is not None and v.requires_grad", "recording"),
    "a broadcast gradient is averaged": (arithmetic, "unbroadcast", "_sum(grad, axes)", "grad.mean(axes)"),
    "a broadcast gradient is taken from one place": (
        *(arithmetic, "unbroadcast", "_sum(grad, axes)"),
        "grad.ravel()[: max(1, int(np.prod(shape)))]",
    ),
}


def run_thoroughly(graphs):
    """Run the machine, where a no_grad that does not end reaches nobody else.

    The graphs are the same in every run of the same tests, but not those of other tests: Hypothesis takes numbers
    from all modules that are loaded.
    """
    thorough = settings(max_examples=graphs, stateful_step_count=20, deadline=None, derandomize=True, database=None)
    copy_context().run(run_state_machine_as_test, Engine, settings=settings(thorough, phases=[Phase.generate]))


@pytest.mark.slow
def test_the_engine_passes_what_its_bugs_do_not():
    run_thoroughly(200)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(monkeypatch, bug):
    owner, name, *changes = BUGS[bug]
    source, made = textwrap.dedent(inspect.getsource(getattr(owner, name))), {}
    for text, instead in zip(changes[::2], changes[1::2], strict=True):
        assert source.count(text) == 1
        source = source.replace(text, instead)
    exec(source, vars(inspect.getmodule(getattr(owner, name))), made)
    monkeypatch.setattr(owner, name, made[name])
    with pytest.raises((AssertionError, GraphError, AttributeError, ValueError, TypeError, Flaky)):
        run_thoroughly(10_000)  # a rare bug takes a thousand or two; most are caught at once
