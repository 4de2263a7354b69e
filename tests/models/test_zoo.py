"""The famous networks: parameters, multiplications, buffers and keys, as papers and torchvision have them."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, models, nn
from minitorch_cnn.models import registry
from tests.models.zoo_rows import ROWS

# Different names of the same network.
ALIASES = {"vgg11": "vgg_a", "vgg13": "vgg_b", "vgg16": "vgg_d", "vgg19": "vgg_e"}


@pytest.fixture
def create(undrawn_weights):
    """Return `models.create`, which makes models with undrawn weights."""
    return models.create


@pytest.mark.parametrize("name", ROWS)
def test_counts(create, name):
    shape, *expected = ROWS[name]
    model = create(name)
    state = model.state_dict()
    got = [
        sum(parameter.size for parameter in model.parameters()),
        explain.summary(model.eval(), (1, *shape)).macs,
        sum(array.size for key, array in state.items() if "running" in key),
        sum(key.endswith("num_batches_tracked") for key in state),
        len(list(model.parameters())),
        len(state),
    ]
    assert got == expected


def test_every_network_has_a_row_or_is_another_one_with_a_few_layers_changed():
    """Aliases and VGG's variants with batch norm or for CIFAR need no row."""
    rest = [name for name in models.list() if name not in ROWS and name != "mlp"]
    assert all(name.startswith("vgg") for name in rest)
    for alias, name in ALIASES.items():
        for form in ("", "_bn", "_cifar", "_bn_cifar"):
            one, other = registry._models[alias + form], registry._models[name + form]
            assert (one.func, one.args, one.keywords) == (other.func, other.args, other.keywords)


@pytest.mark.parametrize("name", ROWS)
def test_native_inputs(name):
    assert models.native_input(name) == ROWS[name][0][:2]


def test_the_native_input_of_an_unknown_network():
    with pytest.raises(ValueError, match="native_input: name - expected one of .*, got 'vgg_f'; did you mean 'vgg_"):
        models.native_input("vgg_f")


@pytest.mark.parametrize("name", [name for name in ROWS if name not in ("cifar4",)])
def test_own_classes_and_channels(create, name):
    shape = ROWS[name][0]
    model = create(name, num_classes=7, in_channels=2).eval()
    assert model(Tensor.like_shape((3, 2, *shape[1:]))).shape == (3, 7)


def test_the_layers_of_the_all_convolutional_net(create):
    expected = [34_944, 9_312, 83_040, 614_656, 65_792, 590_080, 885_120, 147_840, 1_327_488, 3_539_968]
    convolutions = [m for m in create("allcnn_imagenet").modules() if isinstance(m, nn.Conv2d)]
    assert [m.weight.size + m.bias.size for m in convolutions] == [*expected, 1_049_600, 1_025_000]


def test_keys_are_torchvisions(create):
    entries = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    resnet = list(create("resnet50").state_dict())
    assert resnet[:6] == ["conv1.weight", *(f"bn1.{entry}" for entry in entries)]
    assert resnet[-2:] == ["fc.weight", "fc.bias"]
    for key in ("layer1.0.downsample.0.weight", "layer1.0.downsample.1.running_var", "layer4.2.conv3.weight"):
        assert key in resnet
    assert not [key for key in create("resnet18").state_dict() if key.startswith("layer1.0.downsample")]
    densenet = list(create("densenet121").state_dict())
    assert densenet[:2] == ["features.conv0.weight", "features.norm0.weight"]
    for key in (
        "features.denseblock1.denselayer1.norm1.weight",
        "features.denseblock4.denselayer16.conv2.weight",
        "features.transition3.conv.weight",
        "features.norm5.running_mean",
        "classifier.bias",
    ):
        assert key in densenet
    vgg = list(create("vgg_a").state_dict())
    assert vgg[0] == "features.0.weight" and vgg[-2:] == ["classifier.6.weight", "classifier.6.bias"]
    alexnet = [key.rsplit(".", 1)[0] for key in create("alexnet").state_dict() if key.endswith("weight")]
    assert alexnet == [*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6))]


@pytest.mark.parametrize(
    "name, size, message",
    [
        ("lenet5", 27, "LeNet5: image_size - expected at least 28, got 27"),
        ("alexnet", 62, "AlexNet: image_size - expected at least 63 for three poolings, got 62"),
        ("alexnet_2012", 62, "AlexNet2012: image_size - expected at least 63"),
        ("vgg_a", 31, "VGG: image_size - expected at least 32 for five poolings by 2, got 31"),
        ("allcnn_c", 8, "AllCNN: image_size - expected at least 9, got 8"),
        ("allcnn_imagenet", 62, "AllCNNImageNet: image_size - expected at least 63, got 62"),
        ("resnet18", 31, "ResNet: image_size - expected at least 32, got 31"),
        ("resnet20", 3, "ResNet: image_size - expected at least 4, got 3"),
        ("densenet121", 31, "DenseNet: image_size - expected at least 32, got 31"),
    ],
)
def test_images_that_are_too_small(create, name, size, message):
    with pytest.raises(ValueError, match=message):
        create(name, image_size=size)
    model = create(name, image_size=size + 1).eval()
    assert model(Tensor.like_shape((1, 1 if name == "lenet5" else 3, size + 1, size + 1))).shape[0] == 1


@pytest.mark.parametrize("argument", ["activation", "pool"])
def test_options_of_lenet(create, argument):
    with pytest.raises(ValueError, match=f"LeNet5: {argument} - expected one of .*, got 'swish'"):
        create("lenet5", **{argument: "swish"})
    assert create("lenet5", activation="relu", pool="max")(Tensor.like_shape((1, 1, 32, 32))).shape == (1, 10)


def test_blocks_of_a_resnet_can_start_as_the_identity():
    for name in ("resnet18", "resnet50"):
        model = models.create(name, zero_init_residual=True, num_classes=2)
        for module in model.modules():
            last = getattr(module, "bn3", getattr(module, "bn2", None))
            assert last is None or not last.weight.data.any()


def test_the_shortcut_without_parameters_keeps_every_second_pixel():
    x = np.arange(32.0).reshape(1, 2, 4, 4)
    out = models.resnet.Subsample(2, 5, 2)(Tensor(x)).data
    assert out.shape == (1, 5, 2, 2)
    np.testing.assert_array_equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3, 4]].any()
