"""Computed filters: whitened patches are uncorrelated, and an identity passes its input through."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, set_num_threads
from minitorch_cnn.nn import init
from minitorch_cnn.shapes import ShapeError


def smooth_images(count=150, side=9):
    """Return images whose neighbouring pixels are alike, and whose channels are too."""
    noise = np.random.default_rng(0).standard_normal((count, 3, side, side)) + 0.3
    noise = noise + 2 * noise.mean(1, keepdims=True)
    return (noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)).astype(np.float32)


def test_the_second_moments_of_whitened_patches_are_the_identity():
    x, conv = smooth_images(), nn.Conv2d(3, 24, 2, bias=False)
    assert init.patch_whitening_(conv, x, eps=1e-9) is conv
    out = conv(Tensor(x)).data.astype(np.float64).transpose(1, 0, 2, 3).reshape(24, -1)
    np.testing.assert_allclose(out[:12] @ out[:12].T / out.shape[1], np.eye(12), atol=2e-4)
    np.testing.assert_allclose(out[12:], -out[:12], atol=1e-4)


def test_eps_limits_how_far_noise_is_stretched_and_filters_are_the_same_for_any_threads():
    x, convs = smooth_images(), [nn.Conv2d(3, 24, 2), nn.Conv2d(3, 24, 2)]
    for threads, conv in zip((1, 2), convs, strict=True):
        set_num_threads(threads)
        init.patch_whitening_(conv, x if threads == 1 else Tensor(x), eps=1.0)
    np.testing.assert_array_equal(convs[0].weight.data, convs[1].weight.data)
    rows = convs[0].weight.data[:12].reshape(12, 12)
    norms = np.linalg.norm(rows, axis=1)
    assert norms.max() <= 1 and (np.diff(norms) >= -1e-6).all()  # 1 / sqrt(l + 1), the largest l first
    assert (np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1) > 0).all()


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 3), (3, 8), (5, 2)])
def test_the_identity_passes_its_input_through(inputs, outputs):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    drawn = conv.weight.data.copy()
    assert init.identity_(conv) is conv
    x = np.random.default_rng(0).standard_normal((2, inputs, 6, 5)).astype(np.float32)
    passed = min(inputs, outputs)
    np.testing.assert_allclose(conv(Tensor(x)).data[:, :passed], x[:, :passed], atol=1e-6)
    np.testing.assert_array_equal(conv.weight.data[passed:], drawn[passed:])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.identity_(nn.Linear(3, 3)), TypeError, "identity_: conv - expected a Conv2d, got Linear"),
        (
            lambda: init.identity_(nn.Conv2d(3, 3, 2)),
            ShapeError,
            "identity_: conv - expected one group and windows of odd sides, got 1 groups and 2 x 2",
        ),
        (lambda: init.patch_whitening_(3, []), TypeError, "patch_whitening_: conv - expected a Conv2d, got int"),
        (
            lambda: init.patch_whitening_(nn.Conv2d(3, 12, 2), smooth_images(2)),
            ShapeError,
            "patch_whitening_: conv - expected 24 filters in one group, got 12 filters",
        ),
        (
            lambda: init.patch_whitening_(nn.Conv2d(3, 24, 2), np.zeros((4, 1, 8, 8))),
            ShapeError,
            r"patch_whitening_: images - expected \(N, 3, H, W\) of at least 2 x 2 pixels, got shape \(4, 1, 8, 8\)",
        ),
        (
            lambda: init.patch_whitening_(nn.Conv2d(3, 24, 2), smooth_images(2) * np.inf),
            ValueError,
            "patch_whitening_: images - expected finite numbers, got NaN, infinity or squares beyond them",
        ),
        (
            lambda: init.patch_whitening_(nn.Conv2d(3, 24, 2), smooth_images(2), eps="a"),
            TypeError,
            "patch_whitening_: eps - expected a number, got 'a'",
        ),
        (
            lambda: init.patch_whitening_(nn.Conv2d(3, 24, 2), smooth_images(2), eps=0),
            ValueError,
            "patch_whitening_: eps - expected a positive number, got 0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
