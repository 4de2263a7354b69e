"""Attributions: names of classes that fit the logits, and arguments of other kinds."""

import numpy as np
import pytest

from minitorch_cnn import explain, nn

IMAGES = np.ones((2, 1, 4, 4), np.float32)
WAYS = {
    "saliency": lambda model, **options: explain.saliency(model, IMAGES, **options),
    "grad_cam": lambda model, **options: explain.grad_cam(model, IMAGES, "0", **options),
    "occlusion": lambda model, **options: explain.occlusion(model, IMAGES, **options),
}


def model():
    return nn.Sequential(nn.Conv2d(1, 3, 1), nn.GlobalAvgPool())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (("a", "b"), ValueError, "expected 3 different names, one for each logit, got a, b"),
        (("a", "b", "c", "d"), ValueError, "expected 3 different names"),
        (("a", "a", "b"), ValueError, "expected 3 different names"),
        ("abc", TypeError, "expected a sequence of strings, got 'abc'"),
        ((0, 1, 2), TypeError, "expected a sequence of strings"),
        (5, TypeError, "expected a sequence of strings, got 5"),
    ],
)
def test_names_that_do_not_fit_the_logits_are_refused(way, classes, error, message):
    with pytest.raises(error, match=f"{way}: classes - {message}"):
        WAYS[way](model(), classes=classes)


@pytest.mark.parametrize("way", WAYS)
def test_names_of_any_sequence_are_taken(way):
    got = WAYS[way](model(), target="c", classes=["a", "b", "c"])
    assert got.targets.tolist() == [2, 2] and got.label(0) == "c"


@pytest.mark.parametrize(
    ("option", "value", "error"), [("size", 1.5, TypeError), ("stride", 0, ValueError), ("value", np.nan, ValueError)]
)
def test_squares_of_another_kind_are_refused(option, value, error):
    with pytest.raises(error, match=f"occlusion: {option} - expected"):
        WAYS["occlusion"](model(), **{option: value})


@pytest.mark.parametrize("wrong", [None, "cifar4", nn.ReLU])
def test_what_is_not_a_module_is_refused_by_name(wrong):
    calls = (
        lambda: explain.summary(wrong, (1, 1, 4, 4)),
        lambda: explain.topology(wrong, (1, 1, 4, 4)),
        lambda: explain.feature_maps(wrong, IMAGES, "0"),
        *(lambda way=way: way(wrong) for way in WAYS.values()),
    )
    for call in calls:
        with pytest.raises(TypeError, match="model - expected an object of Module, got"):
            call()
