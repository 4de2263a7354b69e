"""`mcnn summary`: what a network is made of."""

from minitorch_cnn.cli.parser import UsageError, integer


def add_commands(commands):
    """Add ``mcnn summary``."""
    parser = commands.add_parser(
        "summary",
        help="print a network as a table",
        description="Print output shape, parameters, multiply-adds, memory of the feature maps and receptive field of "
        "each layer, and the totals. Nothing is computed: the network is traced.",
        examples=("mcnn summary cifar4", "mcnn summary resnet18 --classes 10 --image-size 64 --json"),
    )
    parser.add_argument("name", metavar="NAME", help="of the network; a wrong one lists all")
    parser.add_argument("--classes", type=integer(1), metavar="K", help="outputs (default: the network's own)")
    parser.add_argument(
        "--in-channels", type=integer(1), metavar="C", help="of the images (default: the network's own)"
    )
    parser.add_argument("--image-size", type=integer(1), metavar="S", help="pixels a side (default: the network's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--show-code", action="store_true", help="print the Python that does the same, and stop")
    parser.set_defaults(run=_summary, code=_summary_code, parser=parser)


def _sizes(arguments):
    """Return (arguments of `models.create`, shape of an image)."""
    from minitorch_cnn import models

    try:
        channels, size = models.native_input(arguments.name)
    except ValueError as error:
        raise UsageError(f"mcnn summary: NAME - {str(error).partition(' - ')[2]}") from error
    channels, size = arguments.in_channels or channels, arguments.image_size or size
    given = {"in_channels": channels, "image_size": size}
    if arguments.classes:
        given["num_classes"] = arguments.classes
    return given, (1, channels, size, size)


def _summary(arguments):
    from minitorch_cnn import explain, models

    given, shape = _sizes(arguments)
    try:
        summary = explain.summary(models.create(arguments.name, **given), shape)
    except ValueError as error:  # such as an image that is too small
        raise UsageError(f"mcnn summary: {error}") from error
    print(summary.json() if arguments.json else summary)


def _summary_code(arguments):
    given, shape = _sizes(arguments)
    options = "".join(f", {key}={value}" for key, value in given.items())
    return (
        "from minitorch_cnn import explain, models\n\n"
        f"print(explain.summary(models.create({arguments.name!r}{options}), {shape}))\n"
    )
