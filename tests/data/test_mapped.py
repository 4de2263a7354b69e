"""Images in files: where they lie, parts of them, and what workers read."""

import gc

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import mapped, shared


@pytest.fixture
def in_file(tmp_path, monkeypatch):
    """Return images (50, 4, 4, 3) that lie in a file; no size is small."""
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mapped, "_SMALL", 0)
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8))
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def read(place, images):
    path, offset = place
    return np.frombuffer(path.read_bytes(), np.uint8, images.size, offset).reshape(images.shape)


@pytest.mark.parametrize("part", [slice(None), slice(7, 30), slice(49, 50)])
def test_the_place_of_a_part(in_file, part):
    for images in (in_file[part], in_file[2:][part], np.asarray(in_file)[part], np.asarray(in_file)[part].view()):
        if images.size:
            np.testing.assert_array_equal(read(mapped.place(images), images), images)


def test_what_lies_in_no_file_as_it_is(in_file):
    for images in (np.array(in_file), in_file[::2], in_file[:, :2], in_file[[1, 2]], in_file[:0], in_file[::-1]):
        assert mapped.place(images) is None


@pytest.mark.posix
def test_a_file_that_was_removed_while_it_is_mapped(in_file, tmp_path):
    (tmp_path / "images.npy").unlink()
    assert mapped.place(in_file) is None


@pytest.mark.parametrize(
    "indices", [[3, 1, 1], slice(5, 20), slice(0, 50, 2), np.arange(50) % 3 == 0, np.arange(9, 30), [-1, 0], []]
)
def test_taken_images_are_those_of_the_indices(in_file, indices):
    indices = np.array(indices, int) if isinstance(indices, list) else indices
    taken = mapped.take(in_file, indices)
    np.testing.assert_array_equal(taken, np.array(in_file)[indices])
    assert not len(taken) or mapped.place(taken) is not None
    with pytest.raises(IndexError):
        mapped.take(in_file, [50])


def test_a_temporary_file_goes_with_its_array(in_file):
    taken = mapped.take(in_file, [1, 3])
    path, _ = mapped.place(taken)
    view = np.asarray(taken)[:1]
    del taken
    gc.collect()
    assert path.is_file()
    del view
    gc.collect()
    assert not path.exists()


def test_without_a_folder_to_write_into_the_array_is_in_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "file"))
    array = mapped.empty((2, 3, 3, 1))
    assert array.shape == (2, 3, 3, 1) and mapped.place(array) is None


def test_on_a_full_disk_the_array_is_in_memory(in_file, tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mapped, "reserve", full)
    assert mapped.place(mapped.empty((2, 3, 3, 1))) is None
    gc.collect()
    assert not list((tmp_path / "home" / "pictures").glob(".*"))


def test_workers_read_the_file_and_give_the_same_batches(in_file, monkeypatch):
    """Also of a part of it, and of one that a hold-out leaves."""
    dataset = data.ArrayDataset(in_file, np.arange(50) % 2, ("a", "b"), (0.5,) * 3, (0.5,) * 3)
    kept, _ = data.hold_out(dataset, 10)
    copies = []
    monkeypatch.setattr(shared, "create_array", _noting(shared.create_array, copies))
    for images in (dataset, dataset.select(slice(3, 40)), kept):
        in_memory = data.ArrayDataset(np.array(images.images), images.labels, *_rest(images))
        expected = [x.data.tobytes() for x, _ in data.DataLoader(in_memory, 8, transforms=[data.PadCrop(1)])]
        with data.DataLoader(images, 8, transforms=[data.PadCrop(1)], num_workers=2) as loader:
            assert [x.data.tobytes() for x, _ in loader] == expected
    assert set(copies) == {(2, 8), (4, 8, 4, 4, 3)}  # progress and slots, and never the images


def _rest(dataset):
    return dataset.classes, dataset.mean, dataset.std


def _noting(function, shapes):
    def noted(memory, shape):
        shapes.append(shape)
        return function(memory, shape)

    return noted
