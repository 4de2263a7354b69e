"""DataLoader: which samples, in which order, augmented and normalised how; the same bytes for any workers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import data
from minitorch_cnn.data import transforms

AUGMENTATION = (data.PadCrop(2), data.Flip(), data.Cutout(3))


def make(count=50, side=6):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    return data.ArrayDataset(images, np.arange(count) % 5, tuple("abcde"), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def epoch_bytes(loader, epoch=0):
    loader.set_epoch(epoch)
    return [(images.data.tobytes(), labels.tobytes()) for images, labels in loader]


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 40),
    batch=st.integers(1, 12),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_every_sample_once_in_order_and_normalised(count, batch, shuffle, drop_last, epoch):
    dataset = make(count)
    loader = data.DataLoader(dataset, batch, shuffle=shuffle, drop_last=drop_last, transforms=AUGMENTATION, seed=7)
    loader.set_epoch(epoch)
    order = loader.order()
    assert sorted(order) == list(range(count)) and (shuffle or (order == np.arange(count)).all())
    batches = list(loader)
    assert len(batches) == len(loader) == (count // batch if drop_last else -(-count // batch))
    for i, (images, labels) in enumerate(batches):
        indices = order[i * batch : (i + 1) * batch]
        pixels = transforms.finished(dataset.images, indices, AUGMENTATION, 7, epoch)
        expected = (pixels / 255 - np.array(dataset.mean)) / np.array(dataset.std)
        assert images.dtype == np.float32 and images.data.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_allclose(images.data, expected.transpose(0, 3, 1, 2), atol=1e-6)
        np.testing.assert_array_equal(labels, dataset.labels[indices])


def test_the_same_bytes_for_0_1_2_and_4_workers():
    expected = None
    for workers in (0, 1, 2, 4):
        with data.DataLoader(
            make(), 8, shuffle=True, num_workers=workers, transforms=(*AUGMENTATION, data.Resize((5, 7))), seed=3
        ) as loader:
            got = [epoch_bytes(loader, epoch) for epoch in (0, 1)]
        expected = expected or got
        assert got == expected
    assert expected[0] != expected[1]


def test_seeds_differ_and_equal_seeds_do_not():
    first, again, other = (
        epoch_bytes(data.DataLoader(make(), 8, shuffle=True, transforms=AUGMENTATION, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_entered_at_any_batch(workers):
    with data.DataLoader(make(), 8, shuffle=True, num_workers=workers, transforms=AUGMENTATION) as loader:
        whole = epoch_bytes(loader)
        for start in (0, 3, len(loader)):
            rest = [(images.data.tobytes(), labels.tobytes()) for images, labels in loader.iterate(start)]
            assert rest == whole[start:]


def test_an_iteration_that_is_left_does_not_spoil_the_next():
    with data.DataLoader(make(), 8, num_workers=2, prefetch=3, transforms=AUGMENTATION) as loader:
        expected = epoch_bytes(loader)
        for _ in loader:
            break
        assert epoch_bytes(loader) == expected


def test_batches_that_were_handed_out_do_not_change_when_the_next_come():
    with data.DataLoader(make(), 8, num_workers=1, prefetch=1, transforms=AUGMENTATION) as loader:
        kept = [images for images, _ in loader]
        assert [images.data.tobytes() for images in kept] == [images for images, _ in epoch_bytes(loader)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "batch_size - expected an integer >= 1, got 0"),
        ({"batch_size": 2.5}, "batch_size - expected an integer >= 1, got 2.5"),
        ({"num_workers": -1}, "num_workers - expected an integer >= 0, got -1"),
        ({"prefetch": 0}, "prefetch - expected an integer >= 1, got 0"),
        ({"seed": -1}, "seed - expected an integer >= 0, got -1"),
        ({"seed": True}, "seed - expected an integer >= 0, got True"),
        ({"share": (2, 2)}, r"share - expected \(i, n\) with 0 <= i < n <= 128, .*, got \(2, 2\)"),
        ({"batch_size": 2, "share": (0, 3)}, r"share - expected \(i, n\) with 0 <= i < n <= 2"),
        ({"share": (0, 2)}, "share - expected drop_last=True with it"),
        ({"seed": 1 << 64}, r"seed - expected an integer below 2\*\*64, got"),
        ({"batch_size": "8"}, "batch_size - expected an integer >= 1, got '8'"),
        ({"share": 3}, r"share - expected \(i, n\) with 0 <= i < n <= 128, .*, got 3"),
        ({"share": (0.0, 1)}, r"share - expected \(i, n\)"),
        ({"share": (0, 1, 2)}, r"share - expected \(i, n\)"),
        ({"timeout": 0}, "timeout - expected a positive number of seconds, got 0"),
        ({"timeout": "60"}, "timeout - expected a positive number of seconds, got '60'"),
        ({"timeout": float("inf")}, "timeout - expected a positive number of seconds, got inf"),
        ({"timeout": float("nan")}, "timeout - expected a positive number of seconds, got nan"),
        ({"timeout": None}, "timeout - expected a positive number of seconds, got None"),
    ],
)
def test_settings_out_of_range(setting, message):
    with pytest.raises(ValueError, match=f"DataLoader: {message}"):
        data.DataLoader(make(), **setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"transforms": data.Flip()}, r"transforms - expected a sequence of callables, got Flip\(probability=0.5\)"),
        ({"transforms": [data.Flip(), "flip"]}, "transforms - expected a sequence of callables, got 'flip'"),
        ({"transforms": None}, "transforms - expected a sequence of callables, got None"),
        ({"shuffle": "no"}, "shuffle - expected True or False, got 'no'"),
        ({"drop_last": None}, "drop_last - expected True or False, got None"),
        (
            {"num_workers": 1, "transforms": [lambda images, draws: images]},
            "transforms - expected ones that can be pickled",
        ),
    ],
)
def test_settings_of_another_type(setting, message):
    with pytest.raises(TypeError, match=f"DataLoader: {message}"):
        data.DataLoader(make(), **setting)


@pytest.mark.parametrize("dataset", [{1, 2}, np.zeros((4, 2, 2, 3), np.uint8), None, "cifar10"])
def test_what_is_no_dataset(dataset):
    with pytest.raises(TypeError, match="DataLoader: dataset - expected an ArrayDataset, or an object with"):
        data.DataLoader(dataset)


@pytest.mark.parametrize("side", [40_000, 70_000])
@pytest.mark.parametrize("workers", [0, 1])
def test_images_of_more_rows_or_columns_than_sixteen_bits_count(side, workers):
    for shape in ((1, side, 1, 1), (1, 1, side, 1)):
        pixels = (np.arange(side) % 255 + 1).astype(np.uint8).reshape(shape)
        dataset = data.ArrayDataset(pixels, [0], ("a",), (0,), (1,))
        with data.DataLoader(dataset, 1, num_workers=workers) as loader:
            ((images, _),) = loader
        np.testing.assert_array_equal(np.rint(images.data.ravel() * 255), pixels.ravel())


@pytest.mark.parametrize("workers", [0, 1])
def test_grey_images_and_those_of_many_channels(workers):
    for channels in (1, 2, 4, 5):
        pixels = np.random.default_rng(channels).integers(0, 256, (5, 4, 6, channels)).astype(np.uint8)
        mean, std = np.linspace(0.1, 0.9, channels), np.linspace(0.2, 0.5, channels)
        dataset = data.ArrayDataset(pixels, np.zeros(5, int), ("a",), mean, std)
        with data.DataLoader(
            dataset, 2, num_workers=workers, transforms=[data.Resize((4, 6)), data.Flip(1.0)]
        ) as loader:
            got = np.concatenate([images.data for images, _ in loader])
        expected = ((pixels[:, :, ::-1] / 255 - mean) / std).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_shares_side_by_side_are_the_batches_of_one_loader(workers):
    options = {"shuffle": True, "drop_last": True, "transforms": AUGMENTATION, "seed": 4}
    whole = list(data.DataLoader(make(), 8, **options))
    parts = []
    for share in range(3):
        with data.DataLoader(make(), 8, num_workers=workers, share=(share, 3), **options) as loader:
            parts.append(list(loader))
    for (images, labels), *shares in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([share.data for share, _ in shares]), images.data)
        np.testing.assert_array_equal(np.concatenate([share for _, share in shares]), labels)
