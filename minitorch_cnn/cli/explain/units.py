"""`mcnn explain filters`, `maps`, `patches`, `saliency`, `occlusion`, `gradcam`: what a network looks for."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import Source, add_output_option, add_source_options, ending, show, source
from minitorch_cnn.cli.parser import integer
from minitorch_cnn.cli.predict import model_path

_KINDS = ".png or .svg"


def add_commands(group):
    """Add the commands to ``mcnn explain``."""
    filters = group.add_parser(
        "filters",
        help="the filters of a layer",
        description="Draw the filters of a convolution; into a .gif, as a film of the checkpoints of the run.",
        examples=(
            "mcnn explain filters --model runs/cifar4-1 -o filters.png",
            "mcnn explain filters --network resnet18 --model resnet18.pth -o filters.png",
        ),
    )
    filters.add_argument("--layer", metavar="PATH", help="of a convolution (default: the first)")
    _finish(filters, f"{_KINDS}, or for a film .gif", _filters, _filters_code)

    maps = _with_images(
        group,
        "maps",
        "what an image becomes on its way through a network",
        (
            "mcnn explain maps cat.png -o maps.png",
            "mcnn explain maps --model runs/cifar4-1 --layer conv1 --layer conv4",
        ),
        count=1,
    )
    maps.add_argument("--layer", action="append", metavar="PATH", help="may be repeated (default: five convolutions)")
    _finish(maps, _KINDS, _maps, _maps_code)

    patches = _with_images(
        group,
        "patches",
        "the patches of a dataset that the units of a layer answer most to",
        ("mcnn explain patches conv4 --model runs/cifar4-1 -o patches.png",),
        count=2000,
        files=False,
    )
    patches.add_argument("layer", metavar="LAYER", help="as `mcnn summary` lists them")
    patches.add_argument("--top", type=integer(1), default=9, metavar="K", help="patches a unit (default: 9)")
    patches.add_argument(
        "--unit", type=integer(0), action="append", metavar="C", help="may be repeated (default: the 8 strongest)"
    )
    _finish(patches, _KINDS, _patches, _patches_code)

    for name, text in (
        ("saliency", "which pixels an answer changes most with"),
        ("occlusion", "how much an answer falls when a square hides a part of the image"),
        ("gradcam", "which places of a layer's maps speak for an answer"),
    ):
        parser = _with_images(group, name, text, (f"mcnn explain {name} cat.png -o {name}.png",), count=5)
        if name == "gradcam":
            parser.add_argument("--layer", metavar="PATH", help="(default: the last convolution)")
        parser.add_argument("--target", metavar="CLASS", help="name or number of a class (default: the likeliest)")
        _finish(parser, _KINDS, _attribution, _attribution_code)


def _with_images(group, name, text, examples, count, files=True):
    parser = group.add_parser(name, help=text, description=f"Show {text}, in evaluation mode.", examples=examples)
    if files:
        parser.add_argument("images", nargs="*", metavar="IMAGE", help="files (default: images of the test set)")
    add_source_options(parser)
    parser.add_argument(
        "--count", type=integer(1), default=count, metavar="N", help=f"images of the test set (default: {count})"
    )
    return parser


def _finish(parser, kinds, make, code):
    parser.add_argument("--model", metavar="PATH", help="a run's folder or model file (default: the last in runs/)")
    parser.add_argument("--network", metavar="NAME", help="then --model is a file of weights alone, as of torch.save")
    add_output_option(parser, kinds, lambda a: show(a, lambda: make(a)), code)


def _classifier(arguments):
    from minitorch_cnn import train

    if arguments.network is None:
        return train.Classifier.load(model_path(arguments))
    return train.Classifier.pretrained(arguments.network, arguments.model)


def _classifier_code(arguments):
    if arguments.network is None:
        return f"train.Classifier.load({model_path(arguments)!r})"
    return f"train.Classifier.pretrained({arguments.network!r}, {arguments.model!r})"


def _source(arguments):
    return source(arguments.data, arguments.unverified) or Source("shapes10")


def _images(arguments, classifier):
    """Return the image files, or the first images of the test set, as uint8 (N, H, W, C)."""
    if arguments.images:
        return classifier.read(arguments.images)
    return _source(arguments).open(train=False).images[: arguments.count]


def _images_code(arguments):
    """Return the Python that loads the classifier and the images."""
    if arguments.images:
        images = f"classifier.read({arguments.images!r})"
    else:
        images = f"{_source(arguments).code(train=False)}.images[:{arguments.count}]"
    return (
        "from minitorch_cnn import data, explain, train\n\n"
        f"classifier = {_classifier_code(arguments)}\n"
        f"x = classifier.normalised({images})\n"
    )


def _is_film(arguments):
    return arguments.output is not None and arguments.output.lower().endswith(".gif")


def _filters(arguments):
    from minitorch_cnn import explain

    model = _classifier(arguments).model
    grid = explain.filters(model, arguments.layer)
    return explain.filter_film(grid.layer, folder=model_path(arguments)) if _is_film(arguments) else grid


def _filters_code(arguments):
    film = ""
    if _is_film(arguments):
        film = f"made = explain.filter_film(made.layer, folder={model_path(arguments)!r})\n"
    return (
        "from minitorch_cnn import explain, train\n\n"
        f"made = explain.filters({_classifier_code(arguments)}.model, {arguments.layer!r})\n" + film + ending(arguments)
    )


def _maps(arguments):
    from minitorch_cnn import explain

    classifier = _classifier(arguments)
    x = classifier.normalised(_images(arguments, classifier))
    return explain.feature_maps(classifier.model, x, arguments.layer)


def _maps_code(arguments):
    made = f"made = explain.feature_maps(classifier.model, x, {arguments.layer!r})\n"
    return _images_code(arguments) + made + ending(arguments)


def _patches(arguments):
    from minitorch_cnn import explain

    a, model = arguments, _classifier(arguments).model
    dataset = _source(a).open(train=False).select(slice(0, a.count))
    return explain.patches(model, a.layer, dataset, k=a.top, units=a.unit)


def _patches_code(arguments):
    a = arguments
    return (
        "from minitorch_cnn import data, explain, train\n\n"
        f"model = {_classifier_code(a)}.model\n"
        f"dataset = {_source(a).code(train=False)}.select(slice(0, {a.count}))\n"
        f"made = explain.patches(model, {a.layer!r}, dataset, k={a.top}, units={a.unit!r})\n" + ending(a)
    )


def _attribution(arguments):
    from minitorch_cnn import explain

    classifier = _classifier(arguments)
    x = classifier.normalised(_images(arguments, classifier))
    options = {"target": _target(arguments), "classes": classifier.classes}
    if arguments.what == "gradcam":
        return explain.grad_cam(classifier.model, x, _layer(arguments, classifier.model), **options)
    return {"saliency": explain.saliency, "occlusion": explain.occlusion}[arguments.what](
        classifier.model, x, **options
    )


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


def _attribution_code(arguments):
    function, layer = arguments.what, ""
    if arguments.what == "gradcam":
        function, layer = "grad_cam", f", {_layer(arguments, _classifier(arguments).model)!r}"
    given = f"target={_target(arguments)!r}, classes=classifier.classes"
    made = f"made = explain.{function}(classifier.model, x{layer}, {given})\n"
    return _images_code(arguments) + made + ending(arguments)
