"""Nine layers that exceed 90 % on CIFAR-10 within minutes: few shortcuts, wide layers, early pooling."""

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.initialise import he_convolutions
from minitorch_cnn.models.registry import register
from minitorch_cnn.models.resnet import BasicBlock
from minitorch_cnn.tensor import Tensor


@register("resnet9")
class ResNet9(nn.Module):
    """Four convolutions that widen the maps while pooling halves them, and two residual blocks in between.

        conv1     3 x 3, 64, then 2 x 2 max pooling      32 -> 16 pixels
        conv2     3 x 3, 128; block1: 2 x (3 x 3, 128)   16
        conv3     3 x 3, 256, then 2 x 2 max pooling     16 -> 8
        conv4     3 x 3, 512, then 2 x 2 max pooling     8 -> 4; block2: 2 x (3 x 3, 512)
        global max pooling, a fully connected layer, times 1/8

    Batch norm and ReLU follow each convolution; pooling comes after them.

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, pixels, at least 8
        Only checked, because the weights fit any size.

    Raises
    ------
    ValueError
        If the image is too small for the three poolings.

    Notes
    -----
    6,573,130 parameters, and 322,638,848 multiplications per image of 32 pixels.
    The shape follows Page 2018, "How to train your ResNet 4: Architecture", with two changes: the first
    pooling comes one convolution earlier, which saves a seventh of the multiplications and half of the
    memory traffic, and the blocks are those of `ResNet`, with the last ReLU after the sum.
    """

    scale = 1 / 8  # of the logits: otherwise the softmax is confident before it has learned anything

    def __init__(self, num_classes: int = 10, in_channels: int = 3, image_size: int = 32):
        arguments.integer("ResNet9", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 8:
            raise ValueError(f"ResNet9: image_size - expected at least 8 for three poolings by 2, got {image_size}")
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(128)
        self.conv3 = nn.Conv2d(128, 256, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(256)
        self.conv4 = nn.Conv2d(256, 512, 3, padding=1, bias=False)
        self.bn4 = nn.BatchNorm2d(512)
        self.block1, self.block2 = BasicBlock(128, 128), BasicBlock(512, 512)
        self.fc = nn.Linear(512, num_classes)
        he_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        x = nn.conv_bn_act(x, self.conv1, self.bn1, pool=2)
        x = nn.conv_bn_act(x, self.conv2, self.bn2)
        x = self.block1(x)
        x = nn.conv_bn_act(x, self.conv3, self.bn3, pool=2)
        x = nn.conv_bn_act(x, self.conv4, self.bn4, pool=2)
        x = self.block2(x)
        x = ops.flatten(ops.adaptive_max_pool2d(x, 1))
        return self.fc(x) * self.scale
