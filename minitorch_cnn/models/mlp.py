"""Fully connected layers on pixels: the baseline that convolutions have to beat."""

from collections.abc import Sequence

from minitorch_cnn import arguments, nn
from minitorch_cnn.models.registry import register


@register("mlp")
class MLP(nn.Sequential):
    """Flatten the image, then Linear and ReLU in turn.

    (N, 3, 32, 32) -> (N, 3072) -> (N, 512) -> (N, 256) -> (N, num_classes)

    Parameters
    ----------
    num_classes : int
    in_channels : int
    image_size : int, pixels
        The first layer fits only this size.
    hidden : tuple of int
        Widths of the layers in between.

    Notes
    -----
    Every output of the first layer sees every pixel, and nothing tells it which pixels are neighbours.
    The network has 1,707,274 parameters at the defaults, more than `Cifar4`; 1,573,376 of them are in
    the first layer.
    """

    def __init__(
        self, num_classes: int = 10, in_channels: int = 3, image_size: int = 32, hidden: Sequence[int] = (512, 256)
    ):
        arguments.integer("MLP", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        hidden = arguments.listed("MLP", "hidden", hidden)
        for width in hidden:
            arguments.integer("MLP", least=1, hidden=width)
        widths = (in_channels * image_size * image_size, *hidden, num_classes)
        super().__init__(nn.Flatten())
        for position, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            if position > 0:
                self.append(nn.ReLU())
            self.append(nn.Linear(before, after))
