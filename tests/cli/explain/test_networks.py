"""`mcnn explain matrix`, `field`, `growth`, `filters`, `maps`, `patches`, `saliency`, `occlusion`, `gradcam`."""

import re

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import data, models, train, weights


@pytest.fixture
def network():
    """Save a small classifier with random weights, and an image, and return the classifier."""
    facts = {"architecture": {"name": "cifar4", "num_classes": 10, "image_size": 32}}
    shapes = data.Shapes10(train=False)
    facts |= {"classes": list(shapes.classes), "mean": list(shapes.mean), "std": list(shapes.std)}
    classifier = train.Classifier(models.create(**facts["architecture"]), facts)
    classifier.save("model.safetensors")
    weights.save_pth("weights.pth", classifier.model.state_dict())
    Image.fromarray(shapes.images[0]).save("image.png")
    return classifier


def test_the_counts_of_a_matrix(mcnn):
    words = ("matrix", "--input", 32, "--channels", 3, "--filters", 96, "--kernel", 5, "--pad", 2)
    code, out, err = mcnn("explain", *words)
    assert code == 0 and not err
    assert "301,989,888" in out and "7,372,800" in out and " 7,200 weights" in out


def test_what_a_unit_sees(mcnn):
    code, out, _ = mcnn("explain", "field", "resnet20", "layer2.1", 7, 2, "--images", 0)
    assert code == 0 and "sees rows 0 to 28, columns 0 to 18: 29 x 19" in out
    code, out, _ = mcnn("explain", "growth", "lenet5", "vgg_a_cifar")
    assert code == 0 and "vgg_a_cifar" in out and re.search(r"pool +2 +16 +2", out)


COMMANDS = [
    ("matrix", "--one-d", "--kernel", 2),
    ("field", "lenet5", "conv2", 1, 1),
    ("growth", "lenet5"),
    ("filters", "--model", "model.safetensors"),
    ("maps", "image.png", "--model", "model.safetensors", "--layer", "conv1", "--layer", "conv4"),
    ("patches", "conv2", "--model", "model.safetensors", "--data", "shapes10", "--count", 20, "--top", 2, "--unit", 3),
    ("patches", "--model", "model.safetensors", "--data", "shapes10", "--count", 20, "--top", 2),
    ("filters", "model.safetensors"),
    ("saliency", "--model", "model.safetensors", "--data", "shapes10", "--count", 2),
    ("occlusion", "image.png", "--model", "model.safetensors", "--target", 3),
    ("gradcam", "image.png", "--model", "model.safetensors"),
    ("maps", "image.png", "--network", "cifar4", "--model", "weights.pth"),
    ("patches", "conv2", "--network", "cifar4", "--model", "weights.pth", "--data", "shapes10", "--count", 5),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_the_code_that_does_the_same_runs(mcnn, network, capsys, own_folder, words):
    code, out, err = mcnn("explain", *words)
    assert code == 0 and not err and out
    _, shown, _ = mcnn("explain", *words, "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    again = capsys.readouterr().out
    number = re.compile(r"-?\d+\.\d+(?:e-\d+)?%?")  # of random weights where the command makes its own network
    assert number.sub("#", again) == number.sub("#", out)
    if words[0] not in ("matrix", "field", "growth"):
        assert again == out
    code, out, err = mcnn("explain", *words, "-o", "picture.png")
    assert (code, out, err) == (0, "", "wrote picture.png\n")
    with Image.open("picture.png") as picture:
        assert min(picture.size) > 200


def test_weights_alone(mcnn, network):
    alone = mcnn("explain", "filters", "--network", "cifar4", "--model", "weights.pth")
    assert alone == mcnn("explain", "filters", "--model", "model.safetensors")
    classifier = train.Classifier.pretrained("cifar4", "weights.pth")
    assert classifier.classes == [f"class {i}" for i in range(10)] and classifier.image_size == 32
    for path, array in network.model.state_dict().items():
        np.testing.assert_array_equal(classifier.model.state_dict()[path], array)


def test_a_film(mcnn, network, own_folder):
    assert mcnn("explain", "filters", "--model", ".", "-o", "film.gif")[0] == 0
    assert (own_folder / "film.gif").read_bytes().startswith(b"GIF8")
    _, shown, _ = mcnn("explain", "filters", "--model", ".", "-o", "film.gif", "--show-code")
    assert "explain.filter_film(made.layer, folder='.')" in shown and "made.save('film.gif')" in shown


def test_images_as_the_model_takes_them(network):
    read = network.read(["image.png"])
    shapes = data.Shapes10(train=False)
    np.testing.assert_array_equal(read[0], shapes.images[0])
    expected = ((read / 255 - shapes.mean) / shapes.std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(network.normalised(read), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "words, message",
    [
        (("field", "resnet19", "conv1", 0, 0), "mcnn explain field: no network is called 'resnet19'; did you mean"),
        (
            ("field", "lenet5", "conv9", 0, 0),
            "mcnn explain field: explain: layer - expected a module's path, got 'conv9'",
        ),
        (("growth", "lenet"), "no network is called 'lenet'; did you mean 'lenet5'?"),
        (("matrix", "--groups", 2), "mcnn explain matrix: Conv2d: in_channels - expected a multiple of groups 2"),
        (
            ("filters", "--model", "model.safetensors", "-o", "a.jpg"),
            "ends in .png or .svg or .pdf or .gif, got 'a.jpg'",
        ),
        (("maps", "none.png", "--model", "model.safetensors"), "none.png"),
        (("saliency", "image.png", "--model", "model.safetensors", "--target", 10), "target - expected"),
        (("patches", "conv9", "--model", "model.safetensors"), "layer - expected a module's path, got 'conv9'"),
        (("filters", "--network", "cifar4", "--model", "image.png"), "image.png: expected"),
        (("filters", "--network", "cifar5", "--model", "weights.pth"), "name - expected one of"),
        (("filters",), "mcnn explain filters: --model - expected a run's folder or model file, got none"),
    ],
)
def test_bad_input(mcnn, network, words, message):
    code, out, err = mcnn("explain", *words)
    assert code == 2 and not out
    assert message in err


def test_a_network_without_convolutions(mcnn, trained, network):
    code, _, err = mcnn("explain", "gradcam", "image.png", "--model", trained)
    assert code == 2 and "--model - expected one with a convolution, got MLP" in err
