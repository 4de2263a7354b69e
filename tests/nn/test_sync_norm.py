"""Batch norm over shares of a batch: threads stand for the processes, and together they equal one batch norm."""

import threading

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, ops, rng
from minitorch_cnn.ops.reproducible_sum import in_blocks
from minitorch_cnn.shapes import ShapeError

SHARES = (slice(0, 2), slice(2, 5))  # of different size


class Meeting:
    """Adds up the arrays of several threads."""

    def __init__(self, count):
        self._barrier, self._brought = threading.Barrier(count), {}

    def total(self, array):
        self._brought[threading.get_ident()] = array
        self._barrier.wait(10)
        total = sum(self._brought.values())
        self._barrier.wait(10)
        return total


def side_by_side(work, parts):
    """Do the work for each part in a separate thread."""
    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def batch(dtype=np.float64):
    stream = np.random.default_rng(3)
    return stream.normal(4, 2, (5, 3, 4, 2)).astype(dtype), stream.normal(0, 1, (5, 3, 4, 2)).astype(dtype)


def learn(layer, x, grad_out):
    """Return output, gradients and running statistics."""
    x = Tensor(x, requires_grad=True)
    out = layer(x)
    out.backward(grad_out)
    return out.data, x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-5)])
def test_shares_of_a_batch_give_what_the_batch_gives(dtype, tolerance):
    x, grad_out = batch(dtype)
    expected = learn(nn.BatchNorm2d(3).to_dtype(dtype), x, grad_out)
    meeting, results = Meeting(len(SHARES)), {}

    def work(share):
        layer = nn.SyncBatchNorm2d(3, total=meeting.total).to_dtype(dtype)
        results[share.start] = learn(layer, x[share], grad_out[share])

    side_by_side(work, SHARES)
    first, second = (results[share.start] for share in SHARES)
    close = {"rtol": tolerance, "atol": tolerance}
    for i in (0, 1):  # output and gradient of x: the shares side by side
        np.testing.assert_allclose(np.concatenate([first[i], second[i]]), expected[i], **close)
    for i in (2, 3):  # gradients of weight and bias: the sum of the shares
        np.testing.assert_allclose(first[i] + second[i], expected[i], **close)
    for i in (4, 5):
        np.testing.assert_array_equal(first[i], second[i])
        np.testing.assert_allclose(first[i], expected[i], **close)


def test_two_halves_in_two_blocks_have_the_bits_of_a_batch_in_four():
    x = np.random.default_rng(1).standard_normal((8, 3, 6, 6), np.float32)

    def network(total):
        rng.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.SyncBatchNorm2d(4, total=total), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, 2)
        )

    def learned(model, images, blocks):
        with in_blocks(blocks):
            ops.cross_entropy(model(Tensor(images)), np.arange(len(images)) % 2, reduction="sum").backward()
        norm = model[1]
        return [parameter.grad for parameter in model.parameters()] + [norm.running_mean, norm.running_var]

    expected = learned(network(lambda array: array), x, 4)
    meeting, results = Meeting(2), {}
    networks = [network(meeting.total) for _ in range(2)]  # before the threads, which share one random stream

    def work(half):
        results[half] = learned(networks[half], x[4 * half : 4 * half + 4], 2)

    side_by_side(work, (0, 1))
    for i, (whole, first, second) in enumerate(zip(expected, results[0], results[1], strict=True)):
        np.testing.assert_array_equal(whole, first + second if i < len(expected) - 2 else first)


def test_a_model_is_changed_in_place_and_keeps_parameters_and_keys():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4, momentum=0.3), nn.ReLU()), nn.Flatten())
    before, keys = list(model.parameters()), list(model.state_dict())
    assert nn.sync_batch_norm(model, sum) is model
    layer = model[1][0]
    assert type(layer) is nn.SyncBatchNorm2d and layer.momentum == 0.3 and layer.total is sum
    assert all(mine is theirs for mine, theirs in zip(model.parameters(), before, strict=True))
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("learned", [{"affine": False}, {"affine": "bias"}, {"bias": False}, {}])
@pytest.mark.parametrize("tracked", [True, False])
def test_the_layer_in_its_place_has_the_same_parameters_and_buffers(learned, tracked):
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=tracked, **learned))
    before = model.state_dict()
    nn.sync_batch_norm(model, lambda array: array)
    assert list(model.state_dict()) == list(before)
    x, _ = batch(np.float32)
    assert model(Tensor(x)).shape == x.shape


def test_it_is_not_fused():
    x, _ = batch(np.float32)
    sums = []
    row = nn.fuse(nn.Sequential(nn.SyncBatchNorm2d(3, total=lambda array: sums.append(array) or array), nn.ReLU()))
    plain = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    np.testing.assert_allclose(row(Tensor(x)).data, plain(Tensor(x)).data, rtol=1e-5, atol=1e-6)
    assert len(sums) == 1


def test_evaluation_exchanges_nothing():
    layer = nn.SyncBatchNorm2d(3, total=lambda array: 1 / 0).eval()
    x, _ = batch(np.float32)
    np.testing.assert_array_equal(layer(Tensor(x)).data, nn.BatchNorm2d(3).eval()(Tensor(x)).data)


def test_the_number_of_axes_is_checked():
    with pytest.raises(ShapeError, match=r"SyncBatchNorm2d: x - expected \(N, C, H, W\), got shape \(2, 3\)"):
        nn.SyncBatchNorm2d(3)(Tensor(np.zeros((2, 3), np.float32)))
    statistics = np.zeros(3, np.float32), np.ones(3, np.float32)
    with pytest.raises(ShapeError, match=r"sync_batch_norm: x - expected 4 axes \(N, C, H, W\), got shape \(2, 3\)"):
        ops.sync_batch_norm(Tensor(np.zeros((2, 3), np.float32)), None, None, *statistics, total=sum)
