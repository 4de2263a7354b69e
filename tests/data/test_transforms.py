"""Augmentation: which pixels each transform chooses, in one pass or one after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minitorch_cnn.data import Cutout, Flip, PadCrop, Resize, Translate, transforms
from minitorch_cnn.data.philox import Draws

seeds = st.integers(0, 10_000)
sizes = st.tuples(st.integers(1, 4), st.integers(3, 9), st.integers(3, 9))


def numbered(count, height, width):
    """Return images whose every pixel is positive and unlike its neighbours."""
    rng = np.random.default_rng([count, height, width])
    return rng.integers(1, 256, (count, height, width, 3), np.uint8)


def apply(transform, images, seed=0):
    return transform(images, Draws(seed, 0, np.arange(len(images))))


@given(size=sizes, seed=seeds, padding=st.integers(0, 2), mode=st.sampled_from(["zero", "reflect"]))
def test_a_crop_is_a_window_of_the_padded_image(size, seed, padding, mode):
    images = numbered(*size)
    out = apply(PadCrop(padding, mode), images, seed)
    assert out.shape == images.shape and out.dtype == np.uint8
    around = ((padding, padding), (padding, padding), (0, 0))
    for image, cropped in zip(images, out, strict=True):
        padded = np.pad(image, around, mode="constant" if mode == "zero" else "reflect")
        windows = [
            padded[i : i + image.shape[0], j : j + image.shape[1]]
            for i in range(2 * padding + 1)
            for j in range(2 * padding + 1)
        ]
        assert any((window == cropped).all() for window in windows)


def test_all_windows_and_both_mirrors_come_up():
    image = numbered(1, 8, 8)
    crops = {apply(PadCrop(1), image, seed).tobytes() for seed in range(200)}
    assert len(crops) == 9
    assert {apply(Flip(), image, seed).tobytes() for seed in range(50)} == {
        image.tobytes(),
        image[:, :, ::-1].tobytes(),
    }


def test_a_translation_brings_in_black_or_the_mirrored_border():
    image = numbered(1, 6, 6)
    black = [(apply(Translate(2), image, seed) == 0).all(3).sum() for seed in range(50)]
    assert min(black) == 0 and max(black) == 36 - 16
    assert all((apply(Translate(2, mode="reflect"), image, seed) > 0).all() for seed in range(50))


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_the_share_of_mirrored_images(probability):
    images = numbered(2000, 3, 3)
    mirrored = (apply(Flip(probability), images) == images[:, :, ::-1]).all((1, 2, 3)).mean()
    assert abs(mirrored - probability) < 0.05


@given(size=sizes, seed=seeds, side=st.integers(1, 5))
def test_cutout_blacks_out_one_square(size, seed, side):
    images = numbered(*size)
    for image, cut in zip(images, apply(Cutout(side), images, seed), strict=True):
        dark = (cut == 0).all(2)
        rows, columns = dark.any(1), dark.any(0)
        assert 1 <= rows.sum() <= side and 1 <= columns.sum() <= side
        np.testing.assert_array_equal(dark, rows[:, None] & columns)
        assert np.ptp(np.flatnonzero(rows)) == rows.sum() - 1 and np.ptp(np.flatnonzero(columns)) == columns.sum() - 1
        np.testing.assert_array_equal(cut[~dark], image[~dark])


def test_resize_is_pillows():
    images = numbered(2, 9, 7)
    out = apply(Resize((4, 5)), images)
    assert out.shape == (2, 4, 5, 3)
    expected = Image.fromarray(images[1]).resize((5, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(out[1], np.asarray(expected))


def darker(images, draws):
    """A transform of a user: half as bright, by a number of its own for each sample."""
    return (images * (0.5 * draws.uniform())[:, None, None, None]).astype(np.uint8)


@given(
    size=sizes, seed=seeds, order=st.permutations([PadCrop(1), Flip(), Cutout(2), Translate(1), darker, Resize((5, 4))])
)
def test_many_in_one_pass_are_the_same_as_one_after_the_other(size, seed, order):
    images, indices = numbered(*size), np.arange(size[0])
    draws, expected = Draws(seed, 2, indices), images
    for transform in order:
        expected = transform(expected, draws)
    np.testing.assert_array_equal(transforms.finished(images, indices, order, seed, 2), expected)


@given(seed=seeds)
def test_a_sample_is_augmented_alike_in_any_batch(seed):
    images, steps = numbered(9, 6, 6), (PadCrop(2), Flip(), Cutout(3), darker)
    together = transforms.finished(images, np.arange(9), steps, seed, 1)
    for index in (8, 0, 4):
        alone = transforms.finished(images, np.array([index]), steps, seed, 1)
        np.testing.assert_array_equal(alone[0], together[index])


def test_other_epochs_are_augmented_otherwise():
    images = numbered(20, 8, 8)
    first, second = (transforms.finished(images, np.arange(20), (PadCrop(4), Flip()), 0, epoch) for epoch in (0, 1))
    assert (first != second).any((1, 2, 3)).sum() > 15


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="PadCrop: mode - expected 'zero' or 'reflect', got 'wrap'"):
        PadCrop(2, "wrap")
    with pytest.raises(NotImplementedError):
        transforms._Chooser().choose(None, None)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PadCrop(-1), ValueError, "PadCrop: padding - expected at least 0, got -1"),
        (lambda: PadCrop(1.5), TypeError, "PadCrop: padding - expected an integer, got 1.5"),
        (lambda: PadCrop(True), TypeError, "PadCrop: padding - expected an integer, got True"),
        (lambda: Translate("2"), TypeError, "Translate: padding - expected an integer, got '2'"),
        (lambda: Translate(2, "edge"), ValueError, "Translate: mode - expected 'zero' or 'reflect', got 'edge'"),
        (lambda: Cutout(0), ValueError, "Cutout: size - expected at least 1, got 0"),
        (lambda: Cutout(1.5), TypeError, "Cutout: size - expected an integer, got 1.5"),
        (lambda: Cutout((2, 2)), TypeError, r"Cutout: size - expected an integer, got \(2, 2\)"),
        (lambda: Flip(1.01), ValueError, "Flip: probability - expected 0 to 1, got 1.01"),
        (lambda: Flip(-0.1), ValueError, "Flip: probability - expected 0 to 1, got -0.1"),
        (lambda: Flip(float("nan")), ValueError, "Flip: probability - expected 0 to 1, got nan"),
        (lambda: Flip("0.5"), TypeError, "Flip: probability - expected a number, got '0.5'"),
        (lambda: Flip(None), TypeError, "Flip: probability - expected a number, got None"),
        (lambda: Resize(0), ValueError, "Resize: size - expected at least 1, got 0"),
        (lambda: Resize((4, -1)), ValueError, r"Resize: size - expected at least 1, got \(4, -1\)"),
        (lambda: Resize(4.0), TypeError, "Resize: size - expected an int or two ints, got 4.0"),
        (lambda: Resize((4, 4, 3)), TypeError, "Resize: size - expected an int or two ints, got"),
    ],
)
def test_arguments_are_checked_when_a_transform_is_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_numbers_of_numpy_are_numbers():
    assert apply(PadCrop(np.int64(1)), numbered(1, 4, 4)).shape == (1, 4, 4, 3)
    assert apply(Cutout(np.uint8(2)), numbered(1, 4, 4)).shape == (1, 4, 4, 3)
    assert apply(Flip(np.float32(0.5)), numbered(1, 4, 4)).shape == (1, 4, 4, 3)
    assert Resize(np.int32(5)) == Resize(5) == Resize([5, 5])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_every_channel_is_scaled_by_itself(channels):
    """Pillow's own images of four channels take the last one for alpha, and mix the others by it."""
    images = np.random.default_rng(channels).integers(0, 256, (2, 6, 7, channels), np.uint8)
    out = apply(Resize((4, 9)), images)
    assert out.shape == (2, 4, 9, channels) and out.dtype == np.uint8
    for n in range(2):
        for c in range(channels):
            expected = Image.fromarray(images[n, :, :, c].copy()).resize((9, 4), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(out[n, :, :, c], expected)


@pytest.mark.parametrize("transform", [PadCrop(3), Flip(1.0), Cutout(3), Translate(2, "reflect"), Resize((2, 3))])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 7, 2), (3, 7, 1, 4), (0, 4, 4, 3)])
def test_axes_of_sizes_zero_and_one(transform, shape):
    images = np.full(shape, 9, np.uint8)
    if shape[0] or not isinstance(transform, Resize):
        out = apply(transform, images)
        assert out.shape == (len(images), *(transform.size if isinstance(transform, Resize) else shape[1:3]), shape[3])
        assert set(np.unique(out)) <= {0, 9}


@given(length=st.integers(1, 6), shift=st.integers(-20, 20))
def test_a_reflection_goes_there_and_back_as_often_as_it_takes(length, shift):
    (index,) = transforms._shifted(length, np.array([shift]), "reflect")
    expected = np.pad(np.arange(length), 26, mode="reflect") if length > 1 else np.zeros(53, int)
    np.testing.assert_array_equal(index, expected[26 + shift :][:length])


@pytest.mark.parametrize("axis", [1, 2])
def test_places_beyond_sixteen_bits(axis):
    shape = [1, 2, 2, 1]
    shape[axis] = 70_000
    images = (np.arange(140_000) % 251 + 1).astype(np.uint8).reshape(shape)
    np.testing.assert_array_equal(apply(Flip(1.0), images), images[:, :, ::-1])
    np.testing.assert_array_equal(transforms.finished(images, np.zeros(1, int), [Flip(1.0)] * 2, 0, 0), images)
    covered = np.concatenate([apply(Cutout(40_000), images, seed) == 0 for seed in range(8)])
    assert covered.any(axis=(0, 3)).sum(axis=axis - 1).max() > 60_000


@pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, (1 << 53) + 1)])
def test_ranges_of_integers_that_are_none(low, high):
    with pytest.raises(ValueError, match="integers: low, high - expected low < high <= low"):
        Draws(0, 0, np.arange(2)).integers(low, high)


@pytest.mark.parametrize(
    ("change", "got"), [(lambda i: i[:, :, :, :1], r"\(1, 4, 4, 1\)"), (lambda i: i.repeat(2, 3), r"\(1, 4, 4, 6\)")]
)
def test_a_transform_that_changes_the_number_of_channels(change, got):
    """Each channel is normalised by its own mean: others would get that of another, or of none."""
    with pytest.raises(TypeError, match=rf"result - expected uint8 \(1, H, W, 3\), got uint8 {got}"):
        transforms.finished(numbered(3, 4, 4), np.arange(3), [lambda images, draws: change(images)], 0, 0)


@pytest.mark.parametrize(
    ("result", "got"), [(lambda images: images / 2, "float64"), (lambda images: images[:0], "uint8"), (list, "list")]
)
def test_a_transform_that_returns_no_images(result, got):
    with pytest.raises(TypeError, match=rf"result - expected uint8 \(1, H, W, C\), got {got}"):
        transforms.finished(numbered(3, 4, 4), np.arange(3), [lambda images, draws: result(images)], 0, 0)


def test_a_transform_that_returns_images_of_several_sizes():
    with pytest.raises(TypeError, match=r"result - expected uint8 \(1, 4, 4, 3\), got uint8 \(1, 3, 4, 3\)"):
        transforms.finished(
            numbered(3, 4, 4), np.arange(3), [lambda images, draws: images[:, int(draws.indices[0]) :]], 0, 0
        )


def test_the_sample_is_told_before_a_transform_that_does_more_than_to_choose_pixels():
    told, images = [], numbered(3, 4, 4)
    for steps in ([PadCrop(1), Cutout(1), Flip()], [PadCrop(1), darker, Flip()]):
        transforms.finished(images, np.array([2, 0]), steps, 0, 0, told.append)
    assert told == [2, 0, None]
