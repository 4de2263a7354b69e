"""Datasets of your own: what counts as one, how it is read, and which mistakes are named with the index."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import Tensor, data, nn, train
from minitorch_cnn.data import mapped


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))


def pixels(seed=0, shape=(4, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pairs(count=6, shape=(4, 5, 3)):
    return [(pixels(i, shape), i % 3) for i in range(count)]


class Pictures:
    """A dataset as those of torchvision are: Pillow images, labels, names of the classes."""

    classes = ("cat", "dog")

    def __init__(self, mode="RGB", count=8):
        self.mode, self.count, self.asked = mode, count, []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        return Image.fromarray(pixels(index)).convert(self.mode), index % 2


# ---------------------------------------------------------------------------- what is a dataset


def test_a_list_of_arrays_and_labels():
    found = data.read_samples(pairs())
    np.testing.assert_array_equal(found.images, np.stack([pixels(i) for i in range(6)]))
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2] and found.classes == ("0", "1", "2")
    scaled = found.images / 255
    np.testing.assert_allclose(found.mean, scaled.mean((0, 1, 2)), atol=1e-12)
    np.testing.assert_allclose(found.std, scaled.std((0, 1, 2)), atol=1e-12)
    assert found.name == "list" and found.verified


def test_pillow_images_with_names_of_classes():
    dataset = Pictures()
    found = data.read_samples(dataset)
    np.testing.assert_array_equal(found.images, np.stack([pixels(i) for i in range(8)]))
    assert found.classes == ("cat", "dog") and found.name == "Pictures"
    assert dataset.asked == list(range(8))  # each once, in order


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_pillow_images_have_one_channel(mode):
    assert data.read_samples(Pictures(mode)).images.shape == (8, 4, 5, 1)


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "LAB"])
def test_other_pillow_images_are_in_colour(mode):
    assert data.read_samples(Pictures(mode)).images.shape == (8, 4, 5, 3)


def test_a_picture_of_sixteen_bits_is_scaled_as_read_picture_does(tmp_path):
    Image.fromarray(np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)).save(tmp_path / "deep.png")
    found = data.read_samples([(Image.open(tmp_path / "deep.png"), 0)])
    np.testing.assert_array_equal(found.images[0], data.read_picture(tmp_path / "deep.png", channels=1))


def test_grey_images_among_colours_get_three_equal_channels():
    grey = pixels(1, (4, 5))
    found = data.read_samples([(pixels(), 0), (grey, 1), (Image.fromarray(grey), 1)])
    for image in found.images[1:]:
        np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("label", [1, np.int64(1), np.uint8(1), np.array(1)])
def test_labels_may_be_integers_of_any_kind(label):
    assert data.read_samples([(pixels(), label)]).labels.tolist() == [1]


def test_an_array_dataset_is_a_dataset_and_stays_as_it_is():
    dataset = data.read_samples(pairs())
    assert isinstance(dataset, data.Dataset) and data.DataLoader(dataset).dataset is dataset
    image, label = dataset[4]
    np.testing.assert_array_equal(image, pixels(4))
    assert label == 1 and type(label) is int and len(list(dataset)) == 6
    assert data.read_samples(list(dataset)) == dataset
    with pytest.raises(TypeError, match=r"ArrayDataset: index - expected an integer, got slice.* select\(\) takes"):
        dataset[1:3]


def test_a_part_of_a_dataset_has_the_classes_of_the_whole():
    class Part(list):
        dataset = Pictures()

    assert data.read_samples(Part(pairs(2))).classes == ("cat", "dog")


def test_what_is_given_goes_before_what_is_found():
    seen = []
    found = data.read_samples(
        Pictures(), ["a", "b", "c"], (0.1,) * 3, (0.2,) * 3, "mine", lambda *counts: seen.append(counts)
    )
    assert (found.classes, found.mean, found.std) == (("a", "b", "c"), (0.1,) * 3, (0.2,) * 3)
    assert found.name == "mine" and seen == [(i, 8) for i in range(1, 9)]


def test_the_images_lie_in_a_file_that_workers_map():
    found = data.read_samples(pairs(8))
    path, _ = mapped.place(found.images)
    assert path.is_file()
    del found
    assert not path.exists()


def test_the_digest_tells_contents_apart():
    digests = {data.read_samples(samples).digest for samples in (pairs(), tuple(pairs()), pairs(5), pairs()[::-1])}
    assert len(digests) == 3


# ---------------------------------------------------------------------------- mistakes are named


class Short(list):
    def __len__(self):
        return 9


class Failing(Pictures):
    def __getitem__(self, index):
        if index == 3:
            raise OSError("no such picture: 3.png")
        return super().__getitem__(index)


FLOAT = np.zeros((3, 32, 32), np.float32)
MISTAKES = {
    "an exception": (Failing(), r"\[3\] - expected \(image, label\), got OSError\('no such picture: 3.png'\)"),
    "short": (Short(pairs()), r"\[6\] - expected .*, got IndexError\(.*\), although its length is 9"),
    "empty": ([], " - expected at least one item, got a list of length 0"),
    "no pair": ([pairs()[0], 7], r"\[1\] - expected \(image, label\), got 7$"),
    "three": ([(pixels(), 1, "name")], r"\[0\] - expected \(image, label\), got tuple"),
    "a dict": ([{"image": pixels(), "label": 1}], r"\[0\] - expected \(image, label\), got dict"),
    "two arrays": (
        (np.zeros((9, 4, 4, 3), np.uint8), np.arange(9)),
        r"\[0\] - expected \(image, label\), got ndarray uint8 \(9, 4, 4, 3\); arrays of all images .* an ArrayDataset",
    ),
    "floats": (
        [(FLOAT, 1)],
        r"\[0\]\[0\] - expected .* uint8 \(H, W, C\) .* got float32 \(3, 32, 32\): leave out what",
    ),
    "a Tensor": ([(Tensor(FLOAT), 1)], r"\[0\]\[0\] - expected .* got float32 \(3, 32, 32\)"),
    "channels first": (
        [(np.zeros((3, 32, 32), np.uint8), 1)],
        r".* got uint8 \(3, 32, 32\): its channels come first; image.transpose\(1, 2, 0\)",
    ),
    "no image": (
        [("cat.png", 1)],
        r"\[0\]\[0\] - expected a Pillow image or uint8 .* got 'cat.png'; data.read_picture",
    ),
    "a batch": ([(np.zeros((1, 4, 4, 3), np.uint8), 1)], r".* got uint8 \(1, 4, 4, 3\)"),
    "no pixels": ([(np.zeros((0, 4, 3), np.uint8), 1)], r".* got uint8 \(0, 4, 3\)"),
    "ragged rows": ([([[1, 2], [3]], 1)], r"\[0\]\[0\] - expected an image, got list"),
    "another size": (
        [*pairs(2), (pixels(0, (4, 6, 3)), 1)],
        r"\[2\] - expected uint8 \(4, 5, 3\) like the first, got \(4, 6, 3\): give all one size",
    ),
    "colours among grey": ([(pixels(0, (4, 5)), 1), pairs()[0]], r"\[1\] - expected uint8 \(4, 5, 1\) like the first"),
    "floats in a picture": ([(Image.new("F", (4, 4)), 1)], r"\[0\]\[0\] - expected 8 or 16 bits .* an image in memory"),
    "a name": ([(pixels(), "cat")], r"\[0\]\[1\] - expected an integer, the index of its class, got 'cat'"),
    "a float": ([(pixels(), 1.0)], r"\[0\]\[1\] - expected an integer, .* got 1.0"),
    "a bool": ([(pixels(), True)], r"\[0\]\[1\] - expected an integer, .* got True"),
    "one-hot": ([(pixels(), np.eye(3)[1])], r"\[0\]\[1\] - expected an integer, .* got ndarray float64 \(3,\)"),
    "negative": ([(pixels(), -1)], r"\[0\]\[1\] - expected a label from 0 to 999, got -1"),
    "too large": ([(pixels(), 10**9)], r"\[0\]\[1\] - expected a label from 0 to 999, got 1000000000"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_the_index(mistake):
    dataset, message = MISTAKES[mistake]
    for where, call in (("read_samples: dataset", data.read_samples), ("DataLoader: dataset", data.DataLoader)):
        with pytest.raises(data.DatasetError, match=f"^{where}{message}"):
            call(dataset)


def test_a_label_above_the_names_of_the_classes():
    with pytest.raises(data.DatasetError, match=r"dataset\[2\]\[1\] - expected a label from 0 to 1, got 2"):
        data.read_samples(pairs(), ["a", "b"])


@pytest.mark.parametrize("wrong", [None, 3, "cats", {0: 1}, iter([]), pixels(), Tensor(FLOAT), {1, 2}], ids=type)
def test_what_has_no_items_is_refused(wrong):
    expected = r"read_samples: dataset - expected an ArrayDataset, or an object with len\(\) and items \(image, label\)"
    with pytest.raises(TypeError, match=f"{expected}, got {type(wrong).__name__}"):
        data.read_samples(wrong)


# ------------------------------------------------------------------------------ where they are taken


def test_a_network_is_trained_continued_and_judged_by_them(tmp_path):
    class Colours(list):
        classes = ("dark", "light")

    samples = Colours((np.full((8, 8, 3), 60 + 130 * (i % 2) + i, np.uint8), i % 2) for i in range(24))
    recipe = train.recipe("mlp", epochs=2, batch_size=8, workers=0, crop_padding=0, flip=False)

    def model(num_classes, image_size):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))

    first = train.Trainer(recipe, samples, tmp_path / "run", model=model)
    first.save()
    trainer = train.Trainer.resume(tmp_path / "run", samples, model=model)
    assert trainer.fit()
    assert trainer.settings["dataset"] == "Colours" and trainer.settings["verified"]
    with pytest.raises(
        data.DatasetError, match=r"^final_eval: test_set\[0\]\[1\] - expected a label from 0 to 1, got 5"
    ):
        trainer.final_eval([(pixels(), 5)])  # a list alone has the classes of the training
    judged = trainer.classifier.evaluate(samples)
    assert judged.accuracy == trainer.classifier.evaluate(trainer.train_set).accuracy
    assert trainer.classifier.prepare(samples).mean == trainer.train_set.mean
    assert trainer.classifier.labels(samples).tolist() == [i % 2 for i in range(24)]
    with pytest.raises(data.DatasetError, match=r"evaluate: dataset\[0\]\[1\] - expected a label from 0 to 1, got 5"):
        trainer.classifier.evaluate([(pixels(0, (8, 8, 3)), 5)])
