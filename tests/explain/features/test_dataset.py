"""A dataset at a glance: counts, images that are there twice, and drawings that show what they should."""

import numpy as np
import pytest

from minitorch_cnn import data, explain


def make(count=12, classes=3, side=4, channels=3, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    names = [f"class {k}" for k in range(classes)]
    return data.ArrayDataset(images, np.arange(count) % classes, names, (0.5,) * channels, (0.2,) * channels, "mine")


def shown(view):
    """Return the pixels of the sheet of images, and the labels of its rows and columns."""
    (axes,) = view.figure().axes
    texts = [[label.get_text() for label in labels()] for labels in (axes.get_yticklabels, axes.get_xticklabels)]
    return axes.images[0].get_array(), *texts, [text.get_text() for text in axes.texts]


def test_the_counts_of_each_class():
    text = str(explain.dataset(make(13), make(5, seed=1)))
    assert text.splitlines()[0] == "mine: 13 training and 5 test images of 3 classes, 4 x 4 pixels in colour"
    assert [line.split() for line in text.splitlines()[1:5]] == [
        ["class", "train", "test"],
        ["class", "0", "5", "2"],
        ["class", "1", "4", "2"],
        ["class", "2", "4", "1"],
    ]
    assert "in test and training: 0" in text and "the same image in two classes: 0" in text


def test_without_a_test_set_nothing_is_said_of_one():
    text = str(explain.dataset(make(channels=1)))
    assert "mine: 12 training images of 3 classes, 4 x 4 pixels in grey" in text and "test" not in text


def test_images_that_are_there_twice_are_named():
    train, test = make(), make(4, seed=1)
    images, tests = train.images.copy(), test.images.copy()
    images[5], images[9] = images[3], images[0]  # of another class, and of the same one
    tests[2] = images[7]
    test_set = data.ArrayDataset(tests, test.labels, test.classes, test.mean, test.std)
    train_set = data.ArrayDataset(images, train.labels, train.classes, train.mean, train.std)
    view = explain.dataset(train_set, test_set)
    assert view.leaked == [(2, 7)] and view.contradictions == [(3, 5)]
    assert "in test and training: 1 (test[2] = train[7])" in str(view)
    assert "the same image in two classes: 1 (train[3] = train[5])" in str(view)
    named = explain.dataset(
        train_set, test_set, files=([f"{i}.png" for i in range(12)], [f"t{i}.png" for i in range(4)])
    )
    assert "1 (t2.png = 7.png)" in str(named) and "1 (3.png = 5.png)" in str(named)


def test_many_duplicates_are_counted():
    view = explain.dataset(make(), make())
    assert len(view.leaked) == 12 and "train[4], and 7 more)" in str(view)


def test_each_row_shows_training_images_of_its_class():
    train = make(30, classes=9)
    sheet, rows, _, _ = shown(explain.dataset(train))
    assert rows == list(train.classes)
    pitch = 5  # 4 pixels and a gap of one
    assert sheet.shape == (9 * pitch, 4 * pitch, 3)
    for label in range(9):
        first = sheet[label * pitch : label * pitch + 4, :4]
        (index,) = (i for i, image in enumerate(train.images) if np.array_equal(image, first))
        assert train.labels[index] == label


def test_of_many_classes_one_image_each_is_shown_with_its_name():
    _, _, _, names = shown(explain.dataset(make(40, classes=20)))
    assert names == [f"class {k}" for k in range(20)]
    names = [name.replace("class", "a long name of a class") for name in names]
    train = make(40, classes=20)
    long = data.ArrayDataset(train.images, train.labels, names, train.mean, train.std)
    assert shown(explain.dataset(long))[3][0] == "a long na…"
    assert "(the first 120 of 130)" in explain.dataset(make(130, classes=130)).figure().get_suptitle()


def test_transforms_are_shown_epoch_by_epoch():
    train = make(side=16, channels=1)
    flip = data.AlternatingFlip()
    sheet, rows, columns, _ = shown(explain.dataset(train, transforms=[flip], seed=3))
    assert rows == list(train.classes) and columns == ["as it is", *(f"epoch {i}" for i in range(1, 9))]
    plain, first, second = (sheet[:16, 17 * k : 17 * k + 16] for k in range(3))
    assert any(np.array_equal(plain[..., :1], image) for image in train.images)
    assert {np.array_equal(first, plain), np.array_equal(second, plain)} == {True, False}
    np.testing.assert_array_equal(first, second[:, ::-1])


def test_transforms_may_change_the_size():
    sheet, *_ = shown(explain.dataset(make(side=8), transforms=[data.Resize(16)]))
    assert sheet.shape == (3 * 17, 9 * 17, 3)


def test_a_list_of_samples_is_shown_too(tmp_path):
    view = explain.dataset([(image, label) for image, label in make()])
    view.save(tmp_path / "view.png")
    assert (tmp_path / "view.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_refused():
    empty = make().select(slice(0))
    for call, error, message in [
        (lambda: explain.dataset(empty), ValueError, "dataset: train_set - expected at least one image, got none"),
        (lambda: explain.dataset(3), TypeError, "dataset: train_set - expected an ArrayDataset"),
        (lambda: explain.dataset(make(), 3), TypeError, "dataset: test_set - expected an ArrayDataset"),
        (lambda: explain.dataset(make(), seed=-1), ValueError, "dataset: seed - expected at least 0"),
    ]:
        with pytest.raises(error, match=message):
            call()
