"""Every figure of `explain` fills a slide, can be read from the back of a hall, and is saved in three forms."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import Tensor, data, explain, models, nn, ops
from minitorch_cnn.display import figures
from minitorch_cnn.explain.arithmetic.render import pdf
from minitorch_cnn.explain.arithmetic.render.layout import scene
from tests.explain import look

X = np.arange(36).reshape(6, 6) % 7
EDGE = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


def _images(count=5):
    shapes = data.Shapes10(train=False, size=count)
    return explain.normalised(shapes.images, shapes).astype(np.float32), shapes


def _attribution(method, *layer, count=5):
    x, shapes = _images(count)
    model = models.create("cifar4")
    return getattr(explain, method)(model, x, *layer, labels=shapes.labels, classes=shapes.classes).figure()


def _maps(count):
    return explain.feature_maps(models.create("cifar4"), _images(count)[0]).figure()


def _graph(name):
    model, (channels, side) = models.create(name), models.native_input(name)
    loss = ops.cross_entropy(model(Tensor(np.ones((2, channels, side, side), np.float32))), np.array([0, 1]))
    return explain.graph(loss, model).figure()


def _topology(name):
    channels, side = models.native_input(name)
    return explain.topology(models.create(name, drawn=False), (1, channels, side, side), name).figure()


def _example(made, step=None):
    return pdf.figure(scene(made, step))


FIGURES = {
    "matrix": lambda: explain.as_matrix(nn.Conv2d(1, 1, 3), (1, 1, 6, 6)).figure(),
    "matrix of a signal": lambda: explain.as_matrix(nn.Conv1d(1, 1, 3, padding=1), (1, 1, 8)).T.figure(),
    "flip": lambda: explain.side_by_side(np.arange(1, 10).reshape(3, 3)).figure(),
    "a large flip": lambda: explain.side_by_side(np.arange(49).reshape(7, 7)).figure(),
    "learned flip": lambda: explain.learn_flip(np.arange(1, 10).reshape(3, 3) / 5).figure(),
    "convolution": lambda: _example(explain.conv(X, EDGE, stride=2, padding=(1, 0, 0, 1)), 2),
    "own numbers": lambda: _example(explain.conv(np.sin(X * 3.7), np.cos(np.array(EDGE) * 2.3)), 4),
    "channels": lambda: _example(explain.conv(np.ones((3, 5, 5)), np.ones((2, 3, 3, 3))), 5),
    "signal": lambda: _example(explain.conv([0, 0, 1, 4, 4, 4, 1, 0], [1, -1]), 2),
    "gradient of a convolution": lambda: _example(explain.conv_gradient(X, EDGE, stride=2), 12),
    "pooling": lambda: _example(explain.pool(X, 3, stride=2, padding=1), 1),
    "gradient of a pooling": lambda: _example(explain.pool_gradient(X, 2)),
    "lenet5": lambda: _topology("lenet5"),
    "resnet20": lambda: _topology("resnet20"),
    "graph of lenet5": lambda: _graph("lenet5"),
    "graph of resnet20": lambda: _graph("resnet20"),
    "graph of densenet121": lambda: _graph("densenet121"),
    "shift": lambda: explain.shift_sensitivity().figure(),
    "field": lambda: explain.receptive_field(
        models.create("resnet20"), "layer2.1", 7, 2, input_shape=(1, 3, 32, 32)
    ).figure(),
    "growth": lambda: explain.field_growth(
        {name: (models.create(name, drawn=False), (1, 3, 224, 224)) for name in ("vgg_a", "vgg_d", "resnet18")}
    ).figure(),
    "poster": explain.poster,
    "efficiency": explain.efficiency,
    "vgg_d": lambda: _topology("vgg_d"),
    "resnet18": lambda: _topology("resnet18"),
    "shortcuts": lambda: explain.gradient_norms((8, 14)).figure(),
    "filters": lambda: explain.filters(models.create("cifar4")).figure(),
    "filters of many channels": lambda: explain.filters(models.create("cifar4"), "conv2").figure(),
    "maps": lambda: _maps(1),
    "maps of images": lambda: _maps(5),
    "saliency": lambda: _attribution("saliency"),
    "occlusion": lambda: _attribution("occlusion"),
    "grad_cam": lambda: _attribution("grad_cam", "conv4", count=12),
    "patches": lambda: explain.patches(models.create("cifar4"), "conv4", data.Shapes10(train=False, size=20)).figure(),
    "dataset": lambda: explain.dataset(data.Shapes10(train=True, size=100)).figure(),
}
QUICK = "matrix of a signal", "convolution", "lenet5"


@pytest.mark.parametrize(
    "draw",
    [pytest.param(draw, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, draw in FIGURES.items()],
)
def test_a_figure_can_be_read_and_is_saved_in_three_forms(draw, tmp_path):
    figure = draw()
    assert tuple(figure.get_size_inches()) == figures.SLIDE
    assert not look.faults(figure)
    for kind in figures.KINDS:
        figures.save(figure, tmp_path / f"a{kind}")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1280, 720)
    assert b"</text>" in (tmp_path / "a.svg").read_bytes()
    assert b"/FontFile2" in (tmp_path / "a.pdf").read_bytes()


def test_faults_of_a_figure_are_found():
    figure = figures.blank("a title")
    figure.text(0.5, 0.5, "one", fontsize=14)
    figure.text(0.5, 0.5, "two", fontsize=14, rotation=45)
    figure.text(0.1, 0.1, "small", fontsize=10)
    figure.text(0.98, 0.3, "beyond the edge", fontsize=20)
    assert look.faults(figure) == [
        "'small' has 13.3 pixels",
        "'beyond the edge' leaves the figure",
        "'one' and 'two' overlap",
    ]
