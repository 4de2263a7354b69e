"""`mcnn explain conv`, `pool` and `xcorr`: convolution and pooling worked out, product by product."""

import pathlib
import re

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import add_output_option, ending, run_code
from minitorch_cnn.cli.parser import integer
from minitorch_cnn.display import figures

_KINDS = (*figures.KINDS, ".gif", ".html", ".txt")  # .html: arrow keys and clicks
_SEED = 0  # of the small numbers that are shown
_LARGEST = 1000  # pixels, channels or filters
_MOST = 1_000_000  # products that are written out: some seconds, and far more than anybody reads


def add_commands(group):
    """Add the commands to ``mcnn explain``."""
    conv = group.add_parser(
        "conv",
        help="a convolution, or its gradients, product by product",
        description="Show the output size with its formula, and every result as the sum of its products. The input "
        "and the kernel are small integers drawn from a fixed seed; the results come from the kernels that train.",
        examples=(
            "mcnn explain conv --input 5 --kernel 3 --stride 2 --pad 1",
            "mcnn explain conv --input 6 --kernel 3 --backward input -o gradient.html",
        ),
    )
    _add_sizes(conv, kernel=3, stride=1)
    conv.add_argument(
        "--dilation",
        type=integer(1, _LARGEST),
        default=1,
        metavar="D",
        help="distance between neighbouring taps (default: 1)",
    )
    conv.add_argument(
        "--filters", type=integer(1, _LARGEST), default=1, metavar="K", help="number of filters (default: 1)"
    )
    conv.add_argument("--backward", choices=["input", "weight"], help="show the gradient of the input or of the weight")
    _finish(conv, _conv_code)
    pool = group.add_parser(
        "pool",
        help="a pooling, or its gradient, window by window",
        description="Show the output size with its formula, and every result with its window. The input is small "
        "integers drawn from a fixed seed; the results come from the kernels that train.",
        examples=("mcnn explain pool --input 6 --kernel 3 --stride 2", "mcnn explain pool --kind avg -o pool.gif"),
    )
    _add_sizes(pool, kernel=2, stride=None)
    pool.add_argument("--kind", choices=["max", "avg"], default="max", help="(default: max)")
    pool.add_argument("--backward", action="store_true", help="show where the gradient goes")
    _finish(pool, _pool_code)
    xcorr = group.add_parser(
        "xcorr",
        help="cross-correlation and convolution side by side",
        description="Apply a kernel of the numbers 1, 2, 3, ... to a single 1 among zeros, by cross-correlation and by "
        "convolution. With --learn, train one layer of each kind to give the same output, and compare their kernels.",
        examples=("mcnn explain xcorr -o xcorr.png", "mcnn explain xcorr --learn"),
    )
    xcorr.add_argument("--kernel", type=integer(1, 30), default=3, metavar="N", help="rows and columns (default: 3)")
    xcorr.add_argument("--learn", action="store_true", help="train both kinds of layer, and compare what they learn")
    add_output_option(xcorr, (*figures.KINDS, ".txt"), _xcorr_code)


def _add_sizes(parser, kernel, stride):
    parser.add_argument("--input", type=integer(1, _LARGEST), default=5, metavar="N", help="pixels (default: 5)")
    parser.add_argument("--kernel", type=integer(1, _LARGEST), default=kernel, metavar="N", help=f"(default: {kernel})")
    text = stride or "the kernel"
    parser.add_argument("--stride", type=integer(1, _LARGEST), default=stride, metavar="N", help=f"(default: {text})")
    parser.add_argument(
        "--pad", type=integer(0, _LARGEST), default=0, metavar="N", help="pixels of zeros on each side (default: 0)"
    )
    parser.add_argument(
        "--channels", type=integer(1, _LARGEST), default=1, metavar="C", help="channels of the input (default: 1)"
    )
    parser.add_argument("--one-d", action="store_true", help="one dimension: a signal, not an image")
    parser.add_argument(
        "--step",
        type=integer(1),
        metavar="I",
        help="mark the window of the I-th result, counted from 1, in a picture",
    )


def _finish(parser, code):
    add_output_option(parser, _KINDS, code)
    parser.set_defaults(run=_run)


def _run(arguments):
    """Run the shown code; the library counts steps from 0, and ``--step`` from 1."""
    if arguments.step is not None and pathlib.Path(arguments.output or "").suffix.lower() not in figures.KINDS:
        told = f"add -o FILE{' or '.join(figures.KINDS)}: --step marks a window in a picture"
        raise UsageError(f"{arguments.parser.prog}: {told}")
    try:
        run_code(arguments)
    except UsageError as error:
        last = re.search(r"step - expected 0 to (\d+), got", str(error))
        if not last:
            raise
        expected = f"--step - expected 1 to {int(last[1]) + 1}, got {arguments.step}"
        raise UsageError(f"{arguments.parser.prog}: {expected}") from error


def _conv(arguments):
    """Return (shape of x, shape of the weight, name of the function, its options)."""
    a = arguments
    several = a.channels > 1 or a.filters > 1
    x = _image(a, several)
    weight = (a.filters, a.channels) * several + (a.kernel,) * (1 if a.one_d else 2)
    options = {"stride": a.stride, "padding": a.pad, "dilation": a.dilation}
    _check_size(a, a.filters * a.channels)
    if a.backward:
        return x, weight, "conv_gradient", {"wrt": a.backward, **options}
    return x, weight, "conv", options


def _pool(arguments):
    """Return (shape of x, size of the window, name of the function, its options)."""
    a = arguments
    several = a.channels > 1
    kernel = (a.kernel,) if a.one_d and several else a.kernel
    options = {"kind": a.kind, "stride": a.stride, "padding": a.pad}
    _check_size(a, a.channels)
    return _image(a, several), kernel, "pool_gradient" if a.backward else "pool", options


def _check_size(arguments, maps):
    """Raise UsageError if the output would be too long to read."""
    a = arguments
    side = (a.input + 2 * a.pad) // (a.stride or a.kernel) + 1
    products = maps * (side * a.kernel) ** (1 if a.one_d else 2)
    if products > _MOST:
        raise UsageError(
            f"{a.parser.prog}: choose smaller sizes: about {products:,} products, at most {_MOST:,} are shown"
        )


def _image(arguments, several):
    return (arguments.channels,) * several + (arguments.input,) * (1 if arguments.one_d else 2)


def _marked(arguments):
    return {} if arguments.step is None else {"step": arguments.step - 1}


def _xcorr_code(arguments):
    side, name = arguments.kernel, "learn_flip" if arguments.learn else "side_by_side"
    return (
        "import numpy as np\n\nfrom minitorch_cnn import explain\n\n"
        f"weight = np.arange(1, {side * side + 1}).reshape({side}, {side})\n"
        f"made = explain.{name}(weight)\n{ending(arguments)}"
    )


def _conv_code(arguments):
    x, weight, name, options = _conv(arguments)
    return _code(arguments, x, f"weight = rng.integers(-2, 3, {weight})\n", "weight", name, options)


def _pool_code(arguments):
    x, kernel, name, options = _pool(arguments)
    return _code(arguments, x, "", repr(kernel), name, options)


def _code(arguments, x, more, second, name, options):
    given = "".join(f", {key}={value!r}" for key, value in options.items())
    return (
        "import numpy as np\n\nfrom minitorch_cnn import explain\n\n"
        f"rng = np.random.default_rng({_SEED})\nx = rng.integers(0, 10, {x})\n{more}"
        f"made = explain.{name}(x, {second}{given})\n{ending(arguments, **_marked(arguments))}"
    )
