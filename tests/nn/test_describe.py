"""The text of modules."""

from minitorch_cnn import models, nn


def test_a_layer_prints_the_arguments_that_it_was_given():
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.MaxPool2d(3, stride=2)) == "MaxPool2d(3, stride=2)"
    assert repr(nn.Dropout()) == "Dropout()"


def test_a_norm_prints_what_it_does_not_learn_as_it_was_typed():
    assert repr(nn.BatchNorm2d(3, bias=False)) == "BatchNorm2d(3, bias=False)  3 parameters"
    assert repr(nn.BatchNorm2d(3, affine="bias")) == "BatchNorm2d(3, affine='bias')  3 parameters"
    assert repr(nn.InstanceNorm2d(3)) == "InstanceNorm2d(3)"
    assert repr(nn.LayerNorm(3, elementwise_affine=False)) == "LayerNorm(3, elementwise_affine=False)"


def test_a_layer_with_parameters_prints_their_number():
    assert repr(nn.Conv2d(3, 8, (3, 1), padding=1, bias=False)) == (
        "Conv2d(3, 8, (3, 1), padding=1, bias=False)  72 parameters"
    )
    assert repr(nn.Linear(4, 2)) == "Linear(4, 2)  10 parameters"


def test_a_tree_prints_its_layers_with_aligned_counts():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Residual(nn.Identity()), nn.Concat(nn.ReLU(), axis=2))
    net[1].freeze()
    assert repr(net).splitlines() == [
        "Sequential()                  240 parameters",
        "  0: Conv2d(3, 8, 3)          224",
        "  1: BatchNorm2d(8) [frozen]   16",
        "  2: Residual()",
        "    body: Identity()",
        "  3: Concat(axis=2)",
        "    0: ReLU()",
    ]


def test_shared_parameters_count_once_in_the_total():
    layer = nn.Linear(2, 2)
    lines = repr(nn.Sequential(layer, layer)).splitlines()
    assert lines[0].endswith("  6 parameters") and len(lines) == 3


def test_a_model_prints_its_total():
    assert repr(models.create("cifar4")).splitlines()[0].endswith("1,557,066 parameters")
