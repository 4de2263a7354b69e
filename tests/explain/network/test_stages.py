"""Patterns: the stages that the papers' tables list."""

import pytest

from minitorch_cnn import explain, models

pytestmark = pytest.mark.usefixtures("undrawn_weights")  # only shapes are looked at


def of(name):
    channels, side = models.native_input(name)
    return explain.pattern(explain.topology(models.create(name), (1, channels, side, side)))


def test_the_table_of_the_vgg_paper():
    found = of("vgg_d")
    assert [stage.convolutions for stage in found.stages] == [2, 2, 3, 3, 3]
    assert [stage.side for stage in found.stages] == [224, 112, 56, 28, 14]
    assert [stage.channels for stage in found.stages] == [64, 128, 256, 512, 512]
    assert [stage.halved_by for stage in found.stages] == ["", *["pooling"] * 4]
    assert str(found) == "5 stages of 2 to 3 convolutions, halved by pooling; then 3 fully connected layers"


@pytest.mark.parametrize(
    "name, depth",
    [
        ("lenet5", 5),
        ("alexnet_2012", 8),
        ("vgg_a", 11),
        ("vgg_e", 19),
        ("resnet18", 18),
        ("resnet34", 34),
        ("resnet50", 50),
        ("resnet20", 20),
        ("densenet121", 121),
        ("densenet40_k12", 40),
        ("allcnn_imagenet", 12),
    ],
)
def test_the_number_in_the_name_is_the_depth_of_the_longest_way(name, depth):
    assert of(name).depth == depth


def test_shortcuts_and_the_end():
    resnet, densenet, allcnn = of("resnet18"), of("densenet121"), of("allcnn_c")
    assert [stage.joined_by for stage in resnet.stages] == ["", *["sum"] * 4]
    assert resnet.mean and resnet.full == 1
    assert densenet.stages[2].joined_by == "concatenation"
    assert str(allcnn) == "3 stages of 2 to 4 convolutions, halved by stride; then global average pooling"


def test_what_networks_share_is_counted():
    widening = explain.Pattern([explain.Stage(1, 8, 4, "", ""), explain.Stage(1, 16, 2, "", "")], False, 0, 2)
    for networks in ([of("lenet5"), widening], iter([of("lenet5"), widening])):  # a generator is read once
        assert [count for _, count in explain.shared(networks)] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("stage", "mean", "full", "text"),
    [
        ((0, 0, 0, "", ""), False, 3, "no convolutions; then 3 fully connected layers"),
        ((1, 8, 4, "", ""), False, 0, "1 stage of 1 convolution"),
        ((2, 8, 4, "", "sum"), True, 0, "1 stage of 2 convolutions with sum; then global average pooling"),
    ],
)
def test_what_a_network_lacks_is_left_out(stage, mean, full, text):
    found = explain.Pattern([explain.Stage(*stage)], mean, full, 1)
    assert str(found) == text
    assert dict(explain.shared([found]))["the maps get smaller from stage to stage"] == 0
    assert dict(explain.shared([found]))["pooling or a stride halves the maps"] == 0
