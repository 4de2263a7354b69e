"""Forward hooks: they see and may replace the output, can be removed, and keep a layer from being fused."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.nn import hooks
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


@pytest.mark.parametrize("result", [3, "x", 0.5, np.ones(2), [1], False])
def test_a_hook_that_returns_no_tensor_is_named_with_its_module(result):
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with model[1][0].register_forward_hook(lambda *_: result):
        told = f"result of its forward hook - expected a Tensor, .* got {type(result).__name__}"
        with pytest.raises(TypeError, match=f"^Linear 1.0: {told}"):
            model(Tensor(np.ones((1, 2), np.float32)))
        with pytest.raises(TypeError, match="^Linear: result of its forward hook - expected a Tensor"):
            model[1][0](Tensor(np.ones((1, 2), np.float32)))
    assert model(Tensor(np.ones((1, 2), np.float32))).shape == (1, 2)


def test_a_hook_may_change_what_is_no_tensor_into_its_kind_or_a_tensor():
    pool = nn.MaxPool2d(2, return_indices=True)
    with pool.register_forward_hook(lambda module, inputs, output: (output[0] * 2.0, output[1])):
        values, indices = pool(X)
    plain = pool(X)
    np.testing.assert_array_equal(values.data, 2 * plain[0].data)
    np.testing.assert_array_equal(indices, plain[1])
    with pool.register_forward_hook(lambda module, inputs, output: output[0]):
        np.testing.assert_array_equal(pool(X).data, plain[0].data)
    with pool.register_forward_hook(lambda module, inputs, output: 1), pytest.raises(TypeError, match="got int"):
        pool(X)


def test_a_hook_must_be_callable():
    with pytest.raises(TypeError, match="register_forward_hook: hook - expected a function of .*, got str"):
        nn.Identity().register_forward_hook("print")


def test_a_file_warns_of_hooks_that_replace_outputs(tmp_path):
    model = net()
    handle = model[2].register_forward_hook(lambda module, inputs, output: output * 2.0)
    hooks.warn_of_replaced(model, "save")  # nothing yet
    model(X)
    with pytest.warns(UserWarning, match="save: ReLU 2 - expected hooks that leave outputs as they are, got one that"):
        hooks.warn_of_replaced(model, "save")
    handle.remove()
    model[1].register_forward_hook(lambda module, inputs, output: None)
    model(X)
    hooks.warn_of_replaced(model, "save")
