"""Two pictures of many networks: the famous ones side by side, and error against cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minitorch_cnn import arguments, models
from minitorch_cnn.display import figures
from minitorch_cnn.explain.network.stages import pattern, shared
from minitorch_cnn.explain.network.summary import summary
from minitorch_cnn.explain.network.topology import topology
from minitorch_cnn.explain.network.topology_drawing import COLOURS, NAMES, bar_height

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAMOUS = (
    ("lenet5", "LeNet-5", 1998),
    ("alexnet_2012", "AlexNet", 2012),
    ("vgg_d", "VGG-D", 2014),
    ("allcnn_imagenet", "All-CNN", 2014),
    ("resnet34", "ResNet-34", 2015),
    ("densenet121", "DenseNet-121", 2016),
)
# Top-1 error in percent on ImageNet's validation images, one crop of 224 pixels: DenseNets from the table of
# their authors' repository (Huang et al.), ResNets from fb.resnet.torch, whose training both share.
RESNETS = {"resnet34": 26.73, "resnet50": 24.01, "resnet101": 22.44, "resnet152": 22.16}
DENSENETS = {"densenet121": 25.0, "densenet169": 23.6, "densenet201": 22.5, "densenet161": 22.2}


@figures.style()
def _entry(entry):
    """Return (name, title, year) of a network of the poster."""
    if not isinstance(entry, (tuple, list)) or len(entry) != 3:
        raise TypeError(f"poster: networks - expected (name, title, year) of each, got {entry!r:.60}")
    return entry


def poster(networks: Sequence[tuple[str, str, int]] = FAMOUS) -> "Figure":
    """Draw networks side by side, with their sizes and the pattern that they share.

    Parameters
    ----------
    networks : sequence of (str, str, int)
        Name in the registry, title and year.

    Returns
    -------
    matplotlib.figure.Figure
        Everything but title and year comes from the traces.

    Raises
    ------
    TypeError, ValueError
        If ``networks`` holds anything else, or no network.
    """
    from matplotlib.patches import Patch

    networks = [_entry(one) for one in arguments.listed("poster", "networks", networks)]
    if not networks:
        raise ValueError("poster: networks - expected at least one, got none")
    figure = figures.blank("Famous networks, one pattern", slides=max(1, len(networks) / 6), pads=(0.1, 0.04))
    axes = figure.subplots(len(networks), 3, squeeze=False, width_ratios=(1.3, 3.6, 3.3))
    patterns = []
    for (name, title, year), (left, middle, right) in zip(networks, axes, strict=True):
        shape = (1, *_image(name))
        model = models.create(name, drawn=False)
        numbers, drawn = summary(model, shape), topology(model, shape)
        patterns.append(pattern(drawn))
        left.text(0, 0.5, f"{title}\n{year}", fontsize=figures.HEADING, va="center")
        _silhouette(middle, drawn)
        field = numbers.receptive_field[0]
        beyond = ", beyond the image" if field > shape[2] else ""
        facts = (
            f"{patterns[-1].depth} layers, {_rounded(numbers.params)} parameters\n"
            f"{_rounded(numbers.macs)} multiplications\n"
            f"receptive field {field} x {field}{beyond}"
        )
        right.text(0, 0.5, facts, fontsize=figures.SMALL, va="center")
        for cell in (left, middle, right):
            cell.axis("off")
    found = [f"{sentence} ({count} of {len(patterns)})" for sentence, count in shared(patterns)]
    figure.supxlabel("\n".join("; ".join(found[i : i + 2]) for i in range(0, len(found), 2)), fontsize=figures.SMALL)
    patches = [Patch(fc=COLOURS[kind], label=NAMES[kind]) for kind in ("conv", "pool", "full")]
    axes[0, 1].legend(handles=patches, loc="center right", fontsize=figures.SMALL)
    return figure


def _image(name):
    channels, side = models.native_input(name)
    return channels, side, side


def _rounded(count):
    """Return a count with three digits, such as "61.7 thousand"."""
    for unit, word in ((1e9, "billion"), (1e6, "million")):
        if count >= unit:
            return f"{count / unit:.3g} {word}"
    return f"{count / 1e3:.3g} thousand"


def _silhouette(axes, drawn):
    """Draw the layers of a network as bars, all networks in the same width."""
    nodes = [node for node in drawn.nodes if node.kind not in ("add", "concat")]
    largest = max(node.side for node in nodes)
    for x, node in enumerate(nodes):
        axes.bar(
            x, bar_height(node, largest), width=0.8, bottom=-bar_height(node, largest) / 2, color=COLOURS[node.kind]
        )
    axes.set_xlim(-0.6, max(len(nodes), 19) - 0.4)
    axes.set_ylim(-0.55, 0.55)


@figures.style()
def efficiency() -> "Figure":
    """Draw the error of ResNets and DenseNets against parameters and multiplications.

    Returns
    -------
    matplotlib.figure.Figure
        Figure 3 of the DenseNet paper, with parameters and multiplications counted here.

    Notes
    -----
    Source: Huang, Liu, van der Maaten and Weinberger 2016, figure 3, arXiv 1608.06993.
    """
    figure = figures.blank("DenseNets need fewer weights and fewer multiplications\nfor the same error")
    counted = {name: summary(models.create(name, drawn=False), (1, *_image(name))) for name in (*RESNETS, *DENSENETS)}
    for axes, count, label in zip(
        figure.subplots(1, 2, sharey=True),
        ("params", "macs"),
        ("parameters, millions", "multiplications, billions"),
        strict=True,
    ):
        unit = 1e6 if count == "params" else 1e9
        for family, name, style in (
            (RESNETS, "ResNet", {"marker": "o", "color": figures.ORANGE, "ls": "--"}),
            (DENSENETS, "DenseNet", {"marker": "s", "color": figures.BLUE, "ls": "-"}),
        ):
            offset = (7, 6) if family is RESNETS else (-40, -18)
            costs = [getattr(counted[model], count) / unit for model in family]
            axes.plot(costs, list(family.values()), label=name, **style)
            for model, cost, error in zip(family, costs, family.values(), strict=True):
                axes.annotate(
                    model[len(name) :], (cost, error), xytext=offset, textcoords="offset points", fontsize=figures.SMALL
                )
        axes.set_xlabel(label)
        axes.set_xlim(0, 1.1 * axes.get_xlim()[1])
        axes.margins(y=0.12)
        axes.grid()
        axes.legend()
    source = "errors: tables of the authors of DenseNet and of fb.resnet.torch; the rest: counted"
    figure.supxlabel(source, fontsize=figures.SMALL)
    figure.axes[0].set_ylabel("top-1 error on ImageNet, one crop, %")
    return figure
