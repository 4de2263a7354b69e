"""Forward hooks: they see and may replace the output, can be removed, and keep a layer from being fused."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor


def net():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))


X = Tensor(np.random.default_rng(0).standard_normal((2, 1, 6, 6)).astype(np.float32))


def test_a_hook_sees_inputs_and_output_until_it_is_removed():
    model, seen = net(), []
    handle = model[0].register_forward_hook(lambda module, inputs, output: seen.append((module, inputs, output)))
    out = model(X)
    assert seen[0][0] is model[0] and seen[0][1] == (X,) and seen[0][2].shape == (2, 2, 4, 4)
    handle.remove()
    handle.remove()
    model(X)
    assert len(seen) == 1 and out.shape == (2, 2, 2, 2)


def test_what_a_hook_returns_replaces_the_output_in_order():
    layer = nn.Identity()
    layer.register_forward_hook(lambda module, inputs, output: output + 1.0)
    with layer.register_forward_hook(lambda module, inputs, output: output * 10.0):
        assert layer(Tensor([1.0])).item() == 20
    assert layer(Tensor([1.0])).item() == 2 and nn.Identity()(Tensor([1.0])).item() == 1


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_layer_with_a_hook_is_not_fused(number):
    model, seen = nn.fuse(net()).eval(), []
    expected = model(X).data
    model[number].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    np.testing.assert_allclose(model(X).data, expected, rtol=1e-5, atol=1e-6)
    assert len(seen) == 1


def test_a_hook_must_be_callable():
    with pytest.raises(TypeError, match="register_forward_hook: hook - expected a function of .*, got str"):
        nn.Identity().register_forward_hook("print")
