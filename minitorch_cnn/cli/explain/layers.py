"""`mcnn explain matrix`, `field` and `growth`: which outputs depend on which inputs."""

from minitorch_cnn.cli.options import NETWORK, add_output_option, ending, network
from minitorch_cnn.cli.parser import integer
from minitorch_cnn.display import figures


def add_commands(group):
    """Add the commands to ``mcnn explain``."""
    matrix = group.add_parser(
        "matrix",
        help="a convolution as a matrix",
        description="Write a convolution as a matrix, each weight in its own colour, and count the weights if every "
        "output had its own weights for all inputs (dense), for its window (local), or shared them (convolution).",
        examples=(
            "mcnn explain matrix --input 6 --kernel 3 --pad 1 -o matrix.png",
            "mcnn explain matrix --input 32 --channels 3 --filters 96 --kernel 5 --pad 2",
        ),
    )
    sizes = (("input", 1, 6), ("kernel", 1, 3), ("stride", 1, 1), ("pad", 0, 0), ("dilation", 1, 1))
    for name, least, default in (*sizes, ("channels", 1, 1), ("filters", 1, 1), ("groups", 1, 1)):
        matrix.add_argument(
            f"--{name}", type=integer(least, 1000), default=default, metavar="N", help=f"(default: {default})"
        )
    matrix.add_argument("--one-d", action="store_true", help="one dimension: a signal, not an image")
    add_output_option(matrix, figures.KINDS, _matrix_code)

    field = group.add_parser(
        "field",
        help="which pixels one unit of a network sees",
        description="Find the exact box of pixels that a unit depends on, and measure by gradients how much each pixel "
        "matters in a network with random weights.",
        examples=("mcnn explain field resnet20 layer2.1 7 2", "mcnn explain field cifar4 conv3 4 4 -o field.png"),
    )
    field.add_argument("name", metavar="NAME", help=NETWORK)
    field.add_argument("layer", metavar="LAYER", help="as `mcnn summary NAME` lists them")
    field.add_argument("y", type=integer(0), metavar="Y", help="row of the unit")
    field.add_argument("x", type=integer(0), metavar="X", help="column of the unit")
    field.add_argument("--image-size", type=integer(1), metavar="S", help="per side (default: the network's own)")
    field.add_argument(
        "--images",
        type=integer(0, 10_000),
        default=4,
        metavar="N",
        help="random images to measure with; 0 measures nothing (default: 4)",
    )
    add_output_option(field, figures.KINDS, _field_code)

    growth = group.add_parser(
        "growth",
        help="receptive field and number of non-linearities by depth",
        description="Show for each layer the size of its receptive field, and how many non-linearities come before it.",
        examples=("mcnn explain growth vgg_a vgg_d resnet18 -o growth.png",),
    )
    growth.add_argument("names", nargs="+", metavar="NAME", help=f"networks: {NETWORK}")
    add_output_option(growth, figures.KINDS, _growth_code)


def _matrix_shape(arguments):
    return (1, arguments.channels) + (arguments.input,) * (1 if arguments.one_d else 2)


def _matrix_code(arguments):
    a = arguments
    kind = "Conv1d" if a.one_d else "Conv2d"
    sizes = f"{a.channels}, {a.filters}, {a.kernel}, {a.stride}, {a.pad}, {a.dilation}, {a.groups}"
    return (
        "from minitorch_cnn import explain, nn\n\n"
        f"made = explain.as_matrix(nn.{kind}({sizes}), {_matrix_shape(a)})\n" + ending(arguments)
    )


def _field_code(arguments):
    a = arguments
    model, shape = network(a, a.name)
    return (
        "from minitorch_cnn import explain, models, train\n\n"
        f"model = {model}\n"
        f"made = explain.receptive_field(model, {a.layer!r}, {a.y}, {a.x}, input_shape={shape}, images={a.images})\n"
        + ending(arguments)
    )


def _growth_code(arguments):
    made = {name: network(arguments, name, drawn=False) for name in arguments.names}
    lines = [f"    {name!r}: ({model}, {shape}),\n" for name, (model, shape) in made.items()]
    return (
        f"from minitorch_cnn import explain, models, train\n\nnetworks = {{\n{''.join(lines)}}}\n"
        "made = explain.field_growth(networks)\n" + ending(arguments)
    )
