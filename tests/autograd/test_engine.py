"""The engine, on operations defined here: the graph, the walk back, its errors, the trace."""

import ast
import gc
import inspect
import re
import weakref

import numpy as np
import pytest

from minitorch_cnn import autograd, tensor
from minitorch_cnn.autograd import Function, GraphError, TraceError, Variable, no_grad
from minitorch_kernels.runtime import memory


class Multiply(Function):
    rule = "each factor gets grad_out times the other"

    @staticmethod
    def output_shape(a, b):
        assert a == b
        return a

    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a, b)
        return a * b

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return grad_out * b if ctx.needs_grad[0] else None, grad_out * a if ctx.needs_grad[1] else None


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        out = np.exp(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * ctx.saved[0]


class Add(Function):
    @staticmethod
    def forward(ctx, a, b):
        return a + b

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out, grad_out


class Reverse(Function):
    """A view of its input."""

    @staticmethod
    def forward(ctx, x):
        return x[::-1]

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out[::-1]


def leaf(*values):
    return Variable(np.array(values, np.float64), requires_grad=True)


def test_gradient_of_a_product_is_the_other_factor():
    a, b = leaf(2.0, 3.0), leaf(5.0, 7.0)
    Multiply.apply(a, b).backward(np.ones(2))
    np.testing.assert_array_equal(a.grad, b.data)
    np.testing.assert_array_equal(b.grad, a.data)


def test_gradients_of_all_paths_add_up():
    x = leaf(3.0)
    square = Multiply.apply(x, x)
    fourth_power = Multiply.apply(square, square)
    fourth_power.backward()
    assert x.grad == [4 * 3.0**3]


def test_gradients_of_two_backwards_add_up():
    x = leaf(3.0)
    for _ in range(2):
        Multiply.apply(x, x).backward()
    assert x.grad == [12.0]


def test_leaves_never_share_a_gradient_array():
    a, b = leaf(1.0), leaf(1.0)
    Add.apply(a, b).backward()
    a.grad[0] = 99
    assert b.grad == [1.0]


class Turned(Function):
    """x.T, whose gradient lies in recycled memory."""

    forward = staticmethod(lambda ctx, x: x.T)

    @staticmethod
    def backward(ctx, grad_out):
        block = memory.empty(grad_out.shape, grad_out.dtype)
        block[...] = grad_out
        Turned.address, Turned.held = block.ctypes.data, block if Turned.hold else None
        return block.T


@pytest.mark.parametrize("hold", [False, True])
def test_a_view_of_recycled_memory_is_copied_only_where_somebody_else_holds_the_memory(hold):
    Turned.hold, a = hold, tensor.Tensor(np.ones((128, 256)), requires_grad=True)
    grad = np.arange(128 * 256.0).reshape(256, 128)
    Turned.apply(a).backward(grad)
    assert (a.grad.ctypes.data == Turned.address) is not hold
    np.testing.assert_array_equal(a.grad, grad.T)


class Slope(Function):
    """Twice x, with the slope in an array that is kept: in the context, or for all calls."""

    shared = np.empty(3)

    @staticmethod
    def forward(ctx, x, where):
        ctx.slope = np.full(3, 2.0) if where == "context" else Slope.shared
        return 2 * x

    @staticmethod
    def backward(ctx, grad_out):
        ctx.slope[...] = 2 * grad_out
        return ctx.slope


@pytest.mark.parametrize("where", ["context", "class"])
def test_an_array_that_backward_keeps_is_not_taken_over(where):
    first, second = (Variable(np.ones(3), requires_grad=True) for _ in range(2))
    out = Slope.apply(first, where=where)
    out.backward(np.ones(3), retain_graph=True)
    first.grad *= 10
    assert (out.node.ctx.slope == 2).all()
    Slope.apply(second, where=where).backward(np.full(3, 3.0))
    assert (first.grad == 20).all() and (second.grad == 6).all()


def test_the_callers_gradient_array_is_not_taken_over():
    a, mine = leaf(1.0), np.ones(1)
    Add.apply(a, leaf(1.0)).backward(mine)
    a.grad[0] = 99
    assert mine == [1.0]


def test_depth_is_limited_by_memory_alone():
    x, zero = leaf(1.0), Variable(np.zeros(1))
    y = x
    for _ in range(50_000):
        y = Add.apply(y, zero)
    y.backward()
    assert x.grad == [1.0]


def test_a_deep_graph_that_never_ran_back_is_freed_without_recursion():
    y = leaf(1.0)
    for _ in range(50_000):
        y = Exp.apply(y)
        y.data[:] = 0
    del y


def test_saved_arrays_die_with_backward():
    x = leaf(1.0)
    y = Exp.apply(Exp.apply(x))
    saved = weakref.ref(y.node.ctx)
    y.backward()
    assert saved() is None


def test_the_graph_needs_no_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(Exp.apply(leaf(1.0)))
        node = weakref.ref(y.node)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_arrays_that_nobody_saved_die_at_once():
    x = leaf(1.0)
    middle = Add.apply(x, x)
    array = weakref.ref(middle.data)
    y = Add.apply(middle, middle)
    del middle
    assert array() is None
    y.backward()
    assert x.grad == [4.0]


def test_only_wanted_gradients_are_computed():
    a, b = leaf(2.0), Variable(np.array([3.0]))
    y = Multiply.apply(a, b)
    assert y.node.ctx.needs_grad == (True, False)
    y.backward()
    assert b.grad is None


def test_no_grad_records_nothing():
    with no_grad():
        assert not autograd.is_grad_enabled()
        y = Exp.apply(leaf(1.0))
    assert y.node is None and not y.requires_grad
    assert autograd.is_grad_enabled()


def test_no_grad_decorates():
    assert no_grad()(lambda x: Exp.apply(x))(leaf(1.0)).node is None


def test_no_grad_ends_with_an_error():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert autograd.is_grad_enabled()


def test_second_backward_is_refused():
    y = Exp.apply(leaf(1.0))
    y.backward()
    with pytest.raises(GraphError, match="Exp was freed by an earlier backward - expected one with retain_graph=True"):
        y.backward()


def test_second_backward_through_a_shared_part_is_refused_before_any_gradient():
    x, other = leaf(1.0), leaf(1.0)
    shared = Exp.apply(x)
    Exp.apply(shared).backward()
    y = Multiply.apply(shared, other)
    with pytest.raises(GraphError, match="freed"):
        y.backward()
    assert other.grad is None


def test_retain_graph_allows_a_second_backward():
    x = leaf(3.0)
    y = Multiply.apply(x, x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == [12.0]


@pytest.mark.parametrize("changed", ["input", "output", "view"])
def test_in_place_change_of_a_saved_array_is_refused(changed):
    x = leaf(1.0, 2.0)
    with no_grad():
        view = Reverse.apply(x)
    y = Exp.apply(x) if changed == "output" else Multiply.apply(x, x)
    {"input": x, "output": y, "view": view}[changed].bump_version()
    with pytest.raises(GraphError, match=r"saved was changed in place, expected version 0, got 1"):
        y.backward(np.ones(2))
    assert x.grad is None


def test_in_place_change_of_an_array_that_was_not_saved_is_allowed():
    a = leaf(1.0)
    y = Add.apply(a, a)
    a.bump_version()
    y.backward()
    assert a.grad == [2.0]


def test_backward_wants_a_gradient_for_many_elements():
    with pytest.raises(ValueError, match=re.escape("grad - expected an array of shape (2,), got None")):
        Exp.apply(leaf(1.0, 2.0)).backward()
    with pytest.raises(ValueError, match=re.escape("grad - expected shape (2,), got (3,)")):
        Exp.apply(leaf(1.0, 2.0)).backward(np.ones(3))


def test_backward_of_a_constant_is_refused():
    with pytest.raises(GraphError, match="expected a variable that requires a gradient"):
        Variable(np.ones(1)).backward()


def test_backward_of_a_leaf_is_its_own_gradient():
    x = leaf(1.0)
    assert x.backward(trace=True) == []
    assert x.grad == [1.0]


def test_retain_grad_keeps_the_gradient_inside_the_graph():
    x = leaf(3.0)
    y = Exp.apply(x)
    y.retain_grad()
    Multiply.apply(y, y).backward()
    np.testing.assert_allclose(y.grad, 2 * np.exp(3.0))


def test_retained_gradients_add_up_as_those_of_leaves_do():
    w = tensor.Tensor([1.0], requires_grad=True)
    y = w * 2
    y.retain_grad()
    z = (y * 3).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.tolist() == [6] and w.grad.tolist() == [12]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_every_gradient_is_an_array_of_its_own_that_can_be_written(shape):
    w = tensor.Tensor(np.ones(shape, np.float32), requires_grad=True)
    y = w * 2
    y.retain_grad()
    for times in (1, 2):
        y.sum().backward(retain_graph=True)
        for grad, one in ((y.grad, 1), (w.grad, 2)):
            assert isinstance(grad, np.ndarray) and (grad == times * one).all()
    y.grad[...] = 0
    w.grad *= 0.5
    assert (w.grad == 2).all() and (y.data == 2).all()


def test_dtypes_may_not_mix():
    with pytest.raises(TypeError, match="Multiply: dtype - expected float32 or float64, .* got float64, float32"):
        Multiply.apply(leaf(1.0), Variable(np.ones(1, np.float32)))
    with pytest.raises(TypeError, match="got int64"):
        Exp.apply(Variable(np.ones(1, np.int64)))


def test_backward_trace_tells_the_story():
    x = leaf(2.0)
    steps = Exp.apply(Multiply.apply(x, x)).backward(trace=True)
    assert [s.op for s in steps] == ["Exp", "Multiply"]
    assert steps[1].rule == Multiply.rule
    np.testing.assert_allclose(steps[1].grad_out, np.exp(4.0))
    np.testing.assert_allclose(steps[1].grads[0], 2 * np.exp(4.0))


def test_what_a_leaf_does_to_its_gradient_does_not_change_the_trace():
    x = leaf(1.0)
    (step,) = Exp.apply(x).backward(trace=True)
    x.grad *= 10
    np.testing.assert_array_equal(step.grads[0], np.exp(x.data))


def test_a_gradient_that_backward_withholds_stops_there():
    class Stop(Function):
        @staticmethod
        def forward(ctx, x):
            return x + 0

        @staticmethod
        def backward(ctx, grad_out):
            return None

    x, y = leaf(1.0), leaf(5.0)
    Multiply.apply(Stop.apply(Exp.apply(x)), y).backward()
    assert x.grad is None
    np.testing.assert_allclose(y.grad, np.e)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda grad_out: grad_out, "one gradient for each input of forward, 2, got 1$"),
        (lambda grad_out: (grad_out, grad_out, None), "one gradient for each input of forward, 2, got 3$"),
        (lambda grad_out: (grad_out, grad_out.sum()), r"gradients of \[\(\(2,\), 'float64'\), .* got \["),
        (lambda grad_out: (grad_out.astype(np.float32), grad_out), r"gradients of \[\(\(2,\), 'float64'\), .* got \["),
    ],
)
def test_a_backward_that_does_not_fit_its_inputs_is_named(result, expected):
    wrong = type("Wrong", (Add,), {"backward": staticmethod(lambda ctx, grad_out: result(grad_out))})
    with pytest.raises(ValueError, match=f"Wrong.backward: expected {expected}"):
        wrong.apply(leaf(1.0, 2.0), leaf(3.0, 4.0)).backward(np.ones(2))


def test_a_forward_that_breaks_its_own_shape_rule_is_named():
    wrong = type("Wrong", (Exp,), {"output_shape": staticmethod(lambda x: (3,))})
    with pytest.raises(ValueError, match=r"Wrong.forward: expected shape \(3,\), got \(2,\)"):
        wrong.apply(leaf(1.0, 2.0))


def test_trace_runs_no_forward_and_records_all():
    class Explode(Multiply):
        @staticmethod
        def forward(ctx, a, b):
            raise AssertionError("forward ran")

    x = leaf(1.0, 2.0)
    with autograd.trace() as records:
        y = Explode.apply(Variable.like_shape((2,), np.float64), x)
    assert y.traced and y.node is None and y.data.shape == (2,) and y.data.dtype == np.float64
    (record,) = records
    assert (record.op, record.inputs[1], record.output, record.path) == (Explode, x, y, "")


def test_trace_of_a_function_without_shape_rule_runs_on_zeros():
    y = Exp.apply(Variable.like_shape((2, 3)))
    assert y.traced and y.data.shape == (2, 3) and y.data.dtype == np.float32


def test_trace_of_real_data_records_real_results():
    with autograd.trace() as records:
        y = Exp.apply(leaf(0.0))
    assert not y.traced and y.data == [1.0] and len(records) == 1


def test_records_and_steps_hold_the_algorithm_of_an_operation_that_has_several():
    class Chosen(Exp):
        @staticmethod
        def algorithm(arrays, shape, *, way):
            return f"{way} of {arrays[0].dtype} {shape}"

        @staticmethod
        def forward(ctx, x, *, way):
            ctx.algorithm = way
            return Exp.forward(ctx, x)

    x = leaf(1.0, 2.0)
    with autograd.trace() as records:
        y = Chosen.apply(Exp.apply(x), way="fast")
    assert [record.algorithm for record in records] == [None, "fast of float64 (2,)"]
    assert [step.algorithm for step in y.backward(np.ones(2), trace=True)] == ["fast", None]


def test_traced_variable_has_no_backward():
    with pytest.raises(TraceError, match="expected a variable computed from real data"):
        Variable.like_shape((1,)).backward()


def test_operations_note_the_module_that_called_them():
    call = autograd.ModuleCall({}, path="block.conv")
    with autograd.setting(autograd.module_call, call):
        y = Exp.apply(leaf(1.0))
    assert y.node.path == "block.conv"
    assert call.op_log == [("block.conv", Exp, [(1,)], (1,), {})]
    y.bump_version()
    with pytest.raises(GraphError, match=r"Exp in block\.conv"):
        y.backward()


def test_each_leaf_is_told_once_when_its_gradient_is_final():
    a, b = (Variable(np.array([value]), requires_grad=True) for value in (2.0, 3.0))
    told = []
    product = Multiply.apply(a, a)
    Multiply.apply(Multiply.apply(product, b), a).backward(on_leaf=lambda leaf: told.append((leaf, leaf.grad.copy())))
    assert [leaf for leaf, _ in told] == [b, a]  # a is used once more, by the first product
    for leaf, grad in told:
        np.testing.assert_array_equal(leaf.grad, grad)


def test_engine_stays_readable():
    """Without docstrings, comments and empty lines."""
    source = inspect.getsource(autograd.engine)
    blocks = [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    docstrings = [block.body[0] for block in blocks if ast.get_docstring(block)]
    skipped = {line for text in docstrings for line in range(text.lineno, text.end_lineno + 1)}
    lines = [line.strip() for number, line in enumerate(source.splitlines(), start=1) if number not in skipped]
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= 150
