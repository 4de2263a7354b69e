"""Initial values: distributions against their formulas, and against PyTorch's own spread."""

import numpy as np
import pytest

import minitorch_cnn
from minitorch_cnn import nn, rng
from minitorch_cnn.nn import init
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


def weight(shape=(60, 40, 3, 3), dtype=np.float32):
    return nn.Parameter(np.full(shape, np.nan, dtype))


def test_every_function_fills_in_place_and_returns_the_tensor():
    of_convolutions = {"identity_", "patch_whitening_"}
    for name in set(init.__all__) - of_convolutions:
        tensor = weight()
        arguments = (0.5,) if name == "constant_" else ()
        assert getattr(init, name)(tensor, *arguments) is tensor
        assert np.isfinite(tensor.data).all() and tensor.node is None and tensor.version == 1, name


def test_constants():
    assert (init.zeros_(weight()).data == 0).all()
    assert (init.ones_(weight()).data == 1).all()
    assert (init.constant_(weight(), -2.5).data == -2.5).all()


def test_uniform_fills_its_interval():
    values = init.uniform_(weight(), -1, 3).data
    assert values.min() >= -1 and values.max() < 3 and abs(values.mean() - 1) < 0.05


def test_normal_has_its_mean_and_deviation():
    values = init.normal_(weight(), 2.0, 0.5).data
    assert abs(values.mean() - 2) < 0.02 and abs(values.std() - 0.5) < 0.02


FAN_IN, FAN_OUT = 40 * 9, 60 * 9


@pytest.mark.parametrize(
    ("name", "keywords", "std"),
    [
        ("kaiming_normal_", {}, np.sqrt(2 / FAN_IN)),
        ("kaiming_uniform_", {}, np.sqrt(2 / FAN_IN)),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}, np.sqrt(2 / FAN_OUT)),
        ("kaiming_uniform_", {"a": np.sqrt(5)}, np.sqrt(1 / 3 / FAN_IN)),
        ("kaiming_uniform_", {"nonlinearity": "tanh"}, 5 / 3 / np.sqrt(FAN_IN)),
        ("kaiming_normal_", {"nonlinearity": "linear"}, 1 / np.sqrt(FAN_IN)),
        ("xavier_normal_", {}, np.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("xavier_uniform_", {"gain": 3.0}, 3 * np.sqrt(2 / (FAN_IN + FAN_OUT))),
    ],
)
def test_the_deviation_is_that_of_the_formula(name, keywords, std):
    minitorch_cnn.manual_seed(0)
    values = getattr(init, name)(weight(), **keywords).data
    assert abs(values.mean()) < 0.02 * std and abs(values.std() - std) < 0.02 * std
    if "uniform" in name:
        assert np.abs(values).max() <= np.sqrt(3) * std * (1 + 1e-6)


def test_undrawn_weights_stay_as_they_are_and_constants_are_written():
    before = rng.get_state()
    with rng.undrawn_weights():
        for name in ("uniform_", "normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"):
            tensor = weight()
            assert getattr(init, name)(tensor) is tensor and np.isnan(tensor.data).all() and tensor.version == 0, name
        assert (init.constant_(weight(), 2).data == 2).all() and init.dirac_(weight()).data.sum() == 40
        with pytest.raises(TypeError, match="normal_: tensor - expected a Tensor, got list"):
            init.normal_([1.0])
    assert rng.get_state() == before


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"])
@pytest.mark.parametrize("shape", [(300, 200), (60, 40, 3, 3), (90, 60, 5)])
def test_the_spread_is_that_of_pytorch(name, shape):
    torch = pytest.importorskip("torch")
    minitorch_cnn.manual_seed(1)
    torch.manual_seed(1)
    mine = getattr(init, name)(weight(shape)).data
    theirs = getattr(torch.nn.init, name)(torch.empty(shape)).numpy()
    assert abs(mine.std() - theirs.std()) < 0.03 * theirs.std()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "arguments"), [("Linear", (200, 300)), ("Conv2d", (20, 60, 3)), ("Conv1d", (40, 60, 5))]
)
def test_layers_start_with_the_spread_of_pytorch(name, arguments):
    torch = pytest.importorskip("torch")
    minitorch_cnn.manual_seed(2)
    torch.manual_seed(2)
    mine, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for ours, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        other = other.detach().numpy()
        assert abs(ours.data.std() - other.std()) < 5 * other.std() / np.sqrt(other.size)


def test_the_same_seed_gives_the_same_values_in_both_dtypes():
    values = []
    for dtype in (np.float32, np.float64):
        minitorch_cnn.manual_seed(4)
        values.append(init.kaiming_normal_(weight(dtype=dtype)).data)
    np.testing.assert_array_equal(values[0], values[1].astype(np.float32))


def test_dirac_makes_a_convolution_the_identity():
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
    init.dirac_(conv.weight, groups=2)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 5, 5)).astype(np.float32))
    np.testing.assert_array_equal(conv(x).data, x.data)


def test_dirac_with_more_outputs_than_inputs_leaves_the_rest_zero():
    values = init.dirac_(weight((5, 2, 3))).data
    expected = np.zeros((5, 2, 3))
    expected[0, 0, 1] = expected[1, 1, 1] = 1
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.zeros_(np.zeros(3)), TypeError, "zeros_: tensor - expected a Tensor, got ndarray"),
        (lambda: init.kaiming_normal_(np.zeros(3)), TypeError, "kaiming_normal_: tensor - expected a Tensor"),
        (lambda: init.dirac_([1]), TypeError, "dirac_: tensor - expected a Tensor, got list"),
        (
            lambda: init.xavier_normal_(weight((3,))),
            ShapeError,
            r"xavier_normal_: tensor - expected at least 2 axes .* \(3,\)",
        ),
        (lambda: init.normal_(weight(), std=-1), ValueError, "normal_: std - expected at least 0, got -1"),
        (
            lambda: init.kaiming_uniform_(weight(), mode="fan"),
            ValueError,
            "mode - expected one of fan_in, fan_out, got 'fan'",
        ),
        (
            lambda: init.kaiming_uniform_(weight(), nonlinearity="selu"),
            ValueError,
            "kaiming_uniform_: nonlinearity - expected one of linear, sigmoid, tanh, relu, leaky_relu, got 'selu'",
        ),
        (lambda: init.dirac_(weight((3, 3))), ShapeError, r"dirac_: tensor - expected 3 or 4 axes .*\(3, 3\)"),
        (
            lambda: init.dirac_(weight((5, 2, 3)), groups=2),
            ShapeError,
            "groups - expected a divisor of C_out = 5, got 2",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
