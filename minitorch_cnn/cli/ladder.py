"""`mcnn race ladder`: a table of a convolution that becomes faster step by step."""

import textwrap

from minitorch_cnn.cli.errors import UsageError
from minitorch_cnn.cli.options import use_threads
from minitorch_cnn.cli.streams import print_json

_WIDTH = 80
_BUSY = 0.8  # share of the cores: below that, other programs make the figures too low


def run(arguments):
    """Measure all steps and print a line for each as soon as it is known, or JSON."""
    from minitorch_cnn.diagnose import ladder, measure

    use_threads(arguments)
    show = (lambda *_: None) if arguments.json else print
    show(
        f"3 x 3 filters, {ladder.CHANNELS} -> {ladder.FILTERS} channels, {ladder.SIZE} x {ladder.SIZE} pixels, float32"
    )
    peak, pytorch, blas = measure.peak_gflops(), ladder.pytorch_gflops(), ladder.blas_gflops()
    show(f"this machine multiplies and adds {peak:.0f} GFLOP/s in registers")
    show(f"PyTorch: {pytorch:.0f} GFLOP/s" if pytorch else "PyTorch: not installed")
    show(f"step 4 with NumPy's product (BLAS): {blas:.0f} GFLOP/s")
    if measure.share_of_cores() < _BUSY:
        show("other programs are running: wait for them and repeat, these figures are too low")
    show(f"\n{'step':20}{'threads':>8}{'GFLOP/s':>10}{'of peak':>9}{'of PyTorch':>12}{'factor':>10}")
    steps, before = [], None
    try:
        for step in ladder.measure_steps():
            row = step._asdict() | {
                "share_of_peak": step.gflops / peak,
                "share_of_pytorch": step.gflops / pytorch if pytorch else None,
                "factor": step.gflops / before if before else None,
            }
            steps.append(row)
            before = step.gflops
            show(_line(row))
    except ValueError as error:
        raise UsageError(f"mcnn race ladder: unset NUMBA_DISABLE_JIT and repeat - {error}") from error
    if arguments.json:
        print_json({"peak_gflops": peak, "pytorch_gflops": pytorch, "blas_gflops": blas, "steps": steps})
    show("\nThe factor compares a step with the one before. The first three steps run on a")
    show("part of the layer. Winograd needs a quarter of the products that are counted.")


def _line(row):
    """Return two lines of the table or three: the figures of a step, and the reason below them."""
    gflops = f"{row['gflops']:.{0 if row['gflops'] >= 10 else 1 if row['gflops'] >= 1 else 4}f}"
    peak, pytorch = (_percent(row[share]) for share in ("share_of_peak", "share_of_pytorch"))
    factor = f"x {row['factor']:.1f}" if row["factor"] else ""
    figures = f"{row['name']:20}{row['threads']:>8}{gflops:>10}{peak:>9}{pytorch:>12}{factor:>10}"
    reason = textwrap.fill(row["reason"], _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return f"{figures.rstrip()}\n{reason}"


def _percent(share):
    if share is None:
        return "-"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}" if share >= 0.001 else "0.0%"


def code(arguments):
    """Return a program that does the same."""
    return (
        "import importlib\n"
        "import time\n\n"
        "import numpy as np\n\n"
        "from minitorch_cnn.diagnose import ladder\n\n"
        "rng = np.random.default_rng(0)\n"
        "for name, reason in ladder.available_steps().items():\n"
        "    step = importlib.import_module(f'minitorch_kernels.ladder.{name}')\n"
        "    images, size, filters = (1, 4, 4) if name == 'step1_loops' else (4, 32, 128)  # the loops take long\n"
        "    x = rng.standard_normal((images, 128, size, size), np.float32)\n"
        "    weight = rng.standard_normal((filters, 128, 3, 3), np.float32)\n"
        "    for _ in range(2):  # the first time compiles\n"
        "        start = time.perf_counter()\n"
        "        step.conv2d(x, weight, stride=1, padding=1)\n"
        "        seconds = time.perf_counter() - start\n"
        "    print(f'{name:20}{2 * x.size * weight.size / 128 / seconds / 1e9:10.4f} GFLOP/s  {reason}')\n"
    )
