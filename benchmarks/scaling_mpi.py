"""Training on several ranks: what a step costs, how much of the communication is hidden, and what more ranks would do.

    mpiexec -n 2 python benchmarks/scaling_mpi.py             # a step on two ranks, and the forecast for 2 to 1,024
    python benchmarks/scaling_mpi.py --ranks 1 2 4            # strong scaling, beside a process without MPI
    python benchmarks/scaling_mpi.py --ranks 1 2 4 --weak     # as many images a rank, however many ranks

The forecast adds the measured compute time of a step and a ring all-reduce of all gradients between N ranks
over a network of latency a and bandwidth B:

    step = compute + 2 (N - 1) * (a * buckets + bytes / (N B))

Nothing of it counts as hidden behind backward: MPI works only while it is called, between two layers, and over TCP
that has saved next to nothing (`tests/campaigns/shaped_links.py`, which holds the forecast against measured steps).

Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations".
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

import numpy as np

NETWORKS = {1: 50e-6, 10: 20e-6, 100: 5e-6}  # Gbit/s -> seconds from one machine to the next
RANKS = tuple(2**i for i in range(1, 11))
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))


def ring(ranks, size, latency, bandwidth, buckets=1):
    """Return the seconds of a ring all-reduce: ``size`` in bytes, ``bandwidth`` in bytes a second."""
    return 2 * (ranks - 1) * (latency * buckets + size / (ranks * bandwidth))


def prepare(ranks, options):
    """Return (step, parameters, averager): ``step(overlap)`` runs once and returns (seconds, seconds of averaging)."""
    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, models, nn, ops, optim
    from minitorch_cnn.train.distributed import buckets

    mt.manual_seed(0)
    mt.set_num_threads(options.threads or ranks.threads or mt.train.machine.environment()["threads"])
    model = nn.fuse(models.create(options.model, num_classes=10, image_size=32))
    parameters = list(model.parameters())
    optimizer = optim.Adam(parameters, lr=1e-3)
    average = buckets.make_reducer(ranks, parameters)
    images = options.batch * ranks.size if options.weak else options.batch
    first, end = ranks.share(images)
    stream = np.random.default_rng(ranks.rank)
    x = Tensor(stream.standard_normal((end - first, 32, 32, 3), np.float32).transpose(0, 3, 1, 2))
    labels = stream.integers(0, 10, end - first)

    def step(communicate=True, overlap=True):
        start = time.perf_counter()
        loss = ops.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        ready = getattr(average, "ready", None) if communicate and overlap else None
        loss.backward(np.asarray((end - first) / images, np.float32), on_leaf=ready)
        behind = time.perf_counter()
        if communicate:
            average(parameters)
        waited = time.perf_counter() - behind
        optimizer.step()
        return time.perf_counter() - start, waited

    return step, parameters, len(getattr(average, "_buckets", [1]))


def link(ranks):
    """Return (latency in seconds, bytes a second) between the ranks, from small and large sums."""
    if ranks.size == 1:
        return 0.0, float("inf")
    seconds = []
    for count, rounds in ((1, 50), (1 << 20, 10)):
        array = np.zeros(count, np.float32)
        ranks.sum(array)
        samples = []
        for _ in range(rounds):
            start = time.perf_counter()
            ranks.sum(array)
            samples.append(time.perf_counter() - start)
        seconds.append(statistics.median(samples))
    hops, moved = 2 * (ranks.size - 1), 2 * (ranks.size - 1) / ranks.size * (4 << 20)
    return seconds[0] / hops, moved / max(seconds[1] - seconds[0], 1e-9)


def measure(ranks, options):
    """Return what was measured, as a dict; times are in seconds and those of the slowest rank."""
    step, parameters, buckets = prepare(ranks, options)
    ways = {"compute": (False, False), "plain": (True, False), "overlapped": (True, True)}
    samples = {name: [] for name in ways}
    for i in range(options.rounds + 1):  # the first is not counted
        for name, way in ways.items():
            ranks.first(None)  # all begin together
            slowest = max(ranks.exchange(step(*way)))
            if i:
                samples[name].append(slowest)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in samples.items()
    }
    latency, bandwidth = link(ranks)
    return {
        "ranks": ranks.size,
        "model": options.model,
        "images": options.batch * (ranks.size if options.weak else 1),
        "compute": medians["compute"][0],
        "step": medians["overlapped"][0],
        "step_without_overlap": medians["plain"][0],
        "wait": medians["overlapped"][1],
        "wait_without_overlap": medians["plain"][1],
        "bytes": sum(parameter.data.nbytes for parameter in parameters),
        "buckets": buckets,
        "latency": latency,
        "bandwidth": bandwidth,
    }


def hidden(measured):
    """Return the share of the communication that backward hides, 0 to 1."""
    whole, left = measured["wait_without_overlap"], measured["wait"]
    return min(max(1 - left / whole, 0.0), 1.0) if whole else 0.0


def forecast(measured, ranks, gbits):
    """Return the seconds of a step for a number of ranks and a network in Gbit/s, with the same images per rank."""
    return measured["compute"] + ring(ranks, measured["bytes"], NETWORKS[gbits], gbits * 1e9 / 8, measured["buckets"])


def report(measured):
    """Yield the lines of the report."""
    ms = {name: 1000 * value for name, value in measured.items() if isinstance(value, float)}
    of = f"{measured['model']}, {measured['images']} images a step, {measured['ranks']} ranks"
    yield f"{of}: {ms['step']:.1f} ms a step"
    if measured["ranks"] == 1:
        return
    yield (
        f"compute {ms['compute']:.1f} ms; waiting for gradients {ms['wait']:.1f} ms after backward, "
        f"{ms['wait_without_overlap']:.1f} ms without overlap ({ms['step_without_overlap']:.1f} ms a step)"
    )
    yield f"{measured['bytes'] / 1e6:.1f} MB of gradients in {measured['buckets']} buckets"
    latency, bandwidth = measured["latency"] * 1e6, measured["bandwidth"] / 1e9
    yield f"link: {latency:.0f} us, {bandwidth:.2f} GB/s; {hidden(measured):.0%} of the waiting hidden behind backward"
    yield "forecast, the same images a rank: ms a step (share of the time that is compute)"
    yield "ranks   " + "".join(f"{gbits:>4} Gbit/s      " for gbits in NETWORKS)
    for ranks in RANKS:
        times = [forecast(measured, ranks, gbits) for gbits in NETWORKS]
        yield f"{ranks:5}   " + "".join(f"{1000 * t:7.1f} ({measured['compute'] / t:4.0%})  " for t in times)


def serve(ranks, options):
    """Take one step for each line of standard input and answer with its times; `Row` asks."""
    step, _, _ = prepare(ranks, options)
    print(json.dumps(ranks.exchange(os.getpid())), flush=True)
    while ranks.first(ranks.rank or sys.stdin.readline()):
        print(json.dumps(max(ranks.exchange(step()))), flush=True)


class Row:
    """A number of ranks, or a process without MPI (0), that take a step on request and are idle otherwise."""

    def __init__(self, ranks, options):
        program = [sys.executable, __file__, "--serve", "--model", options.model, "--batch", str(options.batch)]
        program += ["--weak"] * options.weak
        command = [MPIEXEC, "-n", str(ranks), *program] if ranks else program
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._pids = json.loads(self._process.stdout.readline())
        self.ranks, self.images = ranks, options.batch * (max(ranks, 1) if options.weak else 1)
        self.step()  # compiles
        self.samples = []

    def step(self):
        """Return the seconds of a step, and those of waiting for gradients in it, of the slowest rank."""
        self._signal(signal.SIGCONT)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds = json.loads(self._process.stdout.readline())
        self._signal(signal.SIGSTOP)
        return seconds

    def end(self):
        """Let the processes come to their end."""
        self._signal(signal.SIGCONT)
        self._process.communicate()

    def _signal(self, number):
        for pid in self._pids:
            os.kill(pid, number)


def table(options):
    """Yield the lines of a table: step by step in turn, so that what else the machine does hits all rows alike."""
    rows = [Row(ranks, options) for ranks in (0, *options.ranks)]
    for _ in range(options.rounds):
        for row in rows:
            row.samples.append(row.step())
    for row in rows:
        row.end()
    yield f"{options.model}: medians of {options.rounds} steps in turn"
    yield "ranks    images  ms a step  waiting  images a second, against no MPI"
    for row in rows:
        seconds, waiting = (1000 * statistics.median(column) for column in zip(*row.samples, strict=True))
        pairs = zip(rows[0].samples, row.samples, strict=True)
        speed = statistics.median(alone[0] / mine[0] for alone, mine in pairs) * row.images / rows[0].images
        yield f"{row.ranks or 'no MPI':<8} {row.images:6} {seconds:10.1f} {waiting:8.1f}  {speed:.3f}"


def main():
    """Measure and report; rank 0 prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar4")
    parser.add_argument("--batch", type=int, default=128, help="images of a step; of each rank with --weak")
    parser.add_argument("--weak", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of each rank (default: they share the cores)")
    parser.add_argument("--json", action="store_true", help="print the numbers alone")
    parser.add_argument("--ranks", type=int, nargs="*", metavar="N", help="a table: start N ranks, for each N in turn")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ranks is not None:
        sys.stdout.writelines(f"{line}\n" for line in table(options))
        return
    from minitorch_cnn import train

    with train.connect() as ranks:
        if options.serve:
            serve(ranks, options)
            return
        measured = measure(ranks, options)
        lines = [json.dumps(measured)] if options.json else report(measured)
        sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
