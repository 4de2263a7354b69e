"""`mcnn race conv` and `mcnn race ladder`: convolution algorithms side by side."""

import statistics
import time

from minitorch_cnn.cli import ladder
from minitorch_cnn.cli.errors import EXIT_FAILED, UsageError
from minitorch_cnn.cli.options import add_threads_option, is_own, use_threads
from minitorch_cnn.cli.parser import integer, set_command
from minitorch_cnn.cli.streams import print_json

_SECONDS = 0.3  # of measuring for each cell of the table, at least
_WRONG = 1e-2  # of the root mean square of the result; in float32 every right algorithm stays far below
_LOOP_PRODUCTS = 300_000  # the textbook's loops take about a second for them
PASSES = ("forward", "input gradient", "weight gradient")
_SIZES = {"batch": 128, "channels": 64, "filters": 128, "size": 16, "kernel": 3, "stride": 1}


def add_commands(commands):
    """Add ``mcnn race``."""
    parser = commands.add_parser(
        "race",
        help="time the algorithms of convolution side by side",
        description="Run one convolution and its gradients by the textbook's loops, im2col, direct and Winograd. "
        "Print the time, the speed in GFLOP/s, its share of this machine's peak, and the largest error in standard "
        "deviations of the result; then which algorithm a network takes, and why. GFLOP/s count the products in the "
        "definition of convolution; Winograd needs a quarter of them, so its share may be above 100%. The loops run "
        "on a small part, and their time is an estimate. `ladder` runs one fixed layer in nine ways, from the "
        "textbook's loops to Winograd, and says why each is faster than the one before.",
        examples=("mcnn race conv", "mcnn race conv --own mine.py:convolution --batch 8", "mcnn race ladder"),
    )
    parser.add_argument(
        "what", choices=["conv", "ladder"], help="conv: one layer of any size; ladder: one fixed layer in nine ways"
    )
    for option, default in _SIZES.items():
        parser.add_argument(f"--{option}", type=integer(1), default=default, metavar="N", help=f"(default: {default})")
    parser.add_argument(
        "--padding", type=integer(0), default=1, metavar="N", help="pixels of zeros on each side (default: 1)"
    )
    add_threads_option(parser)
    parser.add_argument(
        "--own",
        metavar="FILE:NAME",
        help="also race a function of a Python file: forward(x, weight, bias, *, stride, padding, dilation, groups) on "
        "arrays (N, C, H, W) and (C_out, C, KH, KW), returning (N, C_out, OH, OW)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    set_command(parser, _run, _code)


def _run(arguments):
    from minitorch_cnn import ops
    from minitorch_cnn.diagnose import measure

    if arguments.what == "ladder":
        _refuse_options_of_conv(arguments)
        ladder.run(arguments)
        return None
    use_threads(arguments)
    x, weight, hyper = _problem(arguments)
    names = [name for name in ops.conv_algorithms.names() if name != "auto"]
    auto = _auto(x, weight, hyper)
    if arguments.own:
        ops.register_algorithm("own", own_function(arguments.own))
        names.append("own")
    peak = measure.peak_gflops()
    results = race(x, weight, names, **hyper)
    own = results.get("own", {})
    code = EXIT_FAILED if "failure" in own or own.get("wrong") else 0
    if arguments.json:
        chosen = {which: {"algorithm": name, "reason": reason} for which, (name, reason) in auto.items()}
        print_json({"peak_gflops": peak, "results": results, "auto": chosen})
        return code
    print(f"images {x.shape}, filters {weight.shape}, stride {arguments.stride}, padding {arguments.padding}")
    print(f"this machine multiplies and adds {peak:.0f} GFLOP/s in registers")
    print(f"{'':12}" + "".join(f"{name:>30}" for name in PASSES) + f"{'error':>10}")
    print(f"{'algorithm':12}" + f"{'ms':>13}{'GFLOP/s':>10}{'peak':>7}" * len(PASSES))
    for name, result in results.items():
        print(f"{name:12}" + _cells(result, peak))
    print("algorithm='auto' takes")
    for which, (name, reason) in auto.items():
        print(f"  {which:16}{name}: {reason}")
    return code


def _auto(x, weight, hyper):
    """Return the algorithm that "auto" takes for each of PASSES, and the reason."""
    from minitorch_cnn import Tensor, ops

    chosen = ops.conv_algorithm(Tensor(x), Tensor(weight), **hyper)
    return dict(zip(PASSES, chosen, strict=True))


def _refuse_options_of_conv(arguments):
    for option, default in {**_SIZES, "padding": 1, "own": None}.items():
        if getattr(arguments, option) != default:
            raise UsageError(f"mcnn race ladder: leave out --{option} - the layer of the ladder is fixed")


def _problem(arguments):
    import numpy as np

    from minitorch_cnn.shapes import nchw

    a, rng = arguments, np.random.default_rng(0)
    if a.size + 2 * a.padding < a.kernel:
        expected = f"at most the padded size of the images, {a.size + 2 * a.padding}"
        raise UsageError(f"mcnn race: --kernel - expected {expected}, got {a.kernel}")
    x = nchw(rng.standard_normal((a.batch, a.size, a.size, a.channels), np.float32))
    weight = rng.standard_normal((a.filters, a.channels, a.kernel, a.kernel), np.float32)
    hyper = {"stride": (a.stride,) * 2, "padding": (a.padding,) * 4, "dilation": (1, 1), "groups": 1}
    return x, weight, hyper


def own_function(place):
    """Return the function that ``FILE:NAME`` names; NAME may be left out where it is ``forward``."""
    from minitorch_cnn.models import own

    try:
        return own.find(place if is_own(place) else f"{place}:forward")
    except ValueError as error:
        raise UsageError(f"mcnn race: --own - {str(error).partition(' - ')[2]}") from error


def race(x, weight, names, **hyper):
    """Run a convolution and its gradients by several algorithms.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W), float32
    weight : ndarray, shape (C_out, C, KH, KW), float32
    names : list of str
        Of `ops.conv_algorithms.names`; of "reference", a part is run and the time of the whole estimated.
    hyper
        ``stride``, ``padding``, ``dilation``, ``groups``, as for the kernels.

    Returns
    -------
    dict of str to dict
        Of each algorithm, for each of PASSES: "kernel", the row of the table of kernels that ran; "ms", "gflops" and
        "error", the largest difference from float64 in units of the result's root mean square. Or "failure", and why.
    """
    small = _part(x, weight, hyper)
    results = {}
    for name in names:
        images, filters = small if name == "reference" else (x, weight)
        scale = _products(x, weight, hyper) / _products(images, filters, hyper)
        try:
            results[name] = _measure(name, images, filters, scale, hyper)
        except (Exception, SystemExit) as error:  # a user's function may raise anything; the other algorithms still run
            results[name] = {"failure": f"{type(error).__name__}: {error}"}
    return results


def _output_size(x, weight, hyper):
    from minitorch_cnn.shapes import conv_output_size

    return [
        conv_output_size(x.shape[2 + i], weight.shape[2 + i], hyper["stride"][i], *hyper["padding"][2 * i : 2 * i + 2])
        for i in range(2)
    ]


def _products(x, weight, hyper):
    height, width = _output_size(x, weight, hyper)
    return len(x) * height * width * weight.size


def _part(x, weight, hyper):
    """Return one image, and as many filters and channels as the textbook's loops finish in about a second."""
    image = x[:1]
    for axis in (0, 1):
        spare = _LOOP_PRODUCTS * weight.shape[axis] // _products(image, weight, hyper)
        weight = weight.take(range(min(weight.shape[axis], max(1, spare))), axis)
        image = image[:, : weight.shape[1]]
    return image, weight


def _measure(name, x, weight, scale, hyper):
    import numpy as np

    from minitorch_cnn.ops.conv_algorithms import candidates
    from minitorch_cnn.shapes import nchw, nhwc
    from minitorch_kernels.conv import selection

    size = _output_size(x, weight, hyper)
    grad_out = nchw(np.random.default_rng(1).standard_normal((len(x), *size, len(weight)), np.float32))
    work = 2 * _products(x, weight, hyper)
    result = {}
    passes = PASSES[:1] if name == "own" else PASSES  # a user's function has no gradients
    for which, operands, rest in (
        ("forward", (nhwc(x), weight), {}),
        ("input gradient", (nhwc(grad_out), weight), {"input_size": x.shape[2:]}),
        ("weight gradient", (nhwc(x), nhwc(grad_out)), {"kernel_size": weight.shape[2:]}),
    )[: len(passes)]:
        chosen, (_, _, exact) = (
            selection.choose(*candidates(algorithm, x, weight, size, **hyper))[PASSES.index(which)]
            for algorithm in (name, "im2col")
        )
        bias = (None,) if which == "forward" else ()
        got = chosen.function(*operands, *bias, **rest, **hyper)
        expected = exact(*(array.astype(np.float64) for array in operands), *bias, **rest, **hyper)
        if which != "weight gradient":
            got, expected = nchw(got), nchw(expected)
        if got.shape != expected.shape:
            raise ValueError(f"{which} - expected shape {expected.shape}, got {got.shape}")
        seconds = _median_seconds(lambda f=chosen.function, o=operands, b=bias, r=rest: f(*o, *b, **r, **hyper))
        usual = np.sqrt(np.mean(expected**2)) or 1.0  # all are 0 where every window lies in the padding
        error = float(np.abs(got - expected).max() / usual)
        if not error < _WRONG:  # NaN is wrong, too
            result["wrong"] = True
        speed = {"ms": 1e3 * seconds * scale, "gflops": work / seconds / 1e9}
        result[which] = {"kernel": chosen.name, **speed, "error": error}
    return result


def _median_seconds(call):
    times = []
    while not times or sum(times) < _SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _cells(result, peak):
    if "failure" in result:
        return "  " + result["failure"]
    text = ""
    measured = [which for which in PASSES if which in result]
    for which in PASSES:
        if which not in result:
            text += f"{'-':>30}"
            continue
        ms, gflops = result[which]["ms"], result[which]["gflops"]
        text += f"{ms:>13,.2f}{gflops:>10.{0 if gflops >= 10 else 4}f}{gflops / peak:>7.0%}"
    wrong = "  WRONG" if result.get("wrong") else ""
    return text + f"{max(result[which]['error'] for which in measured):>10.1e}{wrong}"


def _code(arguments):
    if arguments.what == "ladder":
        return ladder.code(arguments)
    a = arguments
    return (
        "import time\n\n"
        "import numpy as np\n\n"
        "from minitorch_cnn import Tensor, ops\n\n"
        "rng = np.random.default_rng(0)\n"
        f"x = Tensor(rng.standard_normal(({a.batch}, {a.channels}, {a.size}, {a.size}), np.float32))\n"
        f"weight = Tensor(rng.standard_normal(({a.filters}, {a.channels}, {a.kernel}, {a.kernel}), np.float32))\n"
        "for algorithm in ('im2col', 'direct', 'winograd'):\n"
        "    for _ in range(2):  # the first time compiles\n"
        "        start = time.perf_counter()\n"
        f"        ops.conv2d(x, weight, stride={a.stride}, padding={a.padding}, algorithm=algorithm)\n"
        "    print(algorithm, time.perf_counter() - start, 'seconds')\n"
    )
