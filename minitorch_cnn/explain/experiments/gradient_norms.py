"""Why shortcuts help: how large the gradient is at each layer of deep networks with and without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments, nn, ops, rng
from minitorch_cnn.autograd import enable_grad
from minitorch_cnn.data import Shapes10
from minitorch_cnn.display import figures, html
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.models.densenet import DenseNet
from minitorch_cnn.models.resnet import BasicBlock, ResNet
from minitorch_cnn.nn import Module
from minitorch_cnn.optim.clip import total_norm
from minitorch_cnn.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("plain", "residual", "dense")
DEPTHS = (20, 56, 110)
_FILTERS, _GROWTH = (8, 16, 32), 4  # half as wide as in the papers, or less, so that it takes seconds
_IMAGES, _SIDE = 8, 16


class PlainBlock(BasicBlock):
    """The block of a residual network without its shortcut.

    relu(bn2(conv2(relu(bn1(conv1(x))))))

    Parameters
    ----------
    in_channels, filters, stride, downsample
        As in `BasicBlock`; ``downsample`` is not used.

    Returns
    -------
    Tensor, shape (N, filters, OH, OW)
        On call, for x of shape (N, in_channels, H, W).

    Raises
    ------
    ShapeError
        On call, if x has another number of channels.
    """

    def __init__(self, in_channels, filters, stride=1, downsample=None):
        super().__init__(in_channels, filters, stride)

    def forward(self, x):
        """Return the block's output for x, (N, C, H, W)."""
        x = nn.conv_bn_act(x, self.conv1, self.bn1)
        return nn.conv_bn_act(x, self.conv2, self.bn2)


@dataclass(frozen=True)
class GradientNorms(Picture):
    """The norms of the gradients of all convolutions, from the first to the last, by (kind, depth)."""

    norms: dict[str, Any]

    def spread(self, kind: str, depth: int) -> float:
        """Return how many times larger the largest norm of a network is than its smallest."""
        norms = self.norms[kind, depth]
        return max(norms) / min(norms)

    @property
    def _rows(self):
        rows = [("network", "layers", "first layer", "last convolution", "first / last", "largest / smallest")]
        for (kind, depth), norms in self.norms.items():
            numbers = norms[0], norms[-1], norms[0] / norms[-1], self.spread(kind, depth)
            rows.append((kind, str(depth), *(f"{number:.2g}" for number in numbers)))
        return rows

    def __str__(self) -> str:
        """The figure as text: a line for each network."""
        widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in self._rows]
        return "\n".join(["norm of the gradient of the weights, before the first step", *lines])

    def _repr_html_(self):
        return html.table(self._rows, "norm of the gradient of the weights, before the first step")

    @figures.style()
    def figure(self) -> "Figure":
        """Return the curves as a matplotlib Figure: the norm of each layer, on a logarithmic axis."""
        figure = figures.blank("Size of the gradient at each layer, before training")
        depths = list(dict.fromkeys(depth for _, depth in self.norms))
        looks = {"plain": (figures.ORANGE, "-"), "residual": (figures.BLUE, "--"), "dense": (figures.GREEN, ":")}
        panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
        for axes, depth in zip(panels, depths, strict=True):
            for kind in dict.fromkeys(kind for kind, _ in self.norms):
                norms, (colour, line) = self.norms[kind, depth], looks[kind]
                axes.semilogy(range(1, len(norms) + 1), norms, line, color=colour, label=kind)
            axes.set_title(f"{depth} layers")
            axes.grid()
        figure.supxlabel("convolution, 1 is next to the image", fontsize=figures.LABEL)
        panels[0].set_ylabel("norm of the gradient of its weights")
        panels[0].legend()
        return figure


def deep_network(kind: str, depth: int) -> Module:
    """Make a narrow network of one kind.

    Parameters
    ----------
    kind : str
        One of KINDS: "residual" has three stages of basic blocks, "plain" the same without shortcuts, "dense" has three
        dense blocks.
    depth : int
        Layers with weights, including the fully connected layer and the transitions: 6n + 2.

    Returns
    -------
    Module

    Raises
    ------
    TypeError
        If ``depth`` is not an integer.
    ValueError
        If there is no such kind, or no such network of this depth.
    """
    arguments.one_of("deep_network", KINDS, kind=kind)
    arguments.integer("deep_network", least=8, depth=depth)
    if (depth - 2) % 6:
        raise ValueError(f"deep_network: depth - expected 6n + 2, at least 8, got {depth!r}")
    if kind == "dense":
        layers = depth - 4  # without the stem, two transitions and the fully connected layer
        counts = [layers // 3 + (i < layers % 3) for i in range(3)]
        return DenseNet(counts, _GROWTH, 2 * _GROWTH, num_classes=10, image_size=_SIDE, stem="cifar", bottleneck=False)
    block = BasicBlock if kind == "residual" else PlainBlock
    counts = ((depth - 2) // 6,) * 3
    return ResNet(block, counts, _FILTERS, num_classes=10, image_size=_SIDE, stem="cifar", option="A")


@enable_grad()
def gradient_norms(depths: Sequence[int] = DEPTHS, kinds: Sequence[str] = KINDS, seed: int = 0) -> GradientNorms:
    """Measure the gradient of the loss with respect to the weights of every convolution, before any training.

    Parameters
    ----------
    depths : sequence of int
        Layers with weights; each 6n + 2.
    kinds : sequence of str
        Of KINDS; see `deep_network`.
    seed : int
        Of the weights.

    Returns
    -------
    GradientNorms

    Raises
    ------
    TypeError, ValueError
        As `deep_network`; also if ``depths`` or ``kinds`` is not a sequence.

    Notes
    -----
    The input is one batch of shapes10 at half its size. All networks have batch norm and He's initial weights.
    Without shortcuts the gradient then does not vanish: it grows from layer to layer on its way back, because
    each batch norm after a ReLU makes it a little larger. A shortcut carries it past them.
    Source: He, Zhang, Ren and Sun 2015, arXiv 1512.03385; Yang, Pennington, Rao, Sohl-Dickstein and
    Schoenholz 2019, "A Mean Field Theory of Batch Normalization", arXiv 1902.08129.
    """
    depths = arguments.listed("gradient_norms", "depths", depths)
    kinds = arguments.listed("gradient_norms", "kinds", kinds)
    shapes, state = Shapes10(train=True, size=_IMAGES), rng.get_state()
    small = shapes.images[:, ::2, ::2].transpose(0, 3, 1, 2).astype(np.float32) / 255
    x = Tensor((small - small.mean()) / small.std())
    try:
        return GradientNorms({(k, d): _norms(k, d, x, shapes.labels, seed) for d in depths for k in kinds})
    finally:
        rng.set_state(state)


def _norms(kind, depth, x, labels, seed):
    rng.manual_seed(seed)
    model = deep_network(kind, depth)
    ops.cross_entropy(model(x), labels).backward()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [total_norm([module.weight.grad]) for module in convolutions]
