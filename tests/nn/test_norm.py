"""Running statistics, freezing and arguments of the normalisation layers."""

import pickle

import numpy as np
import pytest

from minitorch_cnn import explain, nn, weights
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


def maps(shape=(4, 3, 5, 5), seed=0):
    return Tensor(np.random.default_rng(seed).normal(2, 3, shape).astype(np.float32))


def test_running_statistics_follow_the_batches():
    layer, x = nn.BatchNorm2d(3), maps()
    layer(x)
    values = x.data.astype(np.float64).transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(layer.running_mean, 0.1 * values.mean(1), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * values.var(1, ddof=1), rtol=1e-5)
    assert layer.num_batches_tracked == 1


def test_running_statistics_converge_to_those_of_the_data():
    layer, x = nn.BatchNorm1d(3, momentum=0.5), maps((50, 3))
    for _ in range(60):
        layer(x)
    np.testing.assert_allclose(layer.running_mean, x.data.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.running_var, x.data.var(0, ddof=1), rtol=1e-4)
    assert layer.num_batches_tracked == 60


def test_evaluation_uses_and_keeps_the_running_statistics():
    layer = nn.BatchNorm2d(3, eps=1e-12).eval()
    layer.load_state_dict({"running_mean": np.full(3, 2.0), "running_var": np.full(3, 4.0)}, strict=False)
    x = maps()
    np.testing.assert_allclose(layer(x).data, (x.data - 2) / 2, rtol=1e-5, atol=1e-6)
    assert (layer.running_mean == 2).all() and layer.num_batches_tracked == 0


def test_instance_norm_follows_the_images_and_uses_their_statistics_in_evaluation():
    x = Tensor(np.random.default_rng(0).normal(3, 2, (4, 2, 5, 6)))
    layer = nn.InstanceNorm2d(2, momentum=None, track_running_stats=True).double()
    for image in x.data:
        layer(Tensor(image[None]))
    np.testing.assert_allclose(layer.running_mean, x.data.mean((0, 2, 3)))
    np.testing.assert_allclose(layer.running_var, x.data.var((2, 3), ddof=1).mean(0))
    assert layer.num_batches_tracked == 4
    layer.eval()
    before, alone = layer.running_mean.copy(), layer(Tensor(x.data[:1])).data
    np.testing.assert_array_equal(layer(x).data[:1], alone)
    np.testing.assert_array_equal(layer.running_mean, before)
    assert list(layer.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    assert not nn.InstanceNorm2d(2).state_dict()


def test_a_batch_without_images_or_values_leaves_the_statistics_of_instance_norm():
    layer = nn.InstanceNorm1d(2, track_running_stats=True)
    layer(Tensor(np.zeros((0, 2, 3), np.float32)))
    explain.summary(layer, (2, 2, 3))
    np.testing.assert_array_equal(layer.running_var, [1, 1])


def test_a_frozen_layer_behaves_as_in_evaluation_during_training():
    layer, x = nn.BatchNorm2d(3).freeze(), maps()
    out = layer.train()(x)
    np.testing.assert_array_equal(out.data, layer.eval()(x).data)
    assert not out.requires_grad and layer.num_batches_tracked == 0


def test_one_value_per_channel_cannot_be_normalised_in_training():
    layer = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="expected more than one value per channel"):
        layer(maps((1, 3, 1, 1)))
    assert layer.num_batches_tracked == 0 and not layer.running_mean.any()
    assert layer.eval()(maps((1, 3, 1, 1))).shape == (1, 3, 1, 1)
    assert layer.train()(maps((1, 3, 2, 1))).shape == (1, 3, 2, 1)


def test_without_affine_there_are_no_parameters():
    layer = nn.BatchNorm2d(3, affine=False)
    assert not list(layer.parameters())
    assert list(layer.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    assert abs(layer(maps()).data.mean()) < 1e-6


def without_bias(package):
    return package.Sequential(
        package.Conv2d(3, 4, 3), package.BatchNorm2d(4, bias=False), package.ReLU(),
        package.GroupNorm(2, 4, bias=False), package.InstanceNorm2d(4, affine=True, bias=False),
    )


def test_norms_without_a_bias_take_weights_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'minitorch-cnn[oracle]'")
    theirs, ours, x = without_bias(torch.nn).eval(), without_bias(nn).eval(), maps((2, 3, 6, 6))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.normal_(theirs[1].running_mean)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours.load_state_dict(weights.load_pth(tmp_path / "weights.pth"))
    assert list(ours.state_dict()) == list(theirs.state_dict()) and "1.bias" not in ours.state_dict()
    expected = theirs(torch.from_numpy(x.data)).detach().numpy()
    for model in (ours, nn.fuse(ours), pickle.loads(pickle.dumps(ours)), nn.fold_batch_norm(ours, x.shape)):
        np.testing.assert_allclose(model(x).data, expected, rtol=1e-4, atol=1e-4)


def test_a_bias_that_is_wanted_and_not_wanted_is_refused():
    with pytest.raises(ValueError, match="BatchNorm1d: bias - expected True where affine is 'bias', got False"):
        nn.BatchNorm1d(3, affine="bias", bias=False)
    with pytest.raises(TypeError, match="BatchNorm2d: affine - expected True, False or 'bias', got 'weight'"):
        nn.BatchNorm2d(3, affine="weight")


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.BatchNorm2d, (4, 3), r"\(N, C, H, W\)"),
        (nn.BatchNorm2d, (4, 3, 5), r"\(N, C, H, W\)"),
        (nn.BatchNorm1d, (4, 3, 5, 5), r"\(N, C\) or \(N, C, W\)"),
    ],
)
def test_the_number_of_axes_is_checked(layer, shape, expected):
    with pytest.raises(ShapeError, match=rf"{layer.__name__}: x - expected {expected}, got shape"):
        layer(3)(maps(shape))


def test_the_number_of_channels_is_checked():
    with pytest.raises(ShapeError, match=r"batch_norm: weight - expected shape \(3,\), one per channel, got \(4,\)"):
        nn.BatchNorm2d(4)(maps())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(0), ValueError, "BatchNorm2d: num_features - expected at least 1, got 0"),
        (lambda: nn.BatchNorm1d("3"), TypeError, "BatchNorm1d: num_features - expected an integer, got '3'"),
        (lambda: nn.InstanceNorm2d(3, 1e-5, True), ValueError, "InstanceNorm2d: momentum - expected a number from"),
        (lambda: nn.BatchNorm2d(3, eps=0), ValueError, "BatchNorm2d: eps - expected a positive number, got 0"),
        (
            lambda: nn.BatchNorm2d(3, momentum=2),
            ValueError,
            "BatchNorm2d: momentum - expected a number from 0 to 1, got 2",
        ),
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm: size - expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
