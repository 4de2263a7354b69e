"""DenseNet: every layer reads the feature maps of all layers before it in its block."""

from collections.abc import Sequence
from functools import partial

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.initialise import he_convolutions
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor

_BOTTLENECK = 4  # width of the 1 x 1 convolution, in multiples of the growth rate


class DenseLayer(nn.Module):
    """Batch norm, ReLU and 3 x 3 convolution to ``growth`` new maps; in DenseNet-B a 1 x 1 bottleneck comes first.

    Parameters
    ----------
    channels, growth : int
    bottleneck : bool

    Returns
    -------
    Tensor, shape (N, channels + growth, H, W)
        On call, x and the new maps, concatenated, for x of shape (N, channels, H, W).

    Raises
    ------
    ShapeError
        On call, if the channels of x do not match.
    """

    def __init__(self, channels, growth, bottleneck):
        self.norm1 = nn.BatchNorm2d(channels)
        if bottleneck:
            self.conv1 = nn.Conv2d(channels, _BOTTLENECK * growth, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(_BOTTLENECK * growth)
            self.conv2 = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(channels, growth, 3, padding=1, bias=False)
        self.bottleneck = bottleneck

    def stages(self):
        """Return the pairs of batch norm and convolution, in the order in which they run."""
        first = (self.norm1, self.conv1)
        return [first, (self.norm2, self.conv2)] if self.bottleneck else [first]

    def forward(self, x):
        """Return x, (N, C, H, W), with the new maps appended."""
        new = nn.bn_act_conv(x, self.norm1, self.conv1)
        if self.bottleneck:
            new = nn.bn_act_conv(new, self.norm2, self.conv2)
        return ops.concat([x, new], axis=1)


class DenseBlock(nn.Sequential):
    """Dense layers in sequence; after `nn.fuse` they run as one operation in one buffer.

    Parameters
    ----------
    layers : dict of str to DenseLayer

    Returns
    -------
    Tensor, shape (N, C + the new maps of all layers, H, W)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    ShapeError
        On call, if the channels of x do not match the first layer.
    """

    def forward(self, x):
        """Return x, (N, C, H, W), with the new maps of all layers appended."""
        return nn.dense_block(x, list(self))


class Transition(nn.Module):
    """Batch norm, ReLU, 1 x 1 convolution and average pooling between two blocks.

    Parameters
    ----------
    channels, filters : int

    Returns
    -------
    Tensor, shape (N, filters, H // 2, W // 2)
        On call, for x of shape (N, channels, H, W).

    Raises
    ------
    ShapeError
        On call, if the channels of x do not match.
    """

    def __init__(self, channels, filters):
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, filters, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        """Return ``filters`` feature maps of half the size."""
        return nn.bn_act_conv(x, self.norm, self.conv, pool=self.pool)


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, batch norm, global average pooling, a fully connected layer.

        for ImageNet   layers in the blocks    growth   stem
        121            6, 12, 24, 16               32     64
        169            6, 12, 32, 32               32     64
        201            6, 12, 48, 32               32     64
        161            6, 12, 36, 24               48     96
        for CIFAR
        40-k12         12, 12, 12                  12     16   no bottleneck, theta 1
        100-k12        32, 32, 32                  12     16   no bottleneck, theta 1
        BC-100-k12     16, 16, 16                  12     24

    Parameters
    ----------
    counts : sequence of int
        Layers in each block.
    growth : int
        New feature maps per layer, k of the paper.
    stem_filters : int
    num_classes, in_channels : int
    image_size : int, pixels
        Only checked.
    stem : "imagenet" or "cifar"
        7 x 7 with stride 2, batch norm, ReLU and max pooling; or only 3 x 3.
    bottleneck : bool
        The "B" of the paper: a 1 x 1 convolution before each 3 x 3.
    theta : float, above 0 to 1
        The "C" of the paper: the fraction of the feature maps that a transition keeps.

    Raises
    ------
    ValueError
        If the image is too small.

    Notes
    -----
    Source: Huang, Liu, van der Maaten and Weinberger 2016, "Densely Connected Convolutional Networks",
    section 3 and table 1, arXiv 1608.06993; state_dict keys are torchvision's.
    """

    def __init__(
        self,
        counts: Sequence[int],
        growth: int,
        stem_filters: int,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        stem: str = "imagenet",
        bottleneck: bool = True,
        theta: float = 0.5,
    ):
        arguments.flag("DenseNet", bottleneck=bottleneck)
        least = 2 ** (len(counts) - 1) * (4 if stem == "imagenet" else 1)
        arguments.integer("DenseNet", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < least:
            raise ValueError(f"DenseNet: image_size - expected at least {least}, got {image_size}")
        self.features, channels = nn.Sequential(), stem_filters
        if stem == "imagenet":
            self.features.conv0 = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
            self.features.norm0 = nn.BatchNorm2d(channels)
            self.features.relu0 = nn.ReLU()
            self.features.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.features.conv0 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        for number, count in enumerate(counts, start=1):
            layers = {f"denselayer{i + 1}": DenseLayer(channels + i * growth, growth, bottleneck) for i in range(count)}
            setattr(self.features, f"denseblock{number}", DenseBlock(layers))
            channels += count * growth
            if number < len(counts):
                filters = int(channels * theta)
                setattr(self.features, f"transition{number}", Transition(channels, filters))
                channels = filters
        setattr(self.features, "norm5" if stem == "imagenet" else "norm", nn.BatchNorm2d(channels))
        self.features.relu = nn.ReLU()
        self.classifier = nn.Linear(channels, num_classes)
        he_convolutions(self)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = self.features(x)
        x = ops.global_avg_pool(x)
        return self.classifier(x)


def _cifar(num_classes=10, in_channels=3, image_size=32, **options):
    sizes = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    return DenseNet(**sizes, stem="cifar", **options)


_IMAGENET = {  # layers in the blocks, growth, maps of the stem
    "densenet121": ((6, 12, 24, 16), 32, 64),
    "densenet161": ((6, 12, 36, 24), 48, 96),
    "densenet169": ((6, 12, 32, 32), 32, 64),
    "densenet201": ((6, 12, 48, 32), 32, 64),
}
_CIFAR = {  # layers in each of three blocks, maps of the stem, bottleneck, theta
    "densenet40_k12": (12, 16, False, 1.0),
    "densenet100_k12": (32, 16, False, 1.0),
    "densenet_bc_100_k12": (16, 24, True, 0.5),
}
for _name, _sizes in _IMAGENET.items():
    register(_name)(partial(DenseNet, *_sizes))
for _name, (_count, _maps, _narrow, _theta) in _CIFAR.items():
    _sizes = {"counts": (_count,) * 3, "growth": 12, "stem_filters": _maps}
    register(_name)(partial(_cifar, **_sizes, bottleneck=_narrow, theta=_theta))
