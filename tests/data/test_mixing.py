"""Mixup and CutMix: what is mixed with what, and that it depends on seed, epoch and batch alone."""

import numpy as np
import pytest

from minitorch_cnn import data

K = 3


@pytest.fixture
def images():
    stream = np.random.default_rng(0)
    labels = np.arange(44) % K
    pixels = stream.integers(0, 256, (44, 6, 8, 3), dtype=np.uint8)
    return data.ArrayDataset(pixels, labels, ("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)


def stream(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_mixup_is_the_weighted_sum_of_a_pair():
    mixing = data.Mixing(mixup=0.8)
    x = stream().random((5, 4, 6, 3), np.float32)
    labels = np.array([0, 1, 2, 2, 1])
    weights = mixing.weights(5, 4, 6, stream())
    assert (weights == weights[:, :1, :1]).all() and len(np.unique(weights)) == 5
    mixed, targets = mixing(x, labels, K, weights)
    for n, m in enumerate((1, 0, 3, 2, 4)):  # the last has no neighbour
        w = float(weights[n, 0, 0])
        np.testing.assert_allclose(mixed[n], w * x[n] + (1 - w) * x[m], rtol=1e-5, atol=1e-6)
        expected = np.zeros(K)
        expected[labels[n]] += w
        expected[labels[m]] += 1 - w
        np.testing.assert_allclose(targets[n], expected, rtol=1e-6, atol=1e-7)


def test_cutmix_shows_a_box_of_the_other_image_and_counts_its_pixels():
    mixing = data.Mixing(cutmix=1.0)
    x = stream().random((40, 9, 7, 1), np.float32)
    labels = np.arange(40) % 2
    weights = mixing.weights(40, 9, 7, stream(1))
    mixed, targets = mixing(x, labels, 2, weights)
    other = x[np.arange(40) ^ 1]
    shown = mixed == other
    assert (shown | (mixed == x)).all()
    np.testing.assert_allclose(targets[np.arange(40), 1 - labels], shown.mean((1, 2, 3)), atol=1e-6)
    for box in weights == 0:  # all rows and columns that it touches: one rectangle
        rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        assert box.sum() == len(rows) * len(columns)
        assert not len(rows) or (np.diff(rows) == 1).all() and (np.diff(columns) == 1).all()
    shares = (weights == 0).mean((1, 2))
    assert shares.min() < 0.1 and shares.max() > 0.5


def test_with_both_each_image_is_mixed_in_one_way():
    weights = data.Mixing(mixup=1.0, cutmix=1.0).weights(400, 4, 4, stream())
    cut = np.isin(weights, (0, 1)).all((1, 2))
    assert 150 < cut.sum() < 250 and (weights[~cut] == weights[~cut][:, :1, :1]).all()


def test_targets_are_probabilities():
    mixing = data.Mixing(mixup=0.2, cutmix=0.3)
    weights = mixing.weights(2000, 5, 5, stream())
    _, targets = mixing(np.zeros((2000, 5, 5, 1), np.float32), stream().integers(0, K, 2000), K, weights)
    assert targets.dtype == np.float32 and targets.min() >= 0 and targets.max() <= 1
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)


def batches(images, epoch=0, start_batch=0, **options):
    options = {"batch_size": 8, "shuffle": True, "drop_last": True, "seed": 5} | options
    loader = data.DataLoader(images, mixing=data.Mixing(0.5, 0.5), transforms=[data.Flip()], **options)
    loader.set_epoch(epoch)
    try:
        return [(x.data.copy(), targets) for x, targets in loader.iterate(start_batch)]
    finally:
        loader.close()


def same(first, second):
    pairs = [pair for batches in zip(first, second, strict=True) for pair in zip(*batches, strict=True)]
    return all(np.array_equal(a, b) for a, b in pairs)


def test_batches_depend_on_seed_epoch_and_batch_alone(images):
    whole = batches(images)
    assert whole[0][0].shape == (8, 3, 6, 8) and whole[0][1].shape == (8, K)
    assert same(whole, batches(images)) and same(whole[3:], batches(images, start_batch=3))
    assert not same(whole, batches(images, epoch=1)) and not same(whole, batches(images, seed=6))
    for parts in (2, 4):
        shares = [batches(images, share=(part, parts)) for part in range(parts)]
        pieces = zip(*shares, strict=True)  # of each batch
        joined = [tuple(map(np.concatenate, zip(*batch, strict=True))) for batch in pieces]
        assert same(whole, joined)


def test_workers_do_not_change_the_batches(images):
    assert same(batches(images), batches(images, num_workers=2))


def test_an_iteration_can_be_closed(images):
    loader = data.DataLoader(images, batch_size=4, mixing=data.Mixing(1.0))
    iterator = iter(loader)
    next(iterator)
    iterator.close()
    assert list(iterator) == []
    assert len(list(data.DataLoader(images, batch_size=43, mixing=data.Mixing(1.0)))) == 2  # a batch of one image


def test_arguments_are_checked(images):
    with pytest.raises(ValueError, match="Mixing: mixup - expected at least 0, got -1"):
        data.Mixing(-1)
    with pytest.raises(TypeError, match="Mixing: cutmix - expected a number, got 'a'"):
        data.Mixing(0, "a")
    with pytest.raises(TypeError, match="DataLoader: mixing - expected an object of Mixing, got float"):
        data.DataLoader(images, mixing=0.2)
