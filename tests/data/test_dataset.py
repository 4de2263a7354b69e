"""ArrayDataset and hold_out: what fits together, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch_cnn import data


def make(**changes):
    good = {
        "images": np.zeros((6, 4, 5, 3), np.uint8),
        "labels": np.arange(6) % 2,
        "classes": ["a", "b"],
        "mean": np.float32([0.5] * 3),
        "std": (0.25,) * 3,
        "digest": "whole",
    }
    return data.ArrayDataset(**(good | changes))


def test_parts_are_kept_in_plain_types():
    dataset = make(labels=np.zeros(6, np.uint8))
    assert len(dataset) == 6 and dataset.labels.dtype == np.int64
    assert dataset.classes == ("a", "b") and dataset.mean == (0.5, 0.5, 0.5)
    assert dataset.name == "array" and not dataset.verified
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.images = None


def test_a_selection_is_not_the_whole():
    dataset = make(images=np.arange(6, dtype=np.uint8).repeat(60).reshape(6, 4, 5, 3))
    part = dataset.select([4, 1])
    assert part.images[:, 0, 0, 0].tolist() == [4, 1] and part.labels.tolist() == [0, 1]
    assert part.digest == "" and part.classes == dataset.classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 4, 5, 3))}, r"images - expected uint8 \(N, H, W, C\), got float64 \(6, 4, 5, 3\)"),
        ({"images": np.zeros((6, 4, 5), np.uint8)}, r"images - expected uint8 .* got uint8 \(6, 4, 5\)"),
        ({"labels": np.arange(5) % 2}, r"labels - expected 6 integers, got int64 \(5,\)"),
        ({"labels": np.zeros(6)}, r"labels - expected 6 integers, got float64 \(6,\)"),
        ({"labels": np.arange(6)}, "labels - expected 0 to 1 for 2 classes, got 0 to 5"),
        ({"labels": np.arange(6) - 5}, "labels - expected 0 to 1 for 2 classes, got -5 to 0"),
        ({"mean": (0.5,)}, "mean, std - expected 3 numbers each"),
        ({"std": (0.5, 0.0, 0.5)}, "std - expected positive numbers"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(data.DatasetError, match=message):
        make(**changes)


@given(count=st.integers(1, 19), seed=st.integers(0, 5))
def test_held_out_samples_and_the_others_are_all_of_them(count, seed):
    images = np.arange(20, dtype=np.uint8).repeat(3).reshape(20, 1, 1, 3)
    kept, held = data.hold_out(make(images=images, labels=np.zeros(20, int)), count, seed)
    assert (len(kept), len(held)) == (20 - count, count)
    numbers = [part.images[:, 0, 0, 0].tolist() for part in (kept, held)]
    assert sorted(sum(numbers, [])) == list(range(20)) and all(n == sorted(n) for n in numbers)


@pytest.mark.parametrize("count", [0, 6, -1, 7])
def test_a_hold_out_that_leaves_nothing(count):
    with pytest.raises(ValueError, match=f"hold_out: count - expected 1 to 5, got {count}"):
        data.hold_out(make(), count)


def test_a_batch_is_what_a_network_takes():
    shapes = data.Shapes10(train=True, size=20)
    images, labels = shapes.batch(8)
    assert images.shape == (8, 3, 32, 32) and images.dtype == np.float32
    np.testing.assert_array_equal(images.data, (shapes.images[:8].transpose(0, 3, 1, 2) / 255).astype(np.float32))
    np.testing.assert_array_equal(labels, shapes.labels[:8])


@pytest.mark.parametrize("count", [0, -1, 21])
def test_a_batch_has_at_least_one_image_and_no_more_than_there_are(count):
    with pytest.raises(ValueError, match=f"batch: count - expected 1 to 20, got {count}"):
        data.Shapes10(train=True, size=20).batch(count)
