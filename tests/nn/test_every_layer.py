"""One table of cases for all layers: against PyTorch, by finite differences, in both modes and dtypes."""

import inspect

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.testing import gradcheck

MAPS, SIGNALS, ROWS = (2, 2, 4, 3), (2, 2, 6), (4, 4)  # an even number of elements, so that no element lies at a kink


class Case:
    """A layer and the shape of its input. ``torch`` makes PyTorch's layer from ``torch.nn`` if name or
    arguments differ; it is None if PyTorch has no such layer."""

    def __init__(
        self, shape, name, *args, torch=lambda t, case: getattr(t, case.name)(*case.args, **case.kwargs), **kwargs
    ):
        self.shape, self.name, self.args, self.kwargs, self.torch = shape, name, args, kwargs, torch
        self.id = f"{name}{args}{kwargs}".replace(" ", "")

    def make(self, dtype=np.float64):
        """Return the layer with parameters and statistics that differ from the initial ones."""
        layer = getattr(nn, self.name)(*self.args, **self.kwargs).to_dtype(dtype)
        rng = np.random.default_rng(5)
        for key, array in layer.state_dict().items():
            if array.dtype.kind == "f":
                low = 0.5 if key.endswith("var") else -1
                layer.load_state_dict({key: rng.uniform(low, 1, array.shape)}, strict=False)
        return layer

    def input(self, dtype=np.float64):
        """Return distinct values on both sides of 0, but not near it."""
        values = np.random.default_rng(7).permutation(np.linspace(-2, 2, np.prod(self.shape)))
        return values.reshape(self.shape).astype(dtype)


CASES = [
    Case(SIGNALS, "Conv1d", 2, 3, 3),
    Case(SIGNALS, "Conv1d", 2, 4, 3, stride=2, padding=2, dilation=2, groups=2, bias=False),
    Case(SIGNALS, "Conv1d", 2, 3, 2, padding="same"),
    Case(SIGNALS, "Conv1d", 2, 1, 3, padding=2, padding_mode="reflect"),
    Case(SIGNALS, "Conv1d", 2, 1, 3, flip_kernel=True, torch=None),
    Case(MAPS, "Conv2d", 2, 3, 3),
    Case(MAPS, "Conv2d", 2, 3, (3, 2), stride=(1, 2), padding=(2, 1), bias=False),
    Case(MAPS, "Conv2d", 2, 4, 3, padding=2, dilation=2, groups=2),
    Case(
        MAPS,
        "Conv2d",
        2,
        1,
        3,
        padding="same",
        algorithm="im2col",
        torch=lambda t, _: t.Conv2d(2, 1, 3, padding="same"),
    ),
    Case(MAPS, "Conv2d", 2, 1, 3, padding=1, padding_mode="reflect"),
    Case(MAPS, "Conv2d", 2, 1, 3, flip_kernel=True, torch=None),
    Case(MAPS, "Conv2d", 2, 1, 3, padding=1, padding_mode="replicate"),
    Case(MAPS, "Conv2d", 2, 1, 3, padding=1, padding_mode="circular"),
    Case(SIGNALS, "Conv1d", 2, 3, 3, padding="valid"),
    *(Case(MAPS, f"{kind}Pad2d", 1) for kind in ("Zero", "Reflection", "Replication", "Circular")),
    *(Case(SIGNALS, f"{kind}Pad1d", (2, 1)) for kind in ("Zero", "Reflection", "Replication", "Circular")),
    Case(MAPS, "ConstantPad2d", (1, -1, 0, 2), 3.5),
    Case(SIGNALS, "ConstantPad1d", 2, 0.5),
    Case(MAPS, "ConvTranspose2d", 2, 3, 3),
    Case(MAPS, "ConvTranspose2d", 2, 4, (3, 2), stride=2, padding=1, output_padding=1, groups=2, bias=False),
    Case(MAPS, "ConvTranspose2d", 2, 1, 3, dilation=2),
    Case(SIGNALS, "ConvTranspose1d", 2, 3, 4, stride=2, padding=1),
    Case(ROWS, "Linear", 4, 3),
    Case(ROWS, "Linear", 4, 3, bias=False),
    Case(SIGNALS, "MaxPool1d", 2),
    Case(SIGNALS, "MaxPool1d", 3, stride=2, padding=1),
    Case(MAPS, "MaxPool2d", 2),
    Case(MAPS, "MaxPool2d", 3, stride=(2, 1), padding=1),
    Case(MAPS, "MaxPool2d", 2, dilation=(2, 1), ceil_mode=True),
    Case(SIGNALS, "MaxPool1d", 2, stride=3, dilation=2, ceil_mode=True),
    Case(SIGNALS, "AvgPool1d", 4, stride=3, ceil_mode=True),
    Case(MAPS, "AvgPool2d", 3, stride=2, padding=1, ceil_mode=True),
    Case(MAPS, "AvgPool2d", 2, divisor_override=3),
    Case(SIGNALS, "AvgPool1d", 2),
    Case(SIGNALS, "AvgPool1d", 3, stride=1, padding=1, count_include_pad=False),
    Case(MAPS, "AvgPool2d", 2),
    Case(MAPS, "AvgPool2d", 3, stride=2, padding=1, count_include_pad=False),
    Case(SIGNALS, "AdaptiveAvgPool1d", 4),
    Case(SIGNALS, "AdaptiveMaxPool1d", 4),
    Case(MAPS, "AdaptiveAvgPool2d", (3, 2)),
    Case(MAPS, "AdaptiveMaxPool2d", 2),
    Case(MAPS, "GlobalAvgPool", torch=lambda t, _: t.Sequential(t.AdaptiveAvgPool2d(1), t.Flatten())),
    Case(MAPS, "GlobalMaxPool", torch=lambda t, _: t.Sequential(t.AdaptiveMaxPool2d(1), t.Flatten())),
    Case(ROWS, "BatchNorm1d", 4),
    Case(SIGNALS, "BatchNorm1d", 2, momentum=0.3),
    Case(MAPS, "BatchNorm2d", 2),
    Case(MAPS, "BatchNorm2d", 2, eps=0.1, affine=False),
    Case(MAPS, "BatchNorm2d", 2, eps=0.1, bias=False),
    Case(ROWS, "BatchNorm1d", 4, bias=False),
    Case(MAPS, "SyncBatchNorm2d", 2, torch=lambda t, _: t.BatchNorm2d(2)),
    Case(MAPS, "BatchNorm2d", 2, momentum=None),
    Case(ROWS, "BatchNorm1d", 4, track_running_stats=False),
    Case((2, 4, 2, 3), "GroupNorm", 2, 4),
    Case((2, 4, 2, 3), "GroupNorm", 2, 4, bias=False),
    Case(MAPS, "InstanceNorm2d", 2, affine=True, bias=False),
    Case(MAPS, "InstanceNorm2d", 2, torch=lambda t, _: t.InstanceNorm2d(2)),
    Case(SIGNALS, "InstanceNorm1d", 2, affine=True, torch=lambda t, _: t.InstanceNorm1d(2, affine=True)),
    Case(MAPS, "LayerNorm", (4, 3)),
    Case(ROWS, "LayerNorm", 4, bias=False),
    Case(MAPS, "RMSNorm", 3),
    Case(ROWS, "RMSNorm", (4,), eps=0.1, elementwise_affine=False),
    Case((1, 4, 2, 2), "LocalResponseNorm", 3, alpha=0.5, beta=0.6, k=2.0),
    Case((1, 4, 3), "LocalResponseNorm", 3, alpha=0.5),
    Case((1, 4, 2, 1, 2), "LocalResponseNorm", 3, alpha=0.5),
    Case(MAPS, "ReLU"),
    Case(MAPS, "LeakyReLU", 0.2),
    Case(MAPS, "GELU"),
    *(Case(MAPS, name) for name in ("ReLU6", "SiLU", "Mish", "SELU", "Hardswish")),
    Case(MAPS, "Hardsigmoid", torch=None),  # PyTorch has 1/6 in float32 alone
    Case(MAPS, "ELU", 0.7),
    Case(ROWS, "Softplus", 2.0),
    Case(MAPS, "PReLU", 2),
    Case(ROWS, "PReLU"),
    Case(ROWS, "Sigmoid"),
    Case(ROWS, "Tanh"),
    Case(ROWS, "Softmax", torch=lambda t, _: t.Softmax(-1)),
    Case(MAPS, "Softmax", 1),
    Case(ROWS, "LogSoftmax", axis=0, torch=lambda t, _: t.LogSoftmax(0)),
    Case(ROWS, "Dropout", 0.0),
    Case(MAPS, "Flatten"),
    Case(MAPS, "Flatten", 2),
    Case(ROWS, "Identity"),
    Case(MAPS, "Resize", (6, 2), torch=lambda t, _: t.Upsample((6, 2), mode="bilinear")),
    Case(MAPS, "Resize", 5, mode="nearest", torch=lambda t, _: t.Upsample((5, 5))),
    Case(MAPS, "Resize", 5, mode="bicubic", align_corners=True,
         torch=lambda t, _: t.Upsample((5, 5), mode="bicubic", align_corners=True)),
    Case(SIGNALS, "Resize", mode="linear", scale_factor=1.5,
         torch=lambda t, _: t.Upsample(scale_factor=1.5, mode="linear")),
]
WITH_MODES = {"BatchNorm1d", "BatchNorm2d", "SyncBatchNorm2d", "Dropout"}
OTHERS = {  # tested in their own files
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "NLLLoss",
    "MSELoss",
    "SmoothL1Loss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "Sequential",
    "Residual",
    "Concat",
}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def test_no_layer_is_missing():
    layers = {
        name for name in nn.__all__ if inspect.isclass(thing := getattr(nn, name)) and issubclass(thing, nn.Module)
    }
    assert layers == {case.name for case in CASES} | OTHERS


@every_case
def test_a_layer_keeps_the_dtype(case):
    for dtype in (np.float32, np.float64):
        assert case.make(dtype)(Tensor(case.input(dtype))).dtype == dtype


@every_case
def test_a_traced_input_gives_the_shape_of_a_real_one(case):
    layer = case.make(np.float32)
    out = layer(Tensor.like_shape(case.shape))
    assert out.traced and out.shape == layer(Tensor(case.input(np.float32))).shape


@every_case
def test_gradients_by_finite_differences(case):
    gradcheck(case.make(), Tensor(case.input()), training=None if case.name in WITH_MODES else True)


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in WITH_MODES], ids=lambda case: case.id)
def test_the_other_layers_do_the_same_in_both_modes(case):
    layer, x = case.make(), Tensor(case.input())
    np.testing.assert_array_equal(layer.train()(x).data, layer.eval()(x).data)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch copies the input there
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=lambda case: case.id)
def test_output_gradients_and_buffers_are_those_of_pytorch(case, training):
    torch = pytest.importorskip("torch")
    theirs = case.torch(torch.nn, case).double().train(training)
    mine = case.make().train(training)
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in mine.state_dict().items()})
    x = Tensor(case.input(), requires_grad=True)
    torch_x = torch.from_numpy(x.data.copy()).requires_grad_()
    out, expected = mine(x), theirs(torch_x)
    weights = np.random.default_rng(11).standard_normal(out.shape)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    out.backward(weights)
    expected.backward(torch.from_numpy(weights))
    np.testing.assert_allclose(x.grad, torch_x.grad.numpy(), rtol=1e-9, atol=1e-11)
    for (name, parameter), (_, other) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(parameter.grad, other.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)
    for key, array in theirs.state_dict().items():
        np.testing.assert_allclose(mine.state_dict()[key], array.numpy(), rtol=1e-12, err_msg=key)
