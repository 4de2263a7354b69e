"""`mcnn explain filters`, `maps`, `patches`, `saliency`, `occlusion`, `gradcam`: what a network responds to."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.images import add_source_options
from minitorch_cnn.cli.options import (
    add_model_options,
    add_output_option,
    classifier_code,
    ending,
    load_classifier,
    model_path,
    test_source,
)
from minitorch_cnn.cli.parser import integer
from minitorch_cnn.display import figures


def add_commands(group):
    """Add the commands to ``mcnn explain``."""
    filters = group.add_parser(
        "filters",
        help="the filters of a layer",
        description="Draw the filters of a convolution. A .gif shows how they changed from checkpoint to "
        "checkpoint of the run: the last two and the end, or every epoch after mcnn train --save-epochs.",
        examples=(
            "mcnn explain filters runs/cifar4-1 -o filters.png",
            "mcnn explain filters --network resnet18 --model resnet18.pth -o filters.png",
        ),
    )
    filters.add_argument("--layer", metavar="PATH", help="a convolution (default: the first)")
    _finish(filters, (*figures.KINDS, ".gif"), _filters_code, first=True)

    maps = _with_images(
        group,
        "maps",
        "the feature maps of an image, layer by layer",
        (
            "mcnn explain maps cat.png -o maps.png",
            "mcnn explain maps --model runs/cifar4-1 --layer conv1 --layer conv4",
        ),
        count=1,
    )
    maps.add_argument(
        "--layer", action="append", metavar="PATH", help="a convolution; may be repeated (default: five of them)"
    )
    _finish(maps, figures.KINDS, _maps_code)

    patches = _with_images(
        group,
        "patches",
        "the image patches to which the units of a layer respond most",
        ("mcnn explain patches -o patches.png", "mcnn explain patches conv4 --model runs/cifar4-1 -o patches.png"),
        count=2000,
        files=False,
    )
    patches.add_argument(
        "layer", nargs="?", metavar="LAYER", help="as `mcnn summary` lists them (default: the last convolution)"
    )
    patches.add_argument("--top", type=integer(1), default=9, metavar="K", help="patches for each unit (default: 9)")
    patches.add_argument(
        "--unit",
        type=integer(0),
        action="append",
        metavar="C",
        help="a channel; may be repeated (default: the 8 strongest)",
    )
    _finish(patches, figures.KINDS, _patches_code)

    for name, text in (
        ("saliency", "the pixels on which a prediction depends most"),
        ("occlusion", "how much the score of a class falls when a square hides a part of the image"),
        ("gradcam", "the regions of a layer's feature maps that speak for a class"),
    ):
        parser = _with_images(group, name, text, (f"mcnn explain {name} cat.png -o {name}.png",), count=5)
        if name == "gradcam":
            parser.add_argument("--layer", metavar="PATH", help="a layer (default: the last convolution)")
        parser.add_argument("--target", metavar="CLASS", help="a name or an index (default: the most probable class)")
        _finish(parser, figures.KINDS, _attribution_code)


def _with_images(group, name, text, examples, count, files=True):
    parser = group.add_parser(
        name, help=text, description=f"Show {text}. The network is in evaluation mode.", examples=examples
    )
    if files:
        parser.add_argument(
            "images", nargs="*", metavar="IMAGE", help="image files (default: the first images of the test set)"
        )
    add_source_options(parser, "the images that the model was trained on")
    parser.add_argument(
        "--count", type=integer(1), default=count, metavar="N", help=f"images of the test set (default: {count})"
    )
    return parser


def _finish(parser, kinds, code, first=False):
    add_model_options(parser, first)
    add_output_option(parser, kinds, code)


def _images_code(arguments):
    """Return the Python that loads the classifier, the images, and their labels as far as they are known."""
    files = arguments.images
    head = f"from minitorch_cnn import data, explain, train\n\nclassifier = {classifier_code(arguments)}\n"
    if files:
        return f"{head}x, labels = classifier.normalised(classifier.read({files!r})), None\n"
    images = "x, labels = classifier.normalised(dataset.images), classifier.labels(dataset)\n"
    return head + _dataset_code(arguments) + images


def _dataset_code(arguments):
    """Return the Python that makes ``dataset``: the first images of the test set as the classifier takes them."""
    opened = test_source(arguments).code(train=False)
    return f"dataset = classifier.prepare({opened}.select(slice(0, {arguments.count})))\n"


def _filters_code(arguments):
    film = ""
    if arguments.output is not None and arguments.output.lower().endswith(".gif"):
        film = f"made = explain.filter_film(made.layer, folder={model_path(arguments)!r})\n"
    return (
        "from minitorch_cnn import explain, train\n\n"
        f"made = explain.filters({classifier_code(arguments)}.model, {arguments.layer!r})\n" + film + ending(arguments)
    )


def _maps_code(arguments):
    made = f"made = explain.feature_maps(classifier.model, x, {arguments.layer!r})\n"
    return _images_code(arguments) + made + ending(arguments)


def _patches_code(arguments):
    a = arguments
    layer = a.layer or _layer(a, load_classifier(a).model)
    return (
        "from minitorch_cnn import data, explain, train\n\n"
        f"classifier = {classifier_code(a)}\n"
        f"{_dataset_code(a)}"
        f"made = explain.patches(classifier.model, {layer!r}, dataset, k={a.top}, units={a.unit!r})\n" + ending(a)
    )


def _attribution_code(arguments):
    function, layer = arguments.what, ""
    if arguments.what == "gradcam":
        function, layer = "grad_cam", f", {_layer(arguments, load_classifier(arguments).model)!r}"
    given = f"target={_target(arguments)!r}, labels=labels, classes=classifier.classes"
    made = f"made = explain.{function}(classifier.model, x{layer}, {given})\n"
    return _images_code(arguments) + made + ending(arguments)


def _target(arguments):
    """Return --target as a number if it is one, else as a name."""
    target = arguments.target
    return int(target) if target is not None and target.isdecimal() else target


def _layer(arguments, model):
    """Return --layer, or the last convolution."""
    from minitorch_cnn import nn

    convolutions = [path for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    if arguments.layer is None and not convolutions:
        raise UsageError(
            f"{arguments.parser.prog}: --model - expected one with a convolution, got {type(model).__name__}"
        )
    return arguments.layer or convolutions[-1]
