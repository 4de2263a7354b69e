"""Memory of a training step: the most that a process held during 20 steps, less what it held before.

    python benchmarks/memory.py --peer torch         cifar4
    python benchmarks/memory.py air94 --peer torch
    python benchmarks/memory.py --growth 1000        what our process holds after 1,000 steps and after 50

Before means after the imports and with the batch in memory, for PyTorch with the weights, which are made from ours.
Each side has a process of its own; the numbers are Linux's VmHWM and VmRSS.
"""

import _peers
import _race
import zoo

STEPS = 20


def status(field):
    """Return a field of this process's memory, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def side(prepare):
    """Return the function that measures one side's memory instead of its time."""

    def make(options):
        import numba  # noqa: F401  the first kernel would load it

        before = []
        options.before = lambda: before.append(status("VmRSS"))
        measure = prepare(options)

        def bytes_used():
            for _ in range(STEPS):
                measure()
            return {f"{options.one}, {STEPS} steps": status("VmHWM") - before[0]}

        return bytes_used

    return make


def growth(options):
    """Run many of our steps, and print what the process holds after 50 and at the end, and their ratio."""
    step, sizes = zoo.ours(options), []
    for number in range(1, options.growth + 1):
        step()
        if number in (50, options.growth):
            sizes.append(status("VmRSS"))
            print(f"after step {number}: {sizes[-1] / 1e6:.1f} MB", flush=True)
    print(f"ratio {sizes[-1] / sizes[0]:.4f}")


def main():
    """Measure and report."""
    parser = _race.parser(__doc__, rounds=1)
    parser.add_argument("one", nargs="?", default="cifar4", metavar="NETWORK", help="(default: cifar4)")
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images (default: 128)")
    parser.add_argument("--growth", type=int, metavar="N", help="instead, compare step N, above 50, with step 50")
    options = parser.parse_args()
    options.precision = "float32"
    options.mode, options.size, options.seconds = "training", 32, 0.0  # of `zoo`: a call measures one step
    if options.growth:
        options.before = lambda: None
        growth(options)
        return
    modes = {mode: side(zoo.torch_side(mode)) for mode in _peers.TORCH_MODES}
    _race.run(f"memory_{options.one}", options, {_race.OURS: side(zoo.ours)} | modes, unit=("MB", 1e6), warm_up=0)


if __name__ == "__main__":
    main()
