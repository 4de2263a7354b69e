"""The declarations of what operations read: every operation has one, and no gradient contradicts it."""

import ast
import importlib
import inspect
import pathlib
import pkgutil

import numpy as np
import pytest

import minitorch_cnn
from minitorch_cnn import Tensor, autograd, ops
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops.reads import KINDS, UNKNOWN, Along, Call, Reads, Reshaped, Selected, Somewhere, Windows
from tests.ops.table import TABLE
from tests.ops.test_table import caller

PACKAGE = pathlib.Path(minitorch_cnn.__file__).parent


def operations():
    """Return every Function of the package, except base classes that compute nothing."""
    modules = [importlib.import_module(info.name) for info in pkgutil.walk_packages(ops.__path__, "minitorch_cnn.ops.")]
    found = {cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)}
    return sorted((c for c in found if issubclass(c, Function) and "forward" in vars(c)), key=lambda c: c.__name__)


EVERY = [cls for cls in operations() if cls is not Function]


def test_every_operation_declares_what_it_reads_and_how_to_draw_it():
    assert len(EVERY) > 30
    for cls in EVERY:
        assert isinstance(cls.reads, Reads), cls
        assert cls.kind in KINDS, cls
        assert cls.macs is not None or cls.kind not in ("conv", "full"), cls


def support(record, chosen):
    """Return for each input the elements that have a gradient when only one output element has one."""
    inputs = [None if v is None else Tensor(v.data, requires_grad=True) for v in record.inputs]
    out = record.op.apply(*inputs, **record.hyper)
    grad = np.zeros(out.shape)
    grad[chosen] = 1
    out.backward(grad)
    return [None if v is None else v.grad for v in inputs]


def learns(hyper):
    """Return True for batch norm in training: it reads the whole batch through its statistics."""
    norms = [norm for layer in hyper.get("layers", ()) for norm, _ in layer if norm]
    return hyper.get("training") or "total" in hyper or any(norm["training"] for norm in norms)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_output_element_depends_on_nothing_outside_what_is_declared(name):
    rng = np.random.default_rng(0)
    for arrays, at, hyper in TABLE[name].samples[:4]:
        with autograd.no_grad(), autograd.trace() as records:
            caller(name, at, hyper)(*map(Tensor, arrays))
        for record in records:
            shape = record.output.shape
            if learns(record.hyper) or not record.output.size:
                continue
            call = Call(tuple(None if v is None else v.shape for v in record.inputs), shape, record.hyper)
            chosen = tuple(int(rng.integers(n)) for n in shape)
            wanted = [np.arange(n) == i for n, i in zip(shape, chosen, strict=True)]
            for number, grad in enumerate(support(record, chosen)):
                if grad is not None:
                    masks = record.op.reads.masks(call, number, wanted)
                    assert [len(mask) for mask in masks] == list(grad.shape), (record.op, number)
                    outside = np.array(grad)
                    outside[np.ix_(*masks)] = 0
                    assert not outside.any(), (record.op, number, chosen)


# ------------------------------------------------------------------- declarations by hand


def test_windows():
    call = Call(((1, 4, 9, 9), (6, 2, 3, 2)), (1, 6, 4, 8), {"step": (2, 1)})
    reads = Windows(lambda call: call.shapes[1][2:], "step", (1, 0, 0, 0), groups=2)
    assert reads.window(call) == ((3, 2), (2, 1), (1, 0), (1, 1))
    images, channels, rows, columns = reads.axes(call, 0)
    assert images == Along(0) and rows.at(2) == [3, 4, 5] and columns.at(7) == [7, 8]
    assert [channels.at(o) for o in range(6)] == [[0, 1]] * 3 + [[2, 3]] * 3
    with pytest.raises(ValueError, match=r"reads: 'stride' - expected a keyword of the operation \(step\)"):
        Windows(3, "stride").axes(call, 0)


def test_reshapes_follow_the_axes_that_stay():
    shuffle = Call(((1, 6, 5, 4),), (1, 2, 3, 5, 4), {})
    assert Reshaped().axes(shuffle, 0) == [Along(None, step=0), Somewhere((1, 2)), Along(3), Along(4)]
    flat = Call(((2, 3, 1, 4),), (2, 12), {})
    assert Reshaped().axes(flat, 0) == [Along(0), Somewhere((1,)), Along(None, step=0), Somewhere((1,))]
    masks = Reshaped().masks(flat, 0, [np.array([True, False]), np.arange(12) == 6])
    assert [list(np.flatnonzero(mask)) for mask in masks] == [[0], [1], [0], [2]]


@pytest.mark.parametrize("key", [(slice(None), [1, 0]), (np.array([True, False]),), (True,)], ids=str)
def test_an_index_of_arrays_is_not_known_axis_by_axis(key):
    x = np.arange(8.0).reshape(2, 4)
    call = Call((x.shape,), x[key].shape, {"key": key})
    assert Selected("key").axes(call, 0) == [UNKNOWN, UNKNOWN]
    everything = [np.ones(n, bool) for n in call.shape]
    masks = Selected("key").masks(call, 0, everything)
    taken = np.isin(x, x[key])
    assert np.array_equal(np.logical_and.outer(*masks), taken)


def test_integers_slices_and_new_axes():
    call = Call(((5, 6, 7),), (1, 2, 6), {"key": (None, slice(3, None, -2), Ellipsis, 4)})
    assert Selected("key").axes(call, 0) == [Along(1, ((3,),), -2), Along(2, ((0,),), 1), Along(None, ((4,),), 0)]


def test_a_running_sum_reads_what_came_before():
    call = Call(((2, 4),), (2, 4), {"axis": -1})
    rows, columns = ops.ordering.Cumsum.reads.axes(call, 0)
    assert rows == Along(0) and [columns.at(i) for i in range(4)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    long = Call(((2, 9999),), (2, 9999), {"axis": 1})
    assert ops.ordering.Cumsum.reads.axes(long, 0) == [Along(0), UNKNOWN]


# ------------------------------------------------------ the names of operations outside ops/


def _names_an_operation(node, names):
    """Return True for a comparison with, or a table over, the names of operations."""
    strings = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    if isinstance(node, ast.Compare):
        return bool(strings & names)
    if isinstance(node, ast.Dict):
        return len({k.value for k in node.keys if isinstance(k, ast.Constant)} & names) > 1
    if isinstance(node, (ast.Call, ast.Subscript)):  # TABLE.get(op.__name__), op.__name__.startswith(...)
        function = node.func if isinstance(node, ast.Call) else node
        looked_up = isinstance(node, ast.Subscript) or getattr(function, "attr", "") in (
            "get",
            "startswith",
            "endswith",
        )
        return looked_up and any(isinstance(n, ast.Attribute) and n.attr == "__name__" for n in ast.walk(node))
    return False


def test_no_other_module_compares_names_of_operations():
    names, found = {cls.__name__ for cls in EVERY}, []
    for path in PACKAGE.rglob("*.py"):
        if "ops" in path.relative_to(PACKAGE).parts or "testing" in path.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if _names_an_operation(node, names):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not found


@pytest.mark.parametrize(
    "line",
    ["op.__name__ == 'Conv2d'", "name in ('ReLU', 'Tanh')", "{'ReLU': 1, 'Tanh': 2}", "TABLE.get(record.op.__name__)"],
)
def test_the_search_finds_what_it_looks_for(line):
    names = {cls.__name__ for cls in EVERY}
    assert any(_names_an_operation(node, names) for node in ast.walk(ast.parse(line)))
