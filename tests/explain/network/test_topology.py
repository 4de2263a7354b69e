"""Topologies: nodes and connections of small networks by hand, and of every network by what must hold."""

import io

import pytest
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from minitorch_cnn import explain, models, nn, ops
from minitorch_cnn.display import figures
from minitorch_cnn.shapes import ShapeError

pytestmark = pytest.mark.usefixtures("undrawn_weights")  # only shapes are looked at


def of(name, **options):
    channels, side = models.native_input(name)
    return explain.topology(models.create(name, **options), (1, channels, side, side), name)


def test_a_chain():
    found = of("lenet5")
    assert [(node.kind, node.text) for node in found.nodes] == [
        ("input", ""),
        ("conv", "5x5"),
        ("pool", "mean 2x2 /2"),
        ("conv", "5x5"),
        ("pool", "mean 2x2 /2"),
        ("full", ""),
        ("full", ""),
        ("full", ""),
    ]
    assert [node.inputs for node in found.nodes] == [[], *([i] for i in range(7))]
    assert [node.notes for node in found.nodes][1::2] == [["tanh"], ["tanh"], ["tanh"], []]
    assert found.nodes[1].shape == (6, 28, 28) and found.nodes[-1].shape == (10,)
    assert found.columns == list(range(8))


class Block(nn.Module):
    """A sum of two ways, and a concatenation with the input."""

    def __init__(self):
        self.long, self.last, self.short = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x):
        return ops.concat([ops.relu(self.last(self.long(x)) + self.short(x)), x], axis=1)


def test_a_sum_and_a_concatenation():
    found = explain.topology(Block(), (1, 2, 8, 8))
    assert found.name == "Block"
    kinds = [node.kind for node in found.nodes]
    assert kinds == ["input", "conv", "conv", "conv", "add", "concat"]
    assert [node.inputs for node in found.nodes] == [[], [0], [1], [0], [2, 3], [4, 0]]
    assert found.columns == [0, 1, 2, 1, 3, 4]
    assert found.nodes[4].notes == ["ReLU"] and found.nodes[5].shape == (5, 8, 8)


@pytest.mark.parametrize(
    ("layer", "kind", "text"),
    [
        (nn.Conv2d(4, 4, 3, dilation=2), "conv", "3x3, dilation 2"),
        (nn.Conv2d(4, 8, (3, 1), stride=(2, 1), dilation=(2, 3)), "conv", "3x1 /2x1, dilation 2x3"),
        (nn.Conv2d(4, 4, 5, stride=2, groups=4), "conv", "5x5 /2, 4 groups"),
        (nn.ConvTranspose2d(4, 2, 4, stride=2), "conv", "transposed 4x4 /2"),
        (nn.ConvTranspose2d(4, 4, 3, groups=2, dilation=2), "conv", "transposed 3x3, 2 groups, dilation 2"),
        (nn.MaxPool2d(3, 2, dilation=2), "pool", "max 3x3 /2, dilation 2"),
        (nn.AvgPool2d((1, 4)), "pool", "mean 1x4 /1x4"),
    ],
)
def test_the_text_of_a_window_has_all_of_its_settings(layer, kind, text):
    node = explain.topology(nn.Sequential(layer), (1, 4, 16, 16)).nodes[1]
    assert (node.kind, node.text) == (kind, text)


def test_a_bias_and_a_scale_are_no_layers():
    found = of("resnet9")
    assert [node.kind for node in found.nodes].count("add") == 2
    assert found.nodes[-1].kind == "full"


def test_text():
    lines = str(of("resnet20")).splitlines()
    assert lines[0] == "resnet20"
    assert lines[5].split() == ["4", "add", "ReLU", "16", "x", "32", "x", "32", "reads", "3,", "1"]


@pytest.mark.parametrize("name", [name for name in models.list() if name != "mlp"])
def test_every_network(name):
    model = models.create(name, num_classes=10)
    channels, side = models.native_input(name)
    found = explain.topology(model, (1, channels, side, side))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    kinds = [node.kind for node in found.nodes]
    assert (kinds.count("conv"), kinds.count("full")) == (len(convolutions), len(linear))
    assert all(i < number for number, node in enumerate(found.nodes) for i in node.inputs)
    read = {i for node in found.nodes for i in node.inputs}
    assert read == set(range(len(found.nodes) - 1))  # all but the last one
    assert found.nodes[-1].shape == (10,)


def test_nothing_changes():
    model = models.create("cifar4")
    before = model.state_dict()
    explain.topology(model, (1, 3, 32, 32))
    after = model.state_dict()
    assert all(before[key].tobytes() == after[key].tobytes() for key in before)


def test_an_input_that_does_not_fit():
    with pytest.raises(ShapeError, match="conv2d: x - expected 3 channels"):
        explain.topology(models.create("cifar4"), (1, 1, 32, 32))


# ----------------------------------------------------------------------------------- drawings


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "resnet56", "densenet40_k12"])
def test_drawings(name):
    found = of(name)
    figure = found.figure()
    bars = sum(len(axes.patches) for axes in figure.axes)
    assert bars >= min(len(found.nodes) - 1, 20)  # a bar or an arrow for every node
    image = Image.open(io.BytesIO(figures.encoded(figure, "png")))
    assert image.width == 1280 and len(image.convert("RGB").getcolors(1 << 24)) > 3


def test_blocks_that_repeat_are_drawn_once_with_their_count():
    counts = {"resnet56": [9, 8, 8], "densenet121": [6, 12, 24, 16], "resnet152": [2, 7, 35, 2]}
    for name, expected in counts.items():
        (axes,) = of(name).figure().axes
        texts = [text.get_text() for text in axes.texts]
        assert [int(text[2:]) for text in texts if text.startswith("\N{MULTIPLICATION SIGN} ")] == expected


def test_long_networks_are_cut_into_rows_that_all_layers_are_in():
    assert len(of("lenet5").figure().axes) == 1
    channels = range(3, 63)  # no two convolutions are alike
    model = nn.Sequential(*(nn.Conv2d(c, c + 1, 1) for c in channels))
    figure = explain.topology(model, (1, 3, 4, 4)).figure()
    bars = [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(figure.axes) == 2 and len(bars) == 61


def test_in_a_notebook():
    assert "<svg" in of("lenet5")._repr_svg_()
