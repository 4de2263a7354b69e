"""ResNet: residual blocks learn what to add to their input."""

from collections.abc import Sequence
from functools import partial

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.initialise import he_convolutions
from minitorch_cnn.models.registry import register
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor


def _conv(in_channels, out_channels, kernel, stride=1):
    return nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)


class Subsample(nn.Module):
    """The shortcut without parameters, option A of the paper: every second pixel, and new channels of zeros.

    Parameters
    ----------
    in_channels, out_channels : int
        Half of the new channels come before the existing ones, half after.
    stride : int, pixels

    Returns
    -------
    Tensor, shape (N, out_channels, ceil(H / stride), ceil(W / stride))
        On call, for x of shape (N, in_channels, H, W).

    Raises
    ------
    ShapeError
        On call, if x does not have four axes.
    """

    def __init__(self, in_channels, out_channels, stride):
        self.stride, before = stride, (out_channels - in_channels) // 2
        self.new_channels = before, out_channels - in_channels - before

    def forward(self, x):
        """Return the pixels of x, (N, C, H, W), at multiples of the stride."""
        x = x[:, :, :: self.stride, :: self.stride]
        return ops.pad(x, [(0, 0), self.new_channels, (0, 0), (0, 0)])


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, and the shortcut around them.

    relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))

    Parameters
    ----------
    in_channels, filters : int
    stride : int
        Stride of the first convolution.
    downsample : Module or None
        The shortcut where input and output differ in shape; None passes x itself.

    Returns
    -------
    Tensor, shape (N, filters, OH, OW)
        On call, for x of shape (N, in_channels, H, W).

    Raises
    ------
    ShapeError
        On call, if shortcut and body differ in shape.
    """

    expansion = 1

    def __init__(self, in_channels, filters, stride=1, downsample=None):
        self.conv1, self.bn1 = _conv(in_channels, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = _conv(filters, filters, 3), nn.BatchNorm2d(filters)
        self.downsample = downsample

    def forward(self, x):
        """Return the block's output for x, (N, C, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = nn.conv_bn_act(x, self.conv1, self.bn1)
        return nn.conv_bn_act(x, self.conv2, self.bn2, residual=shortcut)


class Bottleneck(nn.Module):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution with few channels in the middle, and the shortcut around them.

    Parameters
    ----------
    in_channels, filters : int
        The output has 4 * filters channels.
    stride : int
        Stride of the 3 x 3 convolution, as in most implementations; the paper gives it to the first convolution.
    downsample : Module or None
        As in `BasicBlock`.

    Returns
    -------
    Tensor, shape (N, 4 * filters, OH, OW)
        On call, for x of shape (N, in_channels, H, W).

    Raises
    ------
    ShapeError
        On call, if shortcut and body differ in shape.
    """

    expansion = 4

    def __init__(self, in_channels, filters, stride=1, downsample=None):
        self.conv1, self.bn1 = _conv(in_channels, filters, 1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = _conv(filters, filters, 3, stride), nn.BatchNorm2d(filters)
        self.conv3, self.bn3 = _conv(filters, 4 * filters, 1), nn.BatchNorm2d(4 * filters)
        self.downsample = downsample

    def forward(self, x):
        """Return the block's output for x, (N, C, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = nn.conv_bn_act(x, self.conv1, self.bn1)
        x = nn.conv_bn_act(x, self.conv2, self.bn2)
        return nn.conv_bn_act(x, self.conv3, self.bn3, residual=shortcut)


class ResNet(nn.Module):
    """A stem, stages of residual blocks, global average pooling, and a fully connected layer.

        stage      filters   map side      18      34      50            101           152
        stem            64   112, then 56  7 x 7, stride 2; max pooling 3 x 3, stride 2
        layer1          64   56            2 x 2   3 x 2   3 x 3         3 x 3         3 x 3
        layer2         128   28            2 x 2   4 x 2   4 x 3         4 x 3         8 x 3
        layer3         256   14            2 x 2   6 x 2   6 x 3         23 x 3        36 x 3
        layer4         512   7             2 x 2   3 x 2   3 x 3         3 x 3         3 x 3
        (blocks x convolutions in a block; from 50 on the blocks are bottlenecks)

    The networks for CIFAR have three stages of n basic blocks, with 16, 32 and 64 filters on maps of 32, 16 and 8
    pixels per side: 6n + 2 layers with weights.

    Parameters
    ----------
    block : type
        `BasicBlock` or `Bottleneck`.
    counts, filters : sequence of int
        Blocks per stage, and filters of their convolutions.
    num_classes, in_channels : int
    image_size : int, pixels
        Only checked.
    stem : "imagenet" or "cifar"
        7 x 7 with stride 2 and max pooling, or 3 x 3 with stride 1.
    option : "A" or "B"
        Shortcuts that change shape: `Subsample`, or a 1 x 1 convolution and batch norm.
    zero_init_residual : bool
        Start with blocks that pass their input on: the last gamma of each is 0.

    Raises
    ------
    ValueError
        If the image is too small.

    Notes
    -----
    Source: He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image Recognition", table 1 and
    section 4.2, arXiv 1512.03385; state_dict keys are torchvision's.
    """

    def __init__(
        self,
        block: type[Module],
        counts: Sequence[int],
        filters: Sequence[int] = (64, 128, 256, 512),
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        stem: str = "imagenet",
        option: str = "B",
        zero_init_residual: bool = False,
    ):
        arguments.flag("ResNet", zero_init_residual=zero_init_residual)
        least = 32 if stem == "imagenet" else 2 ** (len(counts) - 1)
        arguments.integer("ResNet", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < least:
            raise ValueError(f"ResNet: image_size - expected at least {least}, got {image_size}")
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.conv1, self.bn1 = _conv(in_channels, filters[0], kernel, stride), nn.BatchNorm2d(filters[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "imagenet" else nn.Identity()
        channels, self.stage_count = filters[0], len(counts)
        for number, (count, width) in enumerate(zip(counts, filters, strict=True), start=1):
            stage = nn.Sequential()
            for i in range(count):
                stride = 2 if i == 0 and number > 1 else 1
                stage.append(
                    block(channels, width, stride, _shortcut(channels, width * block.expansion, stride, option))
                )
                channels = width * block.expansion
            setattr(self, f"layer{number}", stage)
        self.fc = nn.Linear(channels, num_classes)
        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual):
        he_convolutions(self, mode="fan_out")
        for module in self.modules():
            if zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                nn.init.zeros_((module.bn2 if isinstance(module, BasicBlock) else module.bn3).weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = nn.conv_bn_act(x, self.conv1, self.bn1)
        x = self.maxpool(x)
        for stage in self.stages():
            x = stage(x)
        x = ops.global_avg_pool(x)
        return self.fc(x)

    def stages(self) -> list[Module]:
        """Return the stages of residual blocks: layer1, layer2 and so on."""
        return [getattr(self, f"layer{number}") for number in range(1, self.stage_count + 1)]


def _shortcut(in_channels, out_channels, stride, option):
    if stride == 1 and in_channels == out_channels:
        return None
    if option == "A":
        return Subsample(in_channels, out_channels, stride)
    return nn.Sequential(_conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))


def _cifar(blocks, num_classes=10, in_channels=3, image_size=32, *, option, **options):
    shape = {"counts": (blocks,) * 3, "filters": (16, 32, 64), "stem": "cifar", "option": option}
    sizes = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    return ResNet(BasicBlock, **shape, **sizes, **options)


@register("resnet18_cifar")
def resnet18_cifar(num_classes=10, in_channels=3, image_size=32, **options):
    """ResNet-18 for 32 x 32 pixels: a 3 x 3 stem with stride 1 and no pooling."""
    sizes = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    return ResNet(BasicBlock, (2, 2, 2, 2), stem="cifar", **sizes, **options)


for _depth, _block, _counts in (
    (18, BasicBlock, (2, 2, 2, 2)),
    (34, BasicBlock, (3, 4, 6, 3)),
    (50, Bottleneck, (3, 4, 6, 3)),
    (101, Bottleneck, (3, 4, 23, 3)),
    (152, Bottleneck, (3, 8, 36, 3)),
):
    register(f"resnet{_depth}")(partial(ResNet, _block, _counts))
for _depth in (20, 32, 44, 56, 110):
    register(f"resnet{_depth}")(partial(_cifar, (_depth - 2) // 6, option="A"))
    register(f"resnet{_depth}_b")(partial(_cifar, (_depth - 2) // 6, option="B"))
