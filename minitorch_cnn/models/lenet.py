"""LeNet-5: the first convolutional network that read cheques."""

from minitorch_cnn import arguments, nn
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor

_POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}
_ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class LeNet5(nn.Module):
    """Two convolutions and three fully connected layers.

        layer           maps   kernel   output, 1 x 32 x 32 in     parameters
        conv1 (C1)         6    5 x 5   6 x 28 x 28                       156
        pool (S2)          6    2 x 2   6 x 14 x 14
        conv2 (C3)        16    5 x 5   16 x 10 x 10                    2,416
        pool (S4)         16    2 x 2   16 x 5 x 5
        fc1 (C5)                        120                            48,120
        fc2 (F6)                        84                             10,164
        fc3                             10                                850

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, 28 or 32 and more
        Images of 28 pixels, such as MNIST's, get two pixels of padding, as in the paper.
    activation : "tanh" or "relu"
    pool : "average" or "max"

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    The modern form of the paper's table 1 and figure 2: C3 sees all six maps, S2 and S4 have no parameters,
    and the output is linear instead of radial basis functions. The paper's network has 60,000 parameters.
    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-Based Learning Applied to Document
    Recognition", section II.B.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int = 32,
        activation: str = "tanh",
        pool: str = "average",
    ):
        arguments.integer("LeNet5", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 28:
            raise ValueError(f"LeNet5: image_size - expected at least 28, got {image_size}")
        for argument, value, known in (("activation", activation, _ACTIVATIONS), ("pool", pool, _POOLS)):
            if not isinstance(value, str) or value not in known:
                raise ValueError(f"LeNet5: {argument} - expected one of {', '.join(known)}, got {value!r}")
        padding = 2 if image_size < 32 else 0
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.act: nn.Module = _ACTIVATIONS[activation]()
        self.pool: nn.Module = _POOLS[pool](2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = self.pool(self.act(self.conv1(x)))
        x = self.pool(self.act(self.conv2(x)))
        x = self.act(self.fc1(self.flatten(x)))
        return self.fc3(self.act(self.fc2(x)))


register("lenet5")(LeNet5)


@register("lenet5_28")
def lenet5_28(num_classes=10, in_channels=1, image_size=28, **options):
    """LeNet-5 for the 28 x 28 pixels of MNIST."""
    return LeNet5(num_classes, in_channels, image_size, **options)


@register("lenet5_cifar")
def lenet5_cifar(num_classes=10, in_channels=3, image_size=32, **options):
    """LeNet-5 for colour images: 62,006 parameters."""
    return LeNet5(num_classes, in_channels, image_size, **options)
