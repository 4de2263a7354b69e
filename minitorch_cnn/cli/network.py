"""`mcnn summary` and `mcnn topology`: what a network is made of, as a table and as a drawing."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.parser import integer, set_command


def add_commands(commands):
    """Add ``mcnn summary`` and ``mcnn topology``."""
    _add_topology(commands)
    parser = commands.add_parser(
        "summary",
        help="print a network as a table",
        description="Print output shape, parameters, multiply-adds, memory of the feature maps and receptive field of "
        "each layer, and the totals. Nothing is computed: the network is traced.",
        examples=("mcnn summary cifar4", "mcnn summary resnet18 --classes 10 --image-size 64 --json"),
    )
    parser.add_argument("name", metavar="NAME", help="of the network; a wrong one lists all")
    _add_sizes(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    set_command(parser, _summary, _summary_code)


def _add_sizes(parser):
    parser.add_argument("--classes", type=integer(1), metavar="K", help="outputs (default: the network's own)")
    parser.add_argument(
        "--in-channels", type=integer(1), metavar="C", help="of the images (default: the network's own)"
    )
    parser.add_argument("--image-size", type=integer(1), metavar="S", help="pixels a side (default: the network's own)")


def _add_topology(commands):
    parser = commands.add_parser(
        "topology",
        help="draw a network",
        description="Draw the layers of a network and the connections between them, shortcuts among them, from its "
        "trace; or the famous networks side by side; or what their answers cost. Without -o it prints the "
        "same as text.",
        examples=("mcnn topology resnet18 -o resnet18.svg", "mcnn topology --poster -o poster.png"),
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the network; a wrong one lists all")
    _add_sizes(parser)
    parser.add_argument("--poster", action="store_true", help="the famous networks, and the pattern that they share")
    parser.add_argument(
        "--efficiency", action="store_true", help="error of ResNets and DenseNets by parameters and multiplications"
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="a .png or .svg file")
    set_command(parser, _topology, _topology_code)


def _topology(arguments):
    from minitorch_cnn import explain, models
    from minitorch_cnn.display import figures

    _check_topology(arguments)
    if arguments.poster or arguments.efficiency:
        figure = explain.poster() if arguments.poster else explain.efficiency()
    else:
        given, shape = _sizes(arguments)
        try:
            found = explain.topology(models.create(arguments.name, **given), shape, arguments.name)
        except ValueError as error:  # such as an image that is too small
            raise UsageError(f"mcnn topology: {error}") from error
        if arguments.output is None:
            print(found)
            print(explain.pattern(found))
            return
        figure = found.figure()
    try:
        figures.save(figure, arguments.output)
    except ValueError as error:
        raise UsageError(f"mcnn topology: -o - {str(error).partition(' - ')[2]}") from error


def _check_topology(arguments):
    """Raise UsageError unless one thing is to be drawn, and the pictures without text go to a file."""
    pictures = [name for name in ("poster", "efficiency") if getattr(arguments, name)]
    if bool(arguments.name) + len(pictures) != 1:
        raise UsageError("mcnn topology: expected NAME, --poster or --efficiency, one of them")
    if pictures and arguments.output is None:
        raise UsageError(f"mcnn topology: -o - expected a .png or .svg file for --{pictures[0]}, got none")


def _topology_code(arguments):
    _check_topology(arguments)
    if arguments.poster or arguments.efficiency:
        made, imports = f"explain.{'poster' if arguments.poster else 'efficiency'}()", "explain"
    else:
        given, shape = _sizes(arguments)
        options = "".join(f", {key}={value}" for key, value in given.items())
        model = f"models.create({arguments.name!r}{options})"
        made = f"explain.topology({model}, {shape}, {arguments.name!r})"
        if arguments.output is None:
            lines = f"found = {made}\nprint(found)\nprint(explain.pattern(found))\n"
            return f"from minitorch_cnn import explain, models\n\n{lines}"
        made, imports = f"{made}.figure()", "explain, models"
    return (
        f"from minitorch_cnn import {imports}\nfrom minitorch_cnn.display import figures\n\n"
        f"figures.save({made}, {arguments.output!r})\n"
    )


def _sizes(arguments):
    """Return (arguments of `models.create`, shape of an image)."""
    from minitorch_cnn import models

    try:
        channels, size = models.native_input(arguments.name)
    except ValueError as error:
        raise UsageError(f"mcnn {arguments.command}: NAME - {str(error).partition(' - ')[2]}") from error
    channels, size = arguments.in_channels or channels, arguments.image_size or size
    given = {"in_channels": channels, "image_size": size}
    if arguments.classes:
        given["num_classes"] = arguments.classes
    given["drawn"] = False  # only shapes are looked at
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
