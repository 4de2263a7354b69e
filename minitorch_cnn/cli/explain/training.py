"""`mcnn explain graph`, `shift` and `shortcuts`: how gradients flow, and why pooling and shortcuts help."""

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import NETWORK, add_output_option, ending, network
from minitorch_cnn.cli.parser import integer
from minitorch_cnn.display import figures


def add_commands(group):
    """Add the three commands to ``mcnn explain``."""
    parser = group.add_parser(
        "graph",
        help="draw the graph of a loss, or print its backward pass step by step",
        description="Run a network once on random images and draw the graph that leads to its loss: the operations, "
        "what they take, and the parameters. With --backward, print the backward pass step by step.",
        examples=("mcnn explain graph lenet5 -o graph.png", "mcnn explain graph cifar4 --backward"),
    )
    parser.add_argument("name", metavar="NAME", help=NETWORK)
    parser.add_argument(
        "--backward", action="store_true", help="operation, incoming gradient, rule and result of each step"
    )
    add_output_option(parser, figures.KINDS, _graph_code)
    parser = group.add_parser(
        "shift",
        help="why pooling: how much feature maps change when the image moves",
        description="Move images by 1 to N pixels and measure how much the feature maps change: without pooling, "
        "with max pooling, with average pooling, and with a strided convolution.",
        examples=("mcnn explain shift", "mcnn explain shift --pixels 6 -o shift.png"),
    )
    parser.add_argument(
        "--pixels", type=integer(1, 1000), default=4, metavar="N", help="the largest shift (default: 4)"
    )
    add_output_option(parser, figures.KINDS, _shift_code)
    parser = group.add_parser(
        "shortcuts",
        help="why shortcuts: the gradient at each layer of plain, residual and dense networks",
        description="Measure the norm of the gradient at each convolution of networks with and without shortcuts.",
        examples=("mcnn explain shortcuts", "mcnn explain shortcuts --depths 20 56 -o shortcuts.png"),
    )
    parser.add_argument(
        "--depths", type=integer(8, 1202), nargs="+", default=[20, 56, 110], metavar="N", help="(default: 20 56 110)"
    )
    add_output_option(parser, figures.KINDS, _shortcuts_code)


def _graph_code(arguments):
    if arguments.backward and arguments.output:
        raise UsageError("mcnn explain graph: leave out -o: --backward prints text")
    model, shape = network(arguments, arguments.name)
    made = "explain.BackwardTrace(loss.backward(trace=True))" if arguments.backward else "explain.graph(loss, model)"
    return (
        "import numpy as np\n\n"
        "from minitorch_cnn import Tensor, explain, manual_seed, models, ops, train\n\n"
        "manual_seed(0)\n"
        f"model = {model}\n"
        f"x = Tensor(np.random.default_rng(0).standard_normal({(2, *shape[1:])}, np.float32))\n"
        "loss = ops.cross_entropy(model(x), np.array([0, 1]))\n"
        f"made = {made}\n{ending(arguments)}"
    )


def _shift_code(arguments):
    return (
        "from minitorch_cnn import explain\n\n"
        f"made = explain.shift_sensitivity(shifts=range(1, {arguments.pixels + 1}))\n{ending(arguments)}"
    )


def _shortcuts_code(arguments):
    return (
        f"from minitorch_cnn import explain\n\nmade = explain.gradient_norms({arguments.depths})\n{ending(arguments)}"
    )
