"""Where a step spends its time: every compiled kernel, with its share of what the machine can do.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --model lenet5_cifar --batch 128 --threads 1
    python benchmarks/kernels.py --model resnet18 --size 224 --batch 8 --mode inference

GFLOP/s counts the products that a kernel really computes (Winograd's are fewer than those of the definition; with
bf16, the two of an instruction count as one), GB/s each large array once: what has to come from memory or go there,
if all else stays in the caches. The limit
is the larger of the two shares: of the micro-kernel's speed on numbers in the nearest cache, of a ReLU's on arrays
larger than any cache. Arrays that still lie in a cache from the kernel before make it more than 100 %.
"""

import argparse
import functools
import importlib
import inspect
import json
import pathlib
import pkgutil
import statistics
import time

import _twin
import numpy as np

_IN_CACHE = ("scratch", "inputs", "grads", "sums", "products")  # arguments that hold one block of work after another
_LARGE = 1 << 16  # bytes


def _terms(blocks):
    """Return the terms of all blocks of a product: (begin, end, terms of a segment) each."""
    return int(((blocks[:, 1] - blocks[:, 0]) * blocks[:, 2]).sum())


def _winograd(operands):
    """Return the products of Winograd's algorithm; ``operands`` finds (images, their pixels, maps of the output)."""

    def products(a):
        count, pixels, maps = operands(a)
        grid = a["grid"]
        tiles = count * grid.down * grid.across
        of_tiles = np.diff(a["order"].needed).sum() if "order" in a else len(grid.static_form.points) ** 2 * tiles
        return int(of_tiles) * pixels.shape[3] * maps.shape[3]

    return products


def _of_maps(a):
    return len(a["images"].pixels), a["images"].pixels, a["outputs"].maps


def _of_pairs(a):
    images, grads = a["pairs"]
    return len(images.chosen), images.pixels, grads.pixels


def _arrays(named):
    """Return the arrays among the arguments and in their tuples, without those that hold one block after another."""
    for key, value in named.items():
        if isinstance(value, np.ndarray) and key not in _IN_CACHE:
            yield value
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):
            yield from _arrays(value._asdict())


# Multiplications of a call, from its arguments by name; other kernels hardly compute, they move numbers.
PRODUCTS = {
    "matmul.indirect_gemm": lambda a: (
        len(a["offsets"].a_rows) * _terms(a["offsets"].blocks) * int(a["panels"][:, 4].sum())
    ),
    "matmul._multiply_in_place": lambda a: len(a["c"]) * a["b"].size,
    "indirect_weight._weight_product": lambda a: (
        len(a["tables"].a_row_offsets) * _terms(a["tables"].blocks) * a["sums"].shape[1] * a["sums"].shape[3]
    ),
    "small_cin._sum_products": lambda a: (
        a["grad_out"].size * a["shape"].channels * a["shape"].height * a["shape"].width
    ),
    "small_cout._filter_lines": lambda a: a["out"].size * _terms(a["offsets"].blocks),
    "correlate._by_tiles": _winograd(_of_maps),
    "panels._by_panels": _winograd(_of_maps),
    "weight._by_runs": _winograd(_of_pairs),
    "weight._sum_together": _winograd(_of_pairs),
    "weight._sum_apart": _winograd(_of_pairs),
}


class Clock:
    """Takes the place of every kernel, and keeps its calls, seconds, floating-point operations and bytes."""

    def __init__(self):
        self.totals = {}

    def watch(self, package):
        """Put a watch around each kernel, wherever a part of the package names it."""
        watches = {}
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            part = importlib.import_module(found.name)
            for name, function in list(vars(part).items()):
                if inspect.isfunction(function) and hasattr(function, "entry"):
                    watches.setdefault(function, self._around(function))
                    setattr(part, name, watches[function])

    def _around(self, kernel):
        name = f"{kernel.__module__.rsplit('.', 1)[-1]}.{kernel.__name__}"
        names = list(inspect.signature(kernel).parameters)

        @functools.wraps(kernel)
        def timed(*arguments):
            start = time.perf_counter()
            kernel(*arguments)
            seconds = time.perf_counter() - start
            named = dict(zip(names, arguments, strict=True))
            moved = sum(a.nbytes for a in _arrays(named) if a.nbytes >= _LARGE)
            work = 2 * PRODUCTS[name](named) if name in PRODUCTS else 0
            old = self.totals.get(name, (0, 0.0, 0, 0))
            self.totals[name] = tuple(a + b for a, b in zip(old, (1, seconds, work, moved), strict=True))

        return timed


def measured_steps(options, clock):
    """Return the seconds of each step, with a clock on the kernels after two steps without."""
    import minitorch_cnn as mt
    import minitorch_kernels
    from minitorch_cnn import Tensor, models, nn, ops, optim

    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((options.batch, options.size, options.size, 3), np.float32)
    x, labels = Tensor(pixels.transpose(0, 3, 1, 2)), rng.integers(0, 10, options.batch)
    sizes = {"num_classes": 10, "image_size": options.size}
    model = _twin.without_dropout(models.create(options.model, **sizes))
    if options.mode == "inference":
        model = nn.fold_batch_norm(model.eval(), x.shape)
    model = nn.fuse(model)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def train():
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()

    def infer():
        with mt.no_grad():
            model(x)

    def step():
        start = time.perf_counter()
        (infer if options.mode == "inference" else train)()
        return time.perf_counter() - start

    for _ in range(2):
        step()
    clock.watch(minitorch_kernels)
    return [step() for _ in range(options.steps)]


def table(totals, steps, step_seconds, peak, memory):
    """Return a row a kernel, the longest first, and one for what is left: Python and NumPy."""
    rows = []
    for name, (calls, seconds, work, moved) in totals.items():
        gflops, gbytes = work / seconds / 1e9, moved / seconds / 1e9
        share = max(gflops / peak, gbytes / memory)
        rows.append(
            {"kernel": name, "calls": calls / steps, "ms": seconds / steps * 1e3}
            | {"gflops": gflops, "gbytes": gbytes, "share": share}
        )
    rows.sort(key=lambda row: -row["ms"])
    left = step_seconds * 1e3 - sum(row["ms"] for row in rows)
    return [*rows, {"kernel": "all else", "calls": None, "ms": left, "gflops": None, "gbytes": None, "share": None}]


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar4", metavar="NAME", help="(default: cifar4)")
    parser.add_argument("--mode", choices=["training", "inference"], default="training", help="(default: training)")
    parser.add_argument("--size", type=int, default=32, metavar="N", help="pixels per side (default: 32)")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images (default: 128)")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32", help="(default: float32)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="measured (default: 20)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="(default: all cores)")
    parser.add_argument("--out", default="benchmark-results", metavar="DIR", help="where kernels_MODEL.json goes")
    options = parser.parse_args()
    import minitorch_cnn as mt
    from minitorch_cnn.diagnose import measure

    if options.threads:
        mt.set_num_threads(options.threads)
    mt.set_precision(options.precision)
    peak, memory = measure.peak_gflops(), measure.memory_gbytes()
    clock = Clock()
    times = measured_steps(options, clock)
    mean = statistics.fmean(times)
    rows = table(clock.totals, options.steps, mean, peak, memory)
    print(f"{'kernel':36}{'calls':>7}{'ms':>9}{'GFLOP/s':>9}{'GB/s':>7}{'of the limit':>14}")
    for row in rows:
        calls = "" if row["calls"] is None else f"{row['calls']:.0f}"
        speeds = [f"{row[key]:.0f}" if row[key] else "" for key in ("gflops", "gbytes")]
        share = f"{row['share']:.0%}" if row["share"] else ""
        print(f"{row['kernel']:36}{calls:>7}{row['ms']:9.2f}{speeds[0]:>9}{speeds[1]:>7}{share:>14}")
    print(f"{'a step':36}{'':7}{mean * 1e3:9.2f}{peak:9.0f}{memory:7.0f}{'the limits':>14}")
    folder = pathlib.Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    record = {"benchmark": "kernels", "model": options.model, "batch": options.batch, "precision": options.precision}
    record |= {"rows": rows}
    record |= {"step_ms": [seconds * 1e3 for seconds in times], "peak_gflops": peak, "memory_gbytes": memory}
    (folder / f"kernels_{options.model}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
