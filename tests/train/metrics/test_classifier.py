"""A classifier carries all that its use takes, and looks at any image file."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import nn, train, weights

FACTS = {
    "architecture": {"name": "cifar4", "num_classes": 2, "image_size": 8},
    "classes": ["red", "blue"],
    "mean": [0.4] * 3,
    "std": [0.3] * 3,
}


class Redness(nn.Module):
    """Logits: the mean of the red channel, and of the blue one."""

    def forward(self, x):
        return x[:, ::2].mean((2, 3))


@pytest.fixture
def classifier():
    return train.Classifier(Redness(), FACTS)


def test_files_of_many_kinds(classifier, tmp_path):
    images = {
        "red.png": Image.new("RGB", (8, 8), (200, 10, 10)),
        "large.jpg": Image.new("RGB", (300, 200), (10, 10, 200)),
        "tall.bmp": Image.new("RGB", (5, 90), (220, 20, 20)),
        "palette.gif": Image.new("RGB", (9, 9), (10, 10, 250)).quantize(4),
        "alpha.png": Image.new("RGBA", (16, 16), (250, 0, 0, 128)),
        "grey.png": Image.new("L", (16, 16), 77),
    }
    for name, image in images.items():
        image.save(tmp_path / name)
    answers = classifier.classify([tmp_path / name for name in images])
    assert [answer.label for answer in answers[:5]] == ["red", "blue", "red", "blue", "red"]
    assert answers[5].probability == pytest.approx(0.5)
    for answer, name in zip(answers, images, strict=True):
        assert answer.file == str(tmp_path / name)
        assert sum(answer.probabilities.values()) == pytest.approx(1.0)
        assert answer.probability == max(answer.probabilities.values()) == answer.probabilities[answer.label]


def test_an_image_is_turned_as_the_camera_was_held(classifier, tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    seen = []
    classifier.logits = lambda images: seen.append(images) or np.zeros((1, 2), np.float32)
    classifier.classify([tmp_path / "turned.png"])
    np.testing.assert_array_equal(seen[0][0], np.rot90(pixels, -1))


def test_a_file_of_the_right_size_is_not_changed(classifier, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    seen = []
    classifier.logits = lambda images: seen.append(images) or np.zeros((1, 2), np.float32)
    classifier.classify([tmp_path / "image.png"])
    np.testing.assert_array_equal(seen[0][0], pixels)


def test_no_files(classifier):
    assert classifier.classify([]) == []


def test_what_is_no_image(classifier, tmp_path):
    (tmp_path / "cat.png").write_bytes(b"no cat at all")
    with pytest.raises(train.ClassifierError, match=r"cat.png - expected .* Pillow can read, got another kind of file"):
        classifier.classify([tmp_path / "cat.png"])
    with pytest.raises(FileNotFoundError):
        classifier.classify([tmp_path / "dog.png"])
    broken = tmp_path / "broken.png"
    Image.new("RGB", (50, 50)).save(broken)
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises((train.ClassifierError, OSError)):
        classifier.classify([broken])


def test_normalisation_travels_with_the_model(tmp_path, make_model, test_set):
    classifier = train.Classifier(make_model(), FACTS)
    classifier.save(tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = train.Classifier.load(path, model=make_model(3))
        assert loaded.facts == FACTS and loaded.classes == ["red", "blue"]
        np.testing.assert_array_equal(loaded.logits(test_set.images), classifier.logits(test_set.images))


def test_a_run_that_is_not_finished_is_named(tmp_path):
    train.Checkpoints(tmp_path).save(3, {"model": {"weight": np.ones(2, np.float32)}})
    with pytest.raises(train.ClassifierError, match="expected a run that is finished, got one to be resumed first"):
        train.Classifier.load(tmp_path)


def test_logits_are_those_of_the_normalised_images(make_model, test_set):
    model = make_model()
    classifier = train.Classifier(model, FACTS)
    images = ((test_set.images / 255 - 0.4) / 0.3).astype(np.float32).transpose(0, 3, 1, 2)
    from minitorch_cnn import Tensor

    model.eval()
    expected = model(Tensor(images)).data
    model.train()
    np.testing.assert_allclose(classifier.logits(test_set.images), expected, rtol=1e-4, atol=1e-5)
    assert model.training


def test_every_module_gets_its_own_mode_back(make_model, test_set):
    model = make_model().train()
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    classifier = train.Classifier(model, FACTS)
    classifier.logits(test_set.images[:2])
    assert model.training and not frozen.training
    model.eval()
    frozen.train()
    classifier.logits(test_set.images[:2])
    assert not model.training and frozen.training


def test_a_file_of_bare_weights(tmp_path, make_model):
    weights.save(tmp_path / "bare", make_model().state_dict(), {"mean": 1})
    with pytest.raises(train.ClassifierError, match="expected a classifier, got weights without architecture, classes"):
        train.Classifier.load(tmp_path / "bare")


def test_evaluation(test_set):
    classifier = train.Classifier(Redness(), FACTS)
    judged = classifier.evaluate(test_set)
    assert judged.accuracy == 1.0
    np.testing.assert_array_equal(judged.predictions, test_set.labels)
    right = judged.probabilities[np.arange(20), test_set.labels]
    assert judged.loss == pytest.approx(-np.log(right).mean(), rel=1e-5)


def test_nan_is_no_answer(test_set, tmp_path):
    class Nothing(nn.Module):
        def forward(self, x):
            return x[:, :2].mean((2, 3)) * np.nan

    classifier = train.Classifier(Nothing(), FACTS)
    judged = classifier.evaluate(test_set, views=2)
    assert judged.accuracy == judged.plain_accuracy == 0 and np.isnan(judged.loss)
    np.testing.assert_array_equal(judged.predictions, np.full(len(test_set), -1))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(train.ClassifierError, match="expected finite outputs, got NaN or infinity for .*a.png"):
        classifier.classify([tmp_path / "a.png"])
