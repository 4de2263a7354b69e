"""Two libraries against each other: each side in a process of its own, and only one of them runs at a time.

A script gives `run` its sides, functions that prepare a measurement and return a function
``measure() -> {case: number}``, seconds or another unit. Every side is started as a process of
the same script with ``--side NAME``; the parent asks them in turn, round by round, and takes medians. In
one process the threads of one library would still spin while the other is measured.

``--earlier DIR`` adds a side that runs our half of the script with the packages of another checkout, such as the one
before a change.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

OURS, EARLIER = "minitorch_cnn", "earlier"


def parser(description, rounds):
    """Return a parser with the options that all benchmarks share."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--peer", choices=["torch"], help="also measure PyTorch, in each of its modes")
    result.add_argument("--earlier", type=pathlib.Path, metavar="DIR", help="also measure the packages of a checkout")
    result.add_argument("--threads", type=int, default=0, metavar="N", help="of either side (default: all cores)")
    result.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"alternations (default: {rounds})")
    result.add_argument("--out", default="benchmark-results", metavar="DIR", help="where NAME.json and NAME.png go")
    result.add_argument("--side", help=argparse.SUPPRESS)
    return result


class Side:
    """One side: a process that measures whenever it is asked."""

    def __init__(self, name, checkout=None):
        self.name, self.samples, self.failure = name, {}, ""
        command, pipe = [sys.executable, *sys.argv, "--side", name], subprocess.PIPE
        environment = dict(os.environ)
        if checkout:
            paths = (checkout.resolve(), checkout.resolve() / "kernels")
            environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, keep=True):
        """Measure once, and keep the result unless this was for warming up."""
        if self.failure:
            return
        try:
            self.process.stdin.write("measure\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            answer = {"failure": f"ended with exit code {self.process.wait()}"}
        if "failure" in answer:
            self.failure = answer["failure"]
            print(f"{self.name} failed: {self.failure}", flush=True)
        elif keep:
            for case, number in answer.items():
                self.samples.setdefault(case, []).append(number)

    def median(self, case):
        """Return the median, or None where nothing was measured."""
        return statistics.median(self.samples[case]) if case in self.samples else None

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve(make, options):
    """Be a side: prepare, then measure for every line that comes in."""
    try:
        measure = make(options)
        for _ in sys.stdin:
            print(json.dumps(measure()), flush=True)
    except Exception as error:  # every error of a library is printed as that side's result
        text = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        print(json.dumps({"failure": text}), flush=True)


def run(name, options, sides, *, work=None, warm_up=2, unit=("ms", 1e-3), remark=None):
    """Alternate the sides, print a table, write JSON and a chart, and print the ratio last.

    Parameters
    ----------
    name : str
        Of the benchmark and its files.
    options : argparse.Namespace
    sides : dict of str to callable
        The first is ours; the others are taken with ``--peer``.
    work : dict of str to float, or None
        Floating-point operations of each case, for GFLOP/s.
    warm_up : int
        Rounds that are not counted: compilation, first memory.
    unit : (str, float)
        In which results are shown, and how much of what was measured that is.
    remark : callable or None
        ``remark(our medians by case) -> str``, printed after the table.
    """
    if options.side:
        serve(sides[OURS if options.side == EARLIER else options.side], options)
        return
    ours, *peers = [Side(side) for side in sides if side == OURS or options.peer]
    if options.earlier:
        peers.append(Side(EARLIER, options.earlier))
    for round_number in range(warm_up + options.rounds):
        for side in (ours, *peers):
            side.ask(keep=round_number >= warm_up)
    for side in (ours, *peers):
        side.close()
    rows = [_row(case, ours, peers, work) for case in ours.samples]
    _print_table(rows, [ours, *peers], unit)
    if remark and not ours.failure:
        print(remark({case: ours.median(case) for case in ours.samples}))
    folder = pathlib.Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    failures = {side.name: side.failure for side in (ours, *peers) if side.failure}
    record = {
        "benchmark": name,
        "rows": rows,
        "failures": failures,
        "samples": {s.name: s.samples for s in (ours, *peers)},
    }
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    _chart(folder / f"{name}.png", name, rows, [ours, *peers], unit)
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    if ours.failure or (options.peer and not ratios):
        sys.exit(1)
    if ratios:
        if len(ratios) > 1:
            print("the smallest of the ratios, best peer / ours:")
        print(f"ratio {min(ratios):.2f}")


def _row(case, ours, peers, work):
    medians = {side.name: side.median(case) for side in (ours, *peers)}
    others = [median for name, median in medians.items() if median is not None and name not in (OURS, EARLIER)]
    row = {"case": case, "medians": medians, "ratio": min(others) / medians[ours.name] if others else None}
    if medians.get(EARLIER):
        row["earlier ratio"] = medians[EARLIER] / medians[ours.name]
    if work:
        row["gflops"] = work[case] / medians[ours.name] / 1e9
    return row


def _print_table(rows, sides, unit):
    width = max([28, *(len(row["case"]) + 2 for row in rows)])
    names = "".join(f"{side.name:>22}" for side in sides)
    earlier = any("earlier ratio" in row for row in rows)
    title = f"{'median ' + unit[0]:{width}}{names}{'GFLOP/s':>10}{'ratio':>8}"
    print(title + f"{'earlier / now':>15}" * earlier)
    for row in rows:
        numbers = [row["medians"][side.name] for side in sides]
        cells = "".join(f"{'-' if number is None else f'{number / unit[1]:.2f}':>22}" for number in numbers)
        speed = f"{row['gflops']:.0f}" if "gflops" in row else ""
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        before = f"{row['earlier ratio']:>15.2f}" if "earlier ratio" in row else ""
        print(f"{row['case']:{width}}{cells}{speed:>10}{ratio:>8}{before}")


def _chart(path, name, rows, sides, unit):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.22 * len(rows) * len(sides)), layout="constrained")
    height = 0.8 / len(sides)
    for k, side in enumerate(sides):
        places = [i + (k - (len(sides) - 1) / 2) * height for i in range(len(rows))]
        bars = axes.barh(places, [(row["medians"][side.name] or 0) / unit[1] for row in rows], height, label=side.name)
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"median {unit[0]} (shorter is better)")
    axes.set_title(name.replace("_", " "))
    axes.margins(x=0.12)
    axes.legend(fontsize=8, loc="best")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
