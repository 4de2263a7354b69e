"""The famous networks: parameters, multiplications, buffers and keys, as papers and torchvision have them."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, autograd, models, nn
from minitorch_cnn.models import registry

# name: (input, parameters, multiplications of one image, numbers in running statistics, batch norms,
#        parameter tensors, entries of the state_dict)
CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)
ROWS = {
    "cifar4": (CIFAR, 1_557_066, 58_397_696, 1_920, 4, 14, 26),
    "lenet5": ((1, 32, 32), 61_706, 416_520, 0, 0, 10, 10),
    "lenet5_28": ((1, 28, 28), 61_706, 416_520, 0, 0, 10, 10),
    "lenet5_cifar": (CIFAR, 62_006, 651_720, 0, 0, 10, 10),
    "alexnet": (IMAGENET, 61_100_840, 714_188_480, 0, 0, 16, 16),
    "alexnet_2012": (IMAGENET, 60_965_224, 724_406_816, 0, 0, 16, 16),
    "vgg_a": (IMAGENET, 132_863_336, 7_609_090_048, 0, 0, 22, 22),
    "vgg_a_lrn": (IMAGENET, 132_863_336, 7_609_090_048, 0, 0, 22, 22),
    "vgg_b": (IMAGENET, 133_047_848, 11_308_466_176, 0, 0, 26, 26),
    "vgg_c": (IMAGENET, 133_638_952, 11_770_888_192, 0, 0, 32, 32),
    "vgg_d": (IMAGENET, 138_357_544, 15_470_264_320, 0, 0, 32, 32),
    "vgg_e": (IMAGENET, 143_667_240, 19_632_062_464, 0, 0, 38, 38),
    "vgg11_bn": (IMAGENET, 132_868_840, 7_609_090_048, 5_504, 8, 38, 62),
    "vgg13_bn": (IMAGENET, 133_053_736, 11_308_466_176, 5_888, 10, 46, 76),
    "vgg16_bn": (IMAGENET, 138_365_992, 15_470_264_320, 8_448, 13, 58, 97),
    "vgg19_bn": (IMAGENET, 143_678_248, 19_632_062_464, 11_008, 16, 70, 118),
    "vgg_a_cifar": (CIFAR, 9_225_610, 152_769_536, 0, 0, 18, 18),
    "vgg_b_cifar": (CIFAR, 9_410_122, 228_267_008, 0, 0, 22, 22),
    "vgg_c_cifar": (CIFAR, 10_001_226, 237_704_192, 0, 0, 28, 28),
    "vgg_d_cifar": (CIFAR, 14_719_818, 313_201_664, 0, 0, 28, 28),
    "vgg_e_cifar": (CIFAR, 20_029_514, 398_136_320, 0, 0, 34, 34),
    "vgg_a_bn_cifar": (CIFAR, 9_231_114, 152_769_536, 5_504, 8, 34, 58),
    "vgg_d_bn_cifar": (CIFAR, 14_728_266, 313_201_664, 8_448, 13, 54, 93),
    "allcnn_imagenet": (IMAGENET, 9_372_840, 1_213_344_288, 0, 0, 24, 24),
    "allcnn_a": (CIFAR, 1_254_250, 191_520_768, 0, 0, 14, 14),
    "allcnn_b": (CIFAR, 1_300_618, 210_395_136, 0, 0, 18, 18),
    "allcnn_c": (CIFAR, 1_369_738, 270_798_336, 0, 0, 18, 18),
    "allcnn_base_a": (CIFAR, 839_242, 149_053_440, 0, 0, 10, 10),
    "allcnn_base_b": (CIFAR, 885_610, 167_927_808, 0, 0, 14, 14),
    "allcnn_base_c": (CIFAR, 954_730, 228_331_008, 0, 0, 14, 14),
    "strided_cnn_c": (CIFAR, 954_730, 100_929_024, 0, 0, 14, 14),
    "convpool_cnn_c": (CIFAR, 1_369_738, 398_200_320, 0, 0, 18, 18),
    "resnet18": (IMAGENET, 11_689_512, 1_814_073_344, 9_600, 20, 62, 122),
    "resnet34": (IMAGENET, 21_797_672, 3_663_761_408, 17_024, 36, 110, 218),
    "resnet50": (IMAGENET, 25_557_032, 4_089_184_256, 53_120, 53, 161, 320),
    "resnet101": (IMAGENET, 44_549_160, 7_801_405_440, 105_344, 104, 314, 626),
    "resnet152": (IMAGENET, 60_192_808, 11_513_626_624, 151_424, 155, 467, 932),
    "resnet18_cifar": (CIFAR, 11_173_962, 555_422_720, 9_600, 20, 62, 122),
    "resnet20": (CIFAR, 269_722, 40_551_040, 1_376, 19, 59, 116),
    "resnet32": (CIFAR, 464_154, 68_862_592, 2_272, 31, 95, 188),
    "resnet44": (CIFAR, 658_586, 97_174_144, 3_168, 43, 131, 260),
    "resnet56": (CIFAR, 853_018, 125_485_696, 4_064, 55, 167, 332),
    "resnet110": (CIFAR, 1_727_962, 252_887_680, 8_096, 109, 329, 656),
    "resnet20_b": (CIFAR, 272_474, 40_813_184, 1_568, 21, 65, 128),
    "resnet32_b": (CIFAR, 466_906, 69_124_736, 2_464, 33, 101, 200),
    "resnet44_b": (CIFAR, 661_338, 97_436_288, 3_360, 45, 137, 272),
    "resnet56_b": (CIFAR, 855_770, 125_747_840, 4_256, 57, 173, 344),
    "resnet110_b": (CIFAR, 1_730_714, 253_149_824, 8_288, 111, 335, 668),
    "densenet121": (IMAGENET, 7_978_856, 2_834_161_664, 83_648, 121, 364, 727),
    "densenet161": (IMAGENET, 28_681_000, 7_727_907_072, 219_936, 161, 484, 967),
    "densenet169": (IMAGENET, 14_149_480, 3_359_843_328, 158_400, 169, 508, 1_015),
    "densenet201": (IMAGENET, 20_013_928, 4_291_365_888, 229_056, 201, 604, 1_207),
    "densenet40_k12": (CIFAR, 1_019_722, 264_812_928, 18_096, 39, 119, 236),
    "densenet100_k12": (CIFAR, 6_979_642, 1_769_516_448, 117_216, 99, 299, 596),
    "densenet_bc_100_k12": (CIFAR, 769_162, 287_929_692, 23_988, 99, 299, 596),
}
# Names of the same network.
ALIASES = {"vgg11": "vgg_a", "vgg13": "vgg_b", "vgg16": "vgg_d", "vgg19": "vgg_e"}


@pytest.fixture
def create(monkeypatch):
    """Return `models.create`, with weights that nobody draws: they would take most of the time."""
    for draw in ("uniform_", "normal_", "kaiming_normal_"):
        monkeypatch.setattr(nn.init, draw, lambda tensor, *arguments, **options: tensor)
    return models.create


def multiplications(model, shape):
    with autograd.trace() as records:
        model.eval()(Tensor.like_shape((1, *shape)))
    count = 0
    for record in records:
        if record.op.__name__ == "Conv2d":  # weight (C_out, C_in/groups, KH, KW): each output sums over the last three
            count += record.output.size * int(np.prod(record.inputs[1].shape[1:]))
        elif record.op.__name__ == "MatMul":
            count += record.output.size * record.inputs[0].shape[1]
    return count


@pytest.mark.parametrize("name", ROWS)
def test_counts(create, name):
    shape, *expected = ROWS[name]
    model = create(name)
    state = model.state_dict()
    got = [
        sum(parameter.size for parameter in model.parameters()),
        multiplications(model, shape),
        sum(array.size for key, array in state.items() if "running" in key),
        sum(key.endswith("num_batches_tracked") for key in state),
        len(list(model.parameters())),
        len(state),
    ]
    assert got == expected


def test_every_network_has_a_row_or_is_another_one_with_a_few_layers_changed():
    """What has no row of its own: aliases, and VGG's forms with batch norm or for CIFAR."""
    rest = [name for name in models.list() if name not in ROWS and name != "mlp"]
    assert all(name.startswith("vgg") for name in rest)
    for alias, name in ALIASES.items():
        for form in ("", "_bn", "_cifar", "_bn_cifar"):
            assert registry._models[alias + form].keywords == registry._models[name + form].keywords


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


def test_blocks_of_a_resnet_can_begin_as_nothing():
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
