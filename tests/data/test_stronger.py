"""Stronger augmentation: what each change does, and that it depends on seed, epoch and sample alone."""

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import stronger
from minitorch_cnn.data.philox import Draws
from minitorch_cnn.data.transforms import finished

KINDS = [
    data.ColorJitter(),
    data.ColorJitter(hue=0.5),
    data.Rotate(40),
    data.RandomResizedCrop(0.1),
    data.RandomErasing(0.7),
    data.RandAugment(3, 8),
]


def pictures(count=12, channels=3, height=10, width=14):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_sample_is_changed_alike_alone_and_in_any_batch(kind, channels):
    """The crop after it shows that the count of random numbers is the same for all samples, too."""
    images, steps = pictures(channels=channels), [kind, data.PadCrop(2), kind]
    whole = finished(images, np.arange(12), steps, 7, 3)
    assert whole.shape == images.shape and whole.dtype == np.uint8
    for indices in ([5], [11, 5, 0], [2, 3]):
        np.testing.assert_array_equal(finished(images, np.array(indices), steps, 7, 3), whole[indices])
    assert (finished(images, np.arange(12), steps, 7, 4) != whole).any()
    assert (finished(images, np.arange(12), steps, 8, 3) != whole).any()


def test_workers_give_the_same_bytes():
    dataset = data.ArrayDataset(pictures(), np.zeros(12, int), ("a",), (0.5,) * 3, (0.5,) * 3)
    alone = [x.data.tobytes() for x, _ in data.DataLoader(dataset, 5, transforms=KINDS)]
    with data.DataLoader(dataset, 5, transforms=KINDS, num_workers=2) as loader:
        assert [x.data.tobytes() for x, _ in loader] == alone


@pytest.mark.parametrize(
    "kind",
    [
        data.ColorJitter(0, 0, 0),
        data.Rotate(0),
        data.RandomResizedCrop(1.0, 1.0),
        data.RandomErasing(0),
        data.RandomErasing(1, 0),
        data.RandAugment(0),
    ],
    ids=repr,
)
def test_without_strength_nothing_changes(kind):
    images = pictures()
    np.testing.assert_array_equal(finished(images, np.arange(12), [kind], 0, 0), images)


def test_a_quarter_turn_of_a_square():
    image = pictures(1, 3, 8, 8)[0]
    turned = stronger._rotated(image, 90)
    assert any(np.array_equal(turned, np.rot90(image, k)) for k in (1, 3))
    np.testing.assert_array_equal(stronger._rotated(turned, -90), image)


@pytest.mark.parametrize(("factor", "expected"), [(0.5, [10, 20, 30]), (2.0, [40, 80, 120]), (20.0, [255] * 3)])
def test_brightness(factor, expected):
    assert stronger._brightness(np.uint8([[[20, 40, 60]]]), factor).ravel().tolist() == expected


def test_contrast_and_saturation():
    image = np.uint8([[[100, 100, 100], [200, 200, 200]]])
    assert stronger._contrast(image, 0.0).tolist() == [[[150] * 3] * 2]
    assert stronger._contrast(image, 0.5)[0, :, 0].tolist() == [125, 175]
    np.testing.assert_array_equal(stronger._saturation(image, 0.3), image)  # grey stays
    assert stronger._saturation(np.uint8([[[255, 0, 0]]]), 0.0).ravel().tolist() == [76] * 3


def test_a_turn_of_the_hue():
    red, grey = np.full((1, 1, 3), [255, 0, 0], np.uint8), np.full((1, 1, 3), 90, np.uint8)
    for turn, expected in ((1 / 3, (0, 255, 0)), (-1 / 3, (0, 0, 255)), (0.5, (0, 255, 255)), (-0.5, (0, 255, 255))):
        np.testing.assert_allclose(stronger._turned_hue(red, turn)[0, 0], expected, atol=8)
    np.testing.assert_array_equal(stronger._turned_hue(grey, 0.3), grey)


def test_solarise_posterise_and_shift():
    row = np.uint8([[[0], [100], [200]]])
    assert stronger._solarized(row, 0.5).ravel().tolist() == [0, 100, 55]
    assert stronger._posterized(row, 1.0).ravel().tolist() == [0, 96, 192]
    assert stronger._move_right(row, 1.0).ravel().tolist() == [0, 0, 100]
    assert stronger._move_right(row, -1.0).ravel().tolist() == [100, 200, 0]


def test_erased_boxes_have_the_asked_for_area():
    images = np.full((300, 20, 20, 1), 255, np.uint8)
    shares = (finished(images, np.arange(300), [data.RandomErasing(1.0, 0.4)], 0, 0) == 0).mean((1, 2, 3))
    assert 0.03 < shares.min() < 0.08 and 0.3 < shares.max() < 0.45
    half = finished(images, np.arange(300), [data.RandomErasing(0.5)], 0, 0)
    assert 0.4 < (half == 0).any((1, 2, 3)).mean() < 0.6


def test_crops_cover_every_corner_and_have_no_border():
    images = np.full((200, 16, 16, 1), 255, np.uint8)
    assert (finished(images, np.arange(200), [data.RandomResizedCrop(0.05, 3)], 0, 0) == 255).all()
    images[:] = np.arange(16, dtype=np.uint8)[:, None]  # brightness tells the row
    cropped = finished(images, np.arange(200), [data.RandomResizedCrop(0.1)], 0, 0)
    assert cropped[:, 0].max() > 8 and cropped[:, -1].min() < 8


def test_every_operation_is_drawn():
    chosen = Draws(0, 0, np.arange(500)).integers(0, len(stronger._ONE_WAY) + len(stronger._EITHER_WAY))
    assert set(chosen.tolist()) == set(range(14))
    image = pictures(1, 3, 40, 40)[0] // 2 + np.uint8(20)  # auto-contrast and equalise have something to do
    for change in (*stronger._ONE_WAY[1:], *stronger._EITHER_WAY):
        changed = change(image, 0.9)
        assert changed.shape == image.shape and changed.dtype == np.uint8 and (changed != image).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.ColorJitter(2), "ColorJitter: brightness - expected 0 to 1, got 2"),
        (lambda: data.ColorJitter(hue=0.6), "ColorJitter: hue - expected 0 to 0.5, got 0.6"),
        (lambda: data.Rotate(-1), "Rotate: degrees - expected 0 to 180, got -1"),
        (lambda: data.RandomResizedCrop(0), "RandomResizedCrop: least_area - expected a positive number, got 0"),
        (lambda: data.RandomResizedCrop(1, 0.5), "RandomResizedCrop: most_stretch - expected at least 1, got 0.5"),
        (lambda: data.RandomErasing(1.5), "RandomErasing: probability - expected 0 to 1, got 1.5"),
        (lambda: data.RandAugment(-1), "RandAugment: count - expected at least 0, got -1"),
        (lambda: data.RandAugment(1, 11), "RandAugment: magnitude - expected 0 to 10, got 11"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
