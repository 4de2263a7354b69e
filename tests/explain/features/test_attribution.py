"""Saliency, occlusion and Grad-CAM: by their formulas, and pointing at the one place that matters."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, nn, no_grad, ops
from minitorch_cnn.display import figures


class TwoRuns(nn.Module):
    """One activation used twice, as a residual network does."""

    def __init__(self, channels=3):
        self.conv1, self.conv2 = nn.Conv2d(channels, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.act, self.fc = nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(ops.global_avg_pool(self.act(self.conv2(self.act(self.conv1(x))))))


def images(count=2, channels=3):
    return np.random.default_rng(0).standard_normal((count, channels, 8, 8)).astype(np.float32)


def test_saliency_is_the_largest_gradient_of_a_pixel():
    model, x = TwoRuns().eval(), images()
    found = explain.saliency(model, x, [2, 0])
    pixels = Tensor(x, requires_grad=True)
    logits = model(pixels)
    (logits[0, 2] + logits[1, 0]).backward()
    np.testing.assert_allclose(found.heat, np.abs(pixels.grad).max(1), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.scores, [logits.data[0, 2], logits.data[1, 0]], rtol=1e-5)
    assert np.array_equal(explain.saliency(model, x).targets, logits.data.argmax(1))


def test_grad_cam_by_its_formula():
    model, x = TwoRuns().eval(), images()
    model.fc.weight.data[1] = [1, -1, 2, -2]  # some maps speak for the class, some against it
    found = explain.grad_cam(model, x, "conv2", 1)
    maps = ops.relu(model.conv2(ops.relu(model.conv1(Tensor(x))))).data
    weights = model.fc.weight.data[1] / 64  # before a mean, the gradient is the same everywhere
    heat = np.maximum(np.einsum("c,nchw->nhw", weights, maps), 0)
    np.testing.assert_allclose(found.heat, heat, rtol=1e-4, atol=1e-7)
    signed = explain.grad_cam(model, x, "conv2", 1, relu=False).heat
    np.testing.assert_allclose(np.maximum(signed, 0), found.heat, atol=1e-7)
    assert signed.min() < 0


class Spot(nn.Module):
    """The logit of class 1 is the brightness of pixels (2..3, 4..5); class 0 sees nothing."""

    def __init__(self):
        self.keep = nn.Identity()

    def forward(self, x):
        spot = ops.sum(self.keep(x * 1)[:, :, 2:4, 4:6], axis=(1, 2, 3)).reshape(len(x.data), 1)
        return ops.concat([spot * 0, spot], axis=1)


def test_occlusion_finds_the_spot():
    x = np.ones((1, 1, 8, 8), np.float32)
    found = explain.occlusion(Spot(), x, 1, size=2, stride=2)
    expected = np.zeros((8, 8))
    expected[2:4, 4:6] = 4
    np.testing.assert_allclose(found.heat[0], expected)
    assert "strongest 4 at row 2, column 4" in str(found)
    overlapping = explain.occlusion(Spot(), x, 1, size=4, stride=2).heat[0]
    assert overlapping[2:4, 4:6].min() == overlapping.max() and not overlapping[6:].any()
    darker = explain.occlusion(Spot(), x, 1, size=2, stride=2, value=3.0).heat[0]
    assert darker[2, 4] == -8


def test_saliency_finds_the_spot():
    heat = explain.saliency(Spot(), np.ones((1, 1, 8, 8), np.float32), 1).heat[0]
    assert heat[2:4, 4:6].min() == 1 and heat.sum() == 4


@pytest.mark.parametrize("channels", [1, 3])
def test_every_method_draws_grey_and_colour(channels):
    model, x = TwoRuns(channels), images(6, channels)
    for found in (
        explain.saliency(model, x, classes=("a", "b", "c")),
        explain.occlusion(model, x, 1, size=8, stride=8),
        explain.grad_cam(model, x, "conv1"),
    ):
        assert found.images.shape == (6, 8, 8, 3) and len(found.figure().axes) == 20
        assert str(found).count("\n") == 6 * 4 - 1
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert explain.saliency(model, x, 1, classes=("a", "b", "c")).label(0) == "b"


def test_bad_input():
    model, x = TwoRuns(), images()
    for target in (3, -1, 0.5, [0, 7]):
        with pytest.raises(ValueError, match="saliency: target - expected classes 0 to 2, got"):
            explain.saliency(model, x, target)
    with pytest.raises(ValueError, match=r"occlusion: model - expected one that gives \(N, classes\), got shape"):
        explain.occlusion(nn.Sequential(nn.Conv2d(3, 2, 3)), x)
    for name in ("size", "stride"):
        with pytest.raises(ValueError, match=f"occlusion: {name} - expected at least 1, got 0"):
            explain.occlusion(model, x, **{name: 0})
    with pytest.raises(ValueError, match="grad_cam: layer - expected one that gives maps"):
        explain.grad_cam(model, x, "fc")
    with pytest.raises(ValueError, match="layer - expected a module's path, got 'conv3'; did you mean 'conv"):
        explain.grad_cam(model, x, "conv3")


def test_classes_by_name_and_inside_no_grad():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool(), nn.Linear(2, 3))
    x, classes = np.random.default_rng(0).standard_normal((2, 1, 5, 5)), ("disk", "ring", "star")
    with no_grad():
        named = explain.saliency(model, x, ["star", "disk"], classes=classes)
        assert np.array_equal(named.heat, explain.saliency(model, x, [2, 0]).heat)
        assert explain.grad_cam(model, x, "0", "ring", classes=classes).targets.tolist() == [1, 1]
    with pytest.raises(ValueError, match="saliency: target - expected one of disk, ring, star, got 'moon'"):
        explain.saliency(model, x, "moon", classes=classes)
    with pytest.raises(ValueError, match="occlusion: target - expected a number, since no classes are named, got"):
        explain.occlusion(model, x, "disk")


def test_wrong_predictions_are_marked_red():
    model, x, classes = Spot(), np.ones((3, 1, 8, 8), np.float32), ("nothing", "spot")
    x[1] = -1  # predicted "nothing"
    found = explain.saliency(model, x, labels=[1, 1, 0], classes=classes)
    assert [found.wrong(number) for number in range(3)] == [False, True, True]
    assert found.title(0) == "spot / spot, 98%" and found.title(1) == "spot / nothing, 98%"
    titles = [axes.title for axes in found.figure().axes if axes.get_title()]
    assert [title.get_color() == figures.INK for title in titles] == [True, False, False]
    assert str(found).count("predicted") == 2 and "predicted spot, truly nothing" in str(found)
    other = explain.occlusion(model, x, "spot", classes=classes)
    assert not other.wrong(1) and other.title(1) == "nothing, 98%\nheat for spot"


@pytest.mark.parametrize("labels", [[0], [0, 3], [-1, 0], [0.5, 1], [[0, 1]]])
def test_labels_that_do_not_fit_are_refused(labels):
    for function, layer in ((explain.saliency, ()), (explain.occlusion, ()), (explain.grad_cam, ("conv2",))):
        with pytest.raises(ValueError, match=f"{function.__name__}: labels - expected a class of 0 to 2 for each of 2"):
            function(TwoRuns(), images(), *layer, labels=labels)


def test_grad_cam_says_when_its_maps_are_coarse():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GlobalAvgPool(), nn.Linear(2, 3))
    assert "only 3 x 3 pixels" in explain.grad_cam(model, np.ones((1, 1, 5, 5)), "0").method
    assert explain.grad_cam(model, np.ones((1, 1, 6, 6)), "0").method == "Grad-CAM at layer 0"


@pytest.mark.parametrize("method", [explain.saliency, explain.occlusion])
def test_images_and_classes_that_are_no_table_are_refused_by_name(method):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, 3))
    name = method.__name__
    with pytest.raises(ValueError, match=f"{name}: target - expected one class, or one for each of 2 images, got"):
        method(net, np.ones((2, 3, 8, 8), np.float32), [0, 1, 2])
    with pytest.raises(ValueError, match=f"{name}: x - expected numbers in rows of one length, got list"):
        method(net, [[1.0, 2.0], [3.0]])
