"""`mcnn list`, `mcnn summary` and `mcnn topology`: the networks, and what they are made of."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import NETWORK, add_output_option, add_size_options, network, run_code
from minitorch_cnn.cli.parser import set_command
from minitorch_cnn.display import figures


def add_commands(commands):
    """Add the three commands."""
    names = commands.add_parser(
        "list",
        help="print the names of all networks and recipes",
        description="Print the names of all networks and recipes, one on a line.",
        examples=("mcnn list",),
    )
    set_command(names, run_code, _list_code)

    topology = commands.add_parser(
        "topology",
        help="draw a network",
        description="Draw the layers of a network and their connections; or the famous networks side by side; or the "
        "error of ResNets and DenseNets against their cost. Without -o, print the layers as text.",
        examples=("mcnn topology resnet18 -o resnet18.svg", "mcnn topology --poster -o poster.png"),
    )
    topology.add_argument("name", nargs="?", metavar="NAME", help=NETWORK)
    add_size_options(topology)
    topology.add_argument("--poster", action="store_true", help="draw the famous networks side by side")
    topology.add_argument(
        "--efficiency",
        action="store_true",
        help="draw the error of ResNets and DenseNets against parameters and multiply-adds",
    )
    add_output_option(topology, figures.KINDS, _topology_code)

    summary = commands.add_parser(
        "summary",
        help="print a network as a table",
        description="Print output shape, parameters, multiply-adds, memory of the feature maps and receptive field of "
        "each layer, and the totals. 'sees' is the side of the receptive field in pixels, 'jump' the distance between "
        "the fields of neighbouring units. 'algorithm' names the kernels of a convolution for one image: forward / "
        "input gradient / weight gradient if they differ; --json has the reasons. No image is computed, so this is "
        "quick.",
        examples=("mcnn summary cifar4", "mcnn summary resnet18 --classes 10 --image-size 64 --json"),
    )
    summary.add_argument("name", metavar="NAME", help=NETWORK)
    add_size_options(summary)
    summary.add_argument("--json", action="store_true", help="print one JSON object")
    set_command(summary, run_code, _summary_code)


def _list_code(arguments):
    return (
        "from minitorch_cnn import models, train\n\n"
        "print('networks:', *models.list(), sep='\\n  ')\n"
        "print('recipes:', *train.RECIPES, sep='\\n  ')\n"
    )


def _topology_code(arguments):
    pictures = [name for name in ("poster", "efficiency") if getattr(arguments, name)]
    if bool(arguments.name) + len(pictures) != 1:
        raise UsageError("mcnn topology: give one of NAME, --poster and --efficiency")
    if pictures:
        if arguments.output is None:
            told = f"add -o FILE{' or '.join(figures.KINDS)}: --{pictures[0]} is a picture without text"
            raise UsageError(f"mcnn topology: {told}")
        return _saved("explain", f"explain.{pictures[0]}()", arguments.output)
    model, shape = network(arguments, arguments.name, drawn=False)
    made = f"explain.topology({model}, {shape}, {arguments.name!r})"
    if arguments.output is None:
        lines = f"found = {made}\nprint(found)\nprint(explain.pattern(found))\n"
        return f"from minitorch_cnn import explain, models, train\n\n{lines}"
    return _saved("explain, models, train", f"{made}.figure()", arguments.output)


def _saved(imports, figure, output):
    return (
        f"from minitorch_cnn import {imports}\nfrom minitorch_cnn.display import figures\n\n"
        f"figures.save({figure}, {output!r})\n"
    )


def _summary_code(arguments):
    model, shape = network(arguments, arguments.name, drawn=False)
    method = ".json()" if arguments.json else ""
    return f"from minitorch_cnn import explain, models, train\n\nprint(explain.summary({model}, {shape}){method})\n"
