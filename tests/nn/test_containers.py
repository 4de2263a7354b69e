"""Modules made of modules."""

import numpy as np
import pytest

from minitorch_cnn import nn, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


def values(shape=(2, 4), seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_sequential_runs_its_modules_in_order():
    net, x = nn.Sequential(nn.Linear(4, 3), nn.Tanh()), values()
    np.testing.assert_array_equal(net(x).data, ops.tanh(net[0](x)).data)


def test_an_empty_sequential_returns_its_input():
    x = values()
    assert nn.Sequential()(x) is x


def test_sequential_takes_names():
    net = nn.Sequential({"hidden": nn.Linear(4, 3), "out": nn.Linear(3, 2)})
    assert list(net.state_dict()) == ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
    assert net(values()).shape == (2, 2)


@pytest.mark.parametrize("name", ["", "a.b", "train", 1, None])
def test_sequential_refuses_names_that_cannot_be_paths(name):
    with pytest.raises(ValueError, match="Sequential: name - expected a new string without dots, got"):
        nn.Sequential({name: nn.ReLU()})


def test_indexing_counting_and_looping():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.GELU()
    net = nn.Sequential(a, b, c)
    assert len(net) == 3 and list(net) == [a, b, c] and net[-1] is c
    with pytest.raises(IndexError):
        net[3]


def test_a_slice_holds_the_same_modules():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    part = net[1:]
    assert isinstance(part, nn.Sequential) and list(part) == [net[1], net[2]]
    assert [name for name, _ in part.named_children()] == ["0", "1"]
    assert isinstance(nn.ModuleList(net)[:1], nn.ModuleList)


def test_an_item_can_be_replaced():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    net[0] = nn.Linear(4, 7)
    assert net(values()).shape == (2, 7)
    net[-1] = nn.Linear(7, 1)
    assert [name for name, _ in net.named_children()] == ["0", "1"]


def test_append_uses_a_free_index():
    net = nn.Sequential({"1": nn.ReLU()})
    assert net.append(nn.Tanh()) is net
    assert [name for name, _ in net.named_children()] == ["1", "2"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.ReLU(), ops.relu),
        lambda: nn.Sequential({"a": 3}),
        lambda: nn.ModuleList([ops.relu]),
        lambda: nn.ModuleList().append("relu"),
        lambda: nn.Sequential(nn.ReLU()).__setitem__(0, ops.relu),
        lambda: nn.Residual(ops.relu),
        lambda: nn.Residual(None),
        lambda: nn.Residual(nn.ReLU(), shortcut=3),
        lambda: nn.Concat(nn.ReLU(), ops.relu),
    ],
)
def test_anything_but_a_module_is_refused(make):
    with pytest.raises(TypeError, match=r"(Sequential|ModuleList|Residual|Concat): module \d - expected a Module, got"):
        make()


def test_a_module_list_registers_but_does_not_run():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    assert len(list(layers.parameters())) == 4
    with pytest.raises(NotImplementedError, match="ModuleList: forward"):
        layers(values())


def test_residual_adds_its_input():
    body, x = nn.Linear(4, 4), values()
    np.testing.assert_array_equal(nn.Residual(body)(x).data, body(x).data + x.data)


def test_residual_adds_its_shortcut():
    net, x = nn.Residual(nn.Linear(4, 3), nn.Linear(4, 3, bias=False)), values()
    np.testing.assert_array_equal(net(x).data, net.body(x).data + net.shortcut(x).data)
    assert list(net.state_dict()) == ["body.weight", "body.bias", "shortcut.weight"]


def test_residual_does_not_broadcast():
    with pytest.raises(ShapeError, match=r"Residual: shortcut - expected the body's shape \(2, 1\), got \(2, 4\)"):
        nn.Residual(nn.Linear(4, 1))(values())


def test_the_gradient_of_a_residual_reaches_body_and_input():
    x = Tensor(values().data, requires_grad=True)
    nn.Residual(nn.ReLU())(x).sum().backward()
    np.testing.assert_array_equal(x.grad, 1 + (x.data > 0))


def test_concat_joins_channels():
    net, x = nn.Concat(nn.Identity(), nn.Conv2d(3, 5, 1)), values((2, 3, 4, 4))
    out = net(x)
    assert out.shape == (2, 8, 4, 4)
    np.testing.assert_array_equal(out.data[:, :3], x.data)
    np.testing.assert_array_equal(out.data[:, 3:], net(x).data[:, 3:])


def test_concat_joins_along_another_axis():
    assert nn.Concat(nn.ReLU(), nn.Tanh(), axis=0)(values()).shape == (4, 4)


def test_concat_needs_a_branch():
    with pytest.raises(ValueError, match="Concat: branches - expected at least one Module, got none"):
        nn.Concat()


@pytest.mark.parametrize("modules", [{nn.ReLU()}, nn.ReLU(), 3])
def test_modules_without_an_order_are_refused(modules):
    with pytest.raises(TypeError, match="ModuleList: modules - expected an ordered collection, such as a list, got"):
        nn.ModuleList(modules)
