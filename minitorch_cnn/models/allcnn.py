"""All-CNN: convolutions replace pooling and fully connected layers; with the base models of the paper."""

from functools import partial

from minitorch_cnn import arguments, nn
from minitorch_cnn.models.initialise import he_convolutions
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor

# (kernel, filters, stride) of a convolution, or "pool": max pooling of 3 x 3, stride 2. Tables 1 and 2 of the paper;
# all of them continue with 3 x 3, 192; 1 x 1, 192; 1 x 1, num_classes; and global average pooling.
_CIFAR = {
    "base_a": [(5, 96, 1), "pool", (5, 192, 1), "pool"],
    "base_b": [(5, 96, 1), (1, 96, 1), "pool", (5, 192, 1), (1, 192, 1), "pool"],
    "base_c": [(3, 96, 1), (3, 96, 1), "pool", (3, 192, 1), (3, 192, 1), "pool"],
    "a": [(5, 96, 1), (3, 96, 2), (5, 192, 1), (3, 192, 2)],
    "b": [(5, 96, 1), (1, 96, 1), (3, 96, 2), (5, 192, 1), (1, 192, 1), (3, 192, 2)],
    "c": [(3, 96, 1), (3, 96, 1), (3, 96, 2), (3, 192, 1), (3, 192, 1), (3, 192, 2)],
    "strided_c": [(3, 96, 1), (3, 96, 2), (3, 192, 1), (3, 192, 2)],
    "convpool_c": [(3, 96, 1)] * 3 + ["pool"] + [(3, 192, 1)] * 3 + ["pool"],
}
# (kernel, filters, stride, padding); the table for ImageNet in the appendix.
_IMAGENET = [
    *((11, 96, 4, 2), (1, 96, 1, 0), (3, 96, 2, 0)),
    *((5, 256, 1, 2), (1, 256, 1, 0), (3, 256, 2, 0)),
    *((3, 384, 1, 1), (1, 384, 1, 0), (3, 384, 2, 0)),
    *((3, 1024, 1, 1), (1, 1024, 1, 0)),
]
# Here a ReLU follows the logits. Softmax ignores a constant that is added to all of them. But with logits around 0,
# half would start where ReLU has no gradient, and whole classes would stay there: without dropout, all ten.
_FIRST_LOGIT = 2.0


class _AllConvolutional(nn.Module):
    def __init__(self, layers: list[nn.Module]):
        self.features = nn.Sequential(*layers)
        self.pool = nn.GlobalAvgPool()
        he_convolutions(self)
        nn.init.constant_(layers[-2].bias, _FIRST_LOGIT)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        return self.pool(self.features(x))


class AllCNN(_AllConvolutional):
    """The networks for CIFAR of the paper's tables 1 and 2.

        A                B                C                 then, in all
        5 x 5, 96        5 x 5, 96        3 x 3, 96         3 x 3, 192
                         1 x 1, 96        3 x 3, 96         1 x 1, 192
        halved           halved           halved            1 x 1, num_classes
        5 x 5, 192       5 x 5, 192       3 x 3, 192        global average pooling
                         1 x 1, 192       3 x 3, 192
        halved           halved           halved

    The base models halve the maps by max pooling, the all-convolutional ones by an additional 3 x 3
    convolution with stride 2, and Strided-CNN-C by stride 2 of the convolution before. ConvPool-CNN-C has
    both the additional convolution and the pooling. ReLU follows every convolution.

    Parameters
    ----------
    form : str
        "base_a", "base_b", "base_c", "a", "b", "c", "strided_c" or "convpool_c".
    num_classes, in_channels : int
    image_size : int, pixels, at least 9
        Only checked.
    padding7 : int or None, pixels
        Padding of the 3 x 3 convolution after the second halving: 0 turns 8 x 8 into 6 x 6 before the global
        average pooling, as in the paper's text. None takes 0 for C and 1 for A and B.

    Raises
    ------
    ValueError
        If the image is too small.

    Notes
    -----
    Dropout: 0.2 of the input, 0.5 after each halving. The last biases start at 2, which keeps the logits out of the
    flat part of the last ReLU; the paper does not mention this. The paper states about 1.3 M parameters for
    the base model C, but its table gives 954,730.
    Source: Springenberg, Dosovitskiy, Brox and Riedmiller 2014, "Striving for Simplicity: The All
    Convolutional Net", arXiv 1412.6806.
    """

    def __init__(
        self, form: str, num_classes: int = 10, in_channels: int = 3, image_size: int = 32, padding7: int | None = None
    ):
        arguments.integer("AllCNN", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 9:
            raise ValueError(f"AllCNN: image_size - expected at least 9, got {image_size}")
        padding7 = (0 if form.endswith("c") else 1) if padding7 is None else padding7
        layers, channels = [nn.Dropout(0.2)], in_channels
        for entry in _CIFAR[form]:
            if entry == "pool":
                layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            else:
                kernel, filters, stride = entry
                layers += [nn.Conv2d(channels, filters, kernel, stride=stride, padding=kernel // 2), nn.ReLU()]
                channels = filters
            if entry == "pool" or stride == 2:
                layers.append(nn.Dropout(0.5))
        layers += [nn.Conv2d(channels, 192, 3, padding=padding7), nn.ReLU()]
        layers += [nn.Conv2d(192, 192, 1), nn.ReLU(), nn.Conv2d(192, num_classes, 1), nn.ReLU()]
        super().__init__(layers)


@register("allcnn_imagenet")
class AllCNNImageNet(_AllConvolutional):
    """The network for ImageNet: twelve convolutions, and global average pooling of a 6 x 6 map per class.

        11 x 11, 96, stride 4    1 x 1, 96     3 x 3, 96, stride 2      to 55 x 55, then 27 x 27
        5 x 5, 256               1 x 1, 256    3 x 3, 256, stride 2     to 13 x 13
        3 x 3, 384               1 x 1, 384    3 x 3, 384, stride 2     to 6 x 6
        3 x 3, 1024              1 x 1, 1024   1 x 1, num_classes       global average pooling

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, pixels, at least 63
        Only checked.

    Raises
    ------
    ValueError
        If the image is too small.

    Notes
    -----
    9,372,840 parameters, and 1,213,344,288 multiplications per image of 224 pixels, with two pixels of
    padding in the first convolution. Source: the appendix of the paper of `AllCNN`.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224):
        sizes = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
        arguments.integer("AllCNNImageNet", least=1, **sizes)
        if image_size < 63:
            raise ValueError(f"AllCNNImageNet: image_size - expected at least 63, got {image_size}")
        layers, channels = [], in_channels
        for kernel, filters, stride, padding in _IMAGENET:
            layers += [nn.Conv2d(channels, filters, kernel, stride=stride, padding=padding), nn.ReLU()]
            channels = filters
        super().__init__([*layers, nn.Dropout(0.5), nn.Conv2d(channels, num_classes, 1), nn.ReLU()])


for _form in _CIFAR:
    _name = {"strided_c": "strided_cnn_c", "convpool_c": "convpool_cnn_c"}.get(_form, f"allcnn_{_form}")
    register(_name)(partial(AllCNN, _form))
