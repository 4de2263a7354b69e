"""The trace of a model run again on real numbers gives what the model gives."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, models, nn, no_grad, ops
from minitorch_cnn.explain.trace.replay import Replay


class Reused(nn.Module):
    """One activation and one convolution, each used twice, and a branch that leads nowhere."""

    def __init__(self):
        self.conv, self.act, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(2)
        self.unused, self.aside = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 5)

    def forward(self, x):
        self.aside(x)
        return self.act(self.norm(self.conv(self.act(self.conv(x)))))


@pytest.mark.parametrize("name", ["cifar4", "resnet20", "densenet40_k12", "lenet5_cifar"])
def test_the_whole_network(name):
    model, x = models.create(name), np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    replay = Replay(model, x.shape)
    with no_grad():
        got = replay.run([(replay.x, Tensor(x))], len(replay.records) - 1)
        np.testing.assert_allclose(got.data, model.eval()(Tensor(x)).data, rtol=1e-5, atol=1e-5)


def test_the_second_run_of_a_layer_and_what_follows_it():
    model, x = Reused().eval(), np.random.default_rng(0).standard_normal((1, 2, 6, 6)).astype(np.float32)
    replay = Replay(model, x.shape)
    first = ops.relu(model.conv(Tensor(x)))
    second = model.conv(first)
    assert np.array_equal(replay.run([(replay.x, Tensor(x))], replay.last_op("conv")).data, second.data)
    end = replay.last_op("conv", through_activation=True)
    assert end == replay.last_op("") == replay.last_op("act") == len(replay.records) - 1
    assert np.array_equal(replay.run([(replay.x, Tensor(x))], end).data, model(Tensor(x)).data)
    assert replay.last_op("aside") not in replay.ancestors(end)


def test_it_can_start_in_the_middle():
    model = Reused().eval()
    replay = Replay(model, (1, 2, 6, 6))
    middle = replay.records[replay.last_op("conv")].output
    leaf = Tensor(np.ones(middle.shape, np.float32), requires_grad=True)
    out = replay.run([(middle, leaf)], replay.last_op("act"))
    assert np.array_equal(out.data, ops.relu(model.norm(leaf)).data)
    out.sum().backward()
    assert leaf.grad.any() and all(parameter.grad is None for parameter in model.parameters())


def test_names_that_are_none():
    replay = Replay(Reused(), (1, 2, 6, 6))
    with pytest.raises(ValueError, match="layer - expected a module's path, got 'konv'; did you mean 'conv'"):
        replay.last_op("konv")
    with pytest.raises(ValueError, match="layer - expected one that runs, got 'unused', which does not"):
        replay.last_op("unused")


def test_the_whole_model_ends_at_what_it_returns_and_not_at_what_ran_last():
    class More(nn.Module):
        def forward(self, x):
            returned = ops.relu(x)
            self.more = ops.sum(returned)
            return returned

    replay = Replay(More(), (1, 2))
    assert replay.end == replay.last_op("") == 0 and len(replay.records) == 2


@pytest.mark.parametrize("function, got", [(lambda x: (ops.relu(x), x), "tuple"), (lambda x: x, "Tensor")])
def test_a_model_that_returns_no_tensor_of_its_own_has_no_end(function, got):
    class Other(nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(ValueError, match=f"expected one that returns one Tensor that it computes, got {got}"):
        _ = Replay(Other(), (1, 2)).end
