"""Networks for CIFAR-10 in a coffee break: a computed first layer, filters that begin as the identity, small maps."""

import functools

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor


class AirBlock(nn.Module):
    """Convolution, max pooling, batch norm and GELU; then convolution, batch norm and GELU once or twice more.

    A third convolution has a shortcut around the second and itself.

    Parameters
    ----------
    in_channels, channels : int
    convolutions : 2 or 3

    Notes
    -----
    Pooling comes before batch norm and GELU, which then see a quarter of the pixels. Batch norm has no trained scale:
    the filters after it can scale as well.
    """

    def __init__(self, in_channels: int, channels: int, convolutions: int = 2):
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.bn1 = _norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = _norm(channels)
        if convolutions == 3:
            self.conv3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn3 = _norm(channels)
        self.convolutions = convolutions

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels, H // 2, W // 2) of maps x, (N, in_channels, H, W)."""
        shortcut = ops.gelu(self.bn1(ops.max_pool2d(self.conv1(x), 2)))
        x = ops.gelu(self.bn2(self.conv2(shortcut)))
        if self.convolutions == 3:
            x = ops.gelu(self.bn3(self.conv3(x)) + shortcut)
        return x


def _norm(channels):
    """Return a batch norm whose running statistics follow fast: a short training has few steps."""
    return nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4, affine="bias")


class Air(nn.Module):
    """A whitening convolution, three blocks, global max pooling and a linear layer.

        whiten    2 x 2 without padding, 8 filters per channel of the image, GELU     32 -> 31 pixels
        block1    3 x 3, widths[0], pooled; 3 x 3, widths[0]                           31 -> 15
        block2    the same with widths[1]                                              15 -> 7
        block3    the same with widths[2]                                               7 -> 3
        global max pooling, a linear layer without bias, times ``scale``

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, pixels, at least 9
        Only checked, because the weights fit any size.
    widths : (int, int, int)
        Channels of the three blocks.
    convolutions : 2 or 3
        Of each block.
    scale : float
        Of the logits: otherwise the softmax is confident before the network has learned anything.

    Raises
    ------
    ValueError
        If the image is too small for the three poolings.

    Notes
    -----
    The filters of the blocks begin as the identity, as far as there are channels, so that at first the whitened image
    reaches the classifier. A training begins by `nn.init.patch_whitening_` of ``whiten``, whose filters stay as they
    are; the recipes do both.

    Parameters and multiplications of an image of 32 pixels:

        air80    32,  64,  64      0.15 million    17.1 million
        air90    32, 128, 128      0.50 million    33.1 million
        air93    64, 128, 128      0.57 million    54.2 million
        air94    64, 256, 256      1.97 million   118.1 million
        air95   128, 384, 384      4.60 million   301.6 million
        air96   128, 384, 512, three convolutions a block   9.92 million   452.0 million

    Source: ``airbench94.py``, ``airbench95.py`` and ``airbench96.py`` of K. Jordan,
    https://github.com/KellerJordan/cifar10-airbench, for air94, air95 and air96; the others are narrower.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        widths: tuple[int, int, int] = (64, 256, 256),
        convolutions: int = 2,
        scale: float = 1 / 9,
    ):
        arguments.integer("Air", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 9:
            raise ValueError(f"Air: image_size - expected at least 9 for three poolings by 2, got {image_size}")
        arguments.integer("Air", least=0, convolutions=convolutions)
        arguments.number("Air", scale=scale)
        widths = tuple(arguments.listed("Air", "widths", widths))
        if len(widths) != 3:
            raise ValueError(f"Air: widths - expected three numbers of channels, got {len(widths)}")
        for width in widths:
            arguments.integer("Air", least=1, widths=width)
        self.scale = scale
        self.whiten = nn.Conv2d(in_channels, 8 * in_channels, 2)
        channels = (8 * in_channels, *widths)
        self.block1, self.block2, self.block3 = (AirBlock(*channels[i : i + 2], convolutions) for i in range(3))
        self.fc = nn.Linear(widths[-1], num_classes, bias=False)
        nn.init.zeros_(self.whiten.bias)
        for path, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and path != "whiten":
                nn.init.identity_(module)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = ops.gelu(self.whiten(x))
        x = self.block3(self.block2(self.block1(x)))
        x = ops.flatten(ops.adaptive_max_pool2d(x, 1))
        return self.fc(x) * self.scale


_FORMS = {
    "air80": {"widths": (32, 64, 64)},
    "air90": {"widths": (32, 128, 128)},
    "air93": {"widths": (64, 128, 128)},
    "air94": {"widths": (64, 256, 256)},
    "air95": {"widths": (128, 384, 384)},
    "air96": {"widths": (128, 384, 512), "convolutions": 3},
}

for _name, _form in _FORMS.items():
    register(_name)(functools.partial(Air, **_form))
