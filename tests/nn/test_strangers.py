"""Parameters that a module computes with and does not own: a warning at the first call names the attribute."""

import dataclasses
import warnings

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, no_grad, ops

ELSEWHERE = nn.Linear(4, 4)


class Plain:
    def __init__(self):
        self.layers = {"first": [nn.Linear(4, 4)]}

    def __call__(self, x):
        return self.layers["first"][0](x)


class Slots:
    __slots__ = ("layer",)

    def __init__(self):
        self.layer = nn.Linear(4, 4)

    def __call__(self, x):
        return self.layer(x)


class Raw:
    def __init__(self, kind=nn.Parameter):
        self.weight = kind(np.ones((4, 4), np.float32), requires_grad=True)

    def __call__(self, x):
        return ops.matmul(x, self.weight)


def closure(layer):
    return lambda x: layer(x)


def generator(layer):
    while True:
        yield layer


class Net(nn.Module):
    def __init__(self, part, run=None):
        self.own, self.part, self.run = nn.Linear(4, 4), part, run or part

    def forward(self, x):
        return self.run(self.own(x))


def images():
    return Tensor(np.ones((2, 4), np.float32))


STEPS = generator(nn.Linear(4, 4))
HIDDEN = {
    "plain": Net(Plain()),
    "slots": Net(Slots()),
    "raw": Net(Raw()),
    "tensor": Net(Raw(Tensor)),
    "method": Net(nn.Linear(4, 4).forward),
    "closure": Net(closure(nn.Linear(4, 4))),
    "default": Net(lambda x, layer=ELSEWHERE: layer(x)),
    "generator": Net(STEPS, lambda x: next(STEPS)(x)),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_layer_is_named_at_the_first_call(name):
    net = HIDDEN[name]
    told = r"Net\.part: expected parameters of the module itself in its forward, got a (Parameter|Tensor) of shape \(4,"
    with pytest.warns(UserWarning, match=told) as caught:
        net(images())
    assert [warning.filename for warning in caught] == [__file__]
    net(images())  # a second call is silent


@pytest.mark.parametrize("run", [lambda x: ELSEWHERE(x), lambda x: nn.Linear(4, 4)(x)], ids=["global", "made"])
def test_a_layer_that_no_attribute_leads_to(run):
    with pytest.warns(UserWarning, match=r"Net: expected parameters of the module itself in its forward, got a Param"):
        Net(None, run)(images())


def test_the_path_leads_to_the_module_inside():
    with pytest.warns(UserWarning, match=r"Sequential\.1\.part: expected parameters of the module itself"):
        nn.Sequential(nn.ReLU(), Net(Plain()))(images())


class Lazy(nn.Module):
    def forward(self, x):
        if "layer" not in vars(self):
            self.layer = nn.Linear(4, 4)
        return self.layer(x)


@dataclasses.dataclass
class Pair:
    first: Tensor
    second: Tensor


class OfPair(nn.Module):
    def forward(self, pair):
        return {"sum": [pair.first + pair.second]}


def own_layer_in_a_function():
    net = Net(None, lambda x: net.own(x))
    return net(images())


def frozen():
    return Net(closure(nn.Linear(4, 4).freeze()))(images())


def detached():
    teacher = nn.Linear(4, 4)
    return Net(None, lambda x: x + teacher(x).detach())(images())


def of_other_networks():
    first = nn.Linear(4, 4)
    return OfPair()(pair=Pair(first(images()), second=first.weight[:2]))["sum"][0]


def with_a_hook():
    net, probe, seen = Net(None, nn.ReLU()), nn.Linear(4, 4), []
    net.own.register_forward_hook(lambda module, inputs, output: seen.append(probe(output)))
    return net(images())


@pytest.mark.parametrize(
    "call", [own_layer_in_a_function, frozen, detached, of_other_networks, with_a_hook, lambda: Lazy()(images())]
)
def test_no_word_where_all_is_well(call):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call().requires_grad


def test_calls_without_a_graph_do_not_count():
    net = Net(Plain())
    with no_grad():
        net(images())
    net(Tensor.like_shape((2, 4)))
    with pytest.warns(UserWarning, match=r"Net\.part: expected parameters"):
        net(images())
