"""ArrayDataset: what fits together, and what is refused."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

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
    assert part.digest not in ("", dataset.digest) and part.classes == dataset.classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 4, 5, 3))}, r"images - expected uint8 \(N, H, W, C\), got float64 \(6, 4, 5, 3\)"),
        ({"images": np.zeros((6, 4, 5), np.uint8)}, r"images - expected uint8 .* got uint8 \(6, 4, 5\)"),
        ({"labels": np.arange(5) % 2}, r"labels - expected 6 integers, got int64 \(5,\)"),
        ({"labels": np.zeros(6)}, r"labels - expected 6 integers, got float64 \(6,\)"),
        ({"labels": np.arange(6)}, "labels - expected 0 to 1 for 2 classes, got 0 to 5"),
        ({"labels": np.arange(6) - 5}, "labels - expected 0 to 1 for 2 classes, got -5 to 0"),
        ({"images": np.zeros((6, 0, 5, 3), np.uint8)}, r"images - expected uint8 .* got uint8 \(6, 0, 5, 3\)"),
        ({"images": np.zeros((6, 4, 5, 0), np.uint8)}, r"images - expected uint8 .* got uint8 \(6, 4, 5, 0\)"),
        ({"images": [[1, 2], [3]]}, "images - expected an array, got list"),
        ({"labels": [[0], [1, 0]]}, "labels - expected an array, got list"),
        ({"labels": np.arange(6)[:, None] % 2}, r"labels - expected 6 integers, got int64 \(6, 1\)"),
        ({"labels": np.arange(6) % 2 == 0}, r"labels - expected 6 integers, got bool \(6,\)"),
        ({"labels": np.full(6, 2**63, np.uint64)}, "labels - expected 0 to 1 for 2 classes, got 9223372036854775808"),
        ({"classes": "ab"}, "classes - expected a sequence of strings, got 'ab'"),
        ({"classes": [0, 1]}, r"classes - expected a sequence of strings, got \[0, 1\]"),
        ({"classes": 2}, "classes - expected a sequence of strings, got 2"),
        ({"classes": []}, r"classes - expected a sequence of strings, got \[\]"),
        ({"classes": ["a", "b", "a"]}, "classes - expected different names, got 'a' more than once"),
        ({"mean": (0.5,)}, "mean, std - expected 3 numbers each"),
        ({"mean": 0.5}, "mean, std - expected 3 numbers each, got mean 0.5"),
        ({"mean": "abc"}, "mean, std - expected 3 numbers each, got mean 'abc'"),
        ({"std": None}, "mean, std - expected 3 numbers each, got std None"),
        ({"std": (0.5, True, 0.5)}, "mean, std - expected 3 numbers each, got std"),
        ({"mean": (124, 116, 104)}, "mean - expected numbers from 0 to 1, of pixels divided by 255"),
        ({"mean": (0.5, np.nan, 0.5)}, "mean - expected numbers from 0 to 1"),
        ({"std": (0.5, np.inf, 0.5)}, "std - expected numbers above 0 to 1"),
        ({"std": (0.5, np.nan, 0.5)}, "std - expected numbers above 0 to 1"),
        ({"std": (63.0, 62.1, 66.7)}, "std - expected numbers above 0 to 1, of pixels divided by 255"),
        ({"mean": (0,) * 3, "std": (255,) * 3}, "std - expected numbers above 0 to 1, of pixels divided by 255"),
        ({"name": 3}, "name - expected a string, got 3"),
        ({"std": (0.5, 0.0, 0.5)}, "std - expected numbers above 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(data.DatasetError, match=message):
        make(**changes)


# ------------------------------------------------------------------------------------- digests


def test_a_digest_tells_other_contents_apart():
    images, labels = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3)).astype(np.uint8), np.arange(6) % 2
    plain = {"images": images, "labels": labels, "digest": ""}
    one_pixel, one_label = images.copy(), labels.copy()
    one_pixel[5, 3, 4, 2] ^= 1
    one_label[5] ^= 1
    others = [
        {"images": one_pixel},
        {"images": images[::-1]},
        {"images": images.reshape(6, 5, 4, 3)},
        {"labels": one_label},
        {"classes": ["b", "a"]},
        {"classes": ["a", "c"]},
        {"classes": ["a", "b", "c"]},
        {"images": images[:5], "labels": labels[:5]},
    ]
    digests = [make(**(plain | other)).digest for other in [{}, *others]]
    assert len(set(digests)) == len(digests) and all(len(digest) == 64 for digest in digests)


def test_a_digest_is_the_same_for_the_same_contents():
    images = np.random.default_rng(0).integers(0, 256, (3000, 2, 2, 3)).astype(np.uint8)
    options = {"labels": np.arange(3000) % 2, "digest": ""}
    dataset = make(images=images, **options)
    strided = np.zeros((3000, 3, 2, 4), np.uint8).transpose(0, 3, 2, 1)[:, :2]
    strided[...] = images
    same = [
        make(images=strided, **options),
        make(images=images, **(options | {"labels": options["labels"].astype(">i2")})),
        dataclasses.replace(dataset, mean=(0.1, 0.2, 0.3), std=(1, 1, 1), name="other"),
        copy.deepcopy(dataset),
        pickle.loads(pickle.dumps(dataset)),
        dataset.select(np.arange(3000)),
        dataset.select(slice(None)),
    ]
    assert {other.digest for other in same} == {dataset.digest}


def test_a_digest_that_is_given_is_kept_but_not_for_parts():
    dataset = make(digest="official")
    assert dataset.digest == "official" and dataclasses.replace(dataset, std=(1, 1, 1)).digest == "official"
    kept, held = data.hold_out(dataset, 2)
    assert len({dataset.digest, kept.digest, held.digest}) == 3 and "" not in (kept.digest, held.digest)
    with pytest.raises(AttributeError, match="no attribute 'digets'"):
        dataset.digets  # noqa: B018 - the attribute is what is tried


def test_every_dataset_of_this_package_has_a_digest():
    first, second, again = (data.Shapes10(size=20, seed=seed).digest for seed in (0, 1, 0))
    assert first == again != second != ""


def test_equal_datasets():
    dataset = make(digest="")
    assert dataset == dataset and dataset == make(digest="") and hash(dataset) == hash(make(digest=""))
    for other in (
        make(labels=np.zeros(6, int)),
        make(std=(0.5,) * 3),
        make(classes=["b", "a"]),
        dataset.select([0]),
        3,
    ):
        assert dataset != other
    assert make(images=np.ones((6, 4, 5, 3), np.uint8)) not in {dataset}


def test_contents_cannot_be_changed_by_writing():
    """A loader's workers, and a digest that was asked for, would not notice."""
    images = np.zeros((6, 4, 5, 3), np.uint8)
    dataset = make(images=images)
    for array in (dataset.images, dataset.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert images.flags.writeable  # the user's own is left as it is


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
