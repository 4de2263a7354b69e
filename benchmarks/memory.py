"""Memory of a training step: the most that a process held during 20 steps, less what it held before.

    python benchmarks/memory.py --peer torch

Before means after the imports and with the batch in memory. Each side has a process of its own; the
numbers are Linux's VmHWM and VmRSS.
"""

import _peers
import _race
import train_step

STEPS = 20


def status(field):
    """Return a field of this process's memory, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def side(prepare):
    """Return the function that measures one side's memory instead of its time."""

    def make(options):
        before = []
        options.before = lambda: before.append(status("VmRSS"))
        measure = prepare(options)

        def bytes_used():
            measure()
            return {f"{STEPS} steps": status("VmHWM") - before[0]}

        return bytes_used

    return make


def main():
    """Measure and report."""
    parser = _race.parser(__doc__, rounds=1)
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images (default: 128)")
    options = parser.parse_args()
    options.steps = STEPS
    modes = {mode: side(train_step.torch_side(mode)) for mode in _peers.TORCH_MODES}
    _race.run("memory", options, {_race.OURS: side(train_step.ours)} | modes, unit=("MB", 1e6), warm_up=0)


if __name__ == "__main__":
    main()
