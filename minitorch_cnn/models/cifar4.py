"""Four convolutions for CIFAR-10: the smallest network here that classifies most images correctly."""

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor


@register("cifar4")
class Cifar4(nn.Module):
    """Four times 3 x 3 convolution, batch norm, ReLU and max pooling; then global average pooling and a linear layer.

        (N, 3, 32, 32) -> (N, 64, 16, 16) -> (N, 128, 8, 8) -> (N, 256, 4, 4) -> (N, 512, 2, 2)
                       -> (N, 512) -> (N, num_classes)

    Parameters
    ----------
    num_classes : int
    in_channels : int
    image_size : int, at least 16; only checked, because the weights fit any size

    Raises
    ------
    ValueError
        If the image is too small for the four poolings.

    Notes
    -----
    1,557,066 parameters, and 58,397,696 multiplications per image at the defaults.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 32):
        arguments.integer("Cifar4", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 16:
            raise ValueError(f"Cifar4: image_size - expected at least 16 for four poolings by 2, got {image_size}")
        # No bias: the batch norm that follows would subtract it again.
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(256)
        self.conv4 = nn.Conv2d(256, 512, 3, padding=1, bias=False)
        self.bn4 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = nn.conv_bn_act(x, self.conv1, self.bn1, pool=2)
        x = nn.conv_bn_act(x, self.conv2, self.bn2, pool=2)
        x = nn.conv_bn_act(x, self.conv3, self.bn3, pool=2)
        x = nn.conv_bn_act(x, self.conv4, self.bn4, pool=2)
        return self.fc(ops.global_avg_pool(x))
