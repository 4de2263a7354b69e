"""What worker processes cost a training: epochs with 4 of them against epochs with none.

    python benchmarks/loader.py
    python benchmarks/loader.py --workers 2 --images 10000 --pairs 5

Both sides train the network of recipe cifar4, crop and flip included, on the same drawn images. They
alternate, a run of each at a time. The time of a run is from its first finished step on; what comes
before it, starting the processes and the first batch among it, is the start-up and printed apart.
"""

import argparse
import io
import statistics
import tempfile
import time

from minitorch_cnn import data, train


class StepClock(train.Reporter):
    """Notes when each step ends, and shows nothing."""

    def __init__(self):
        super().__init__(io.StringIO())
        self.ends = []

    def step(self, progress):
        """Note the time."""
        self.ends.append(time.perf_counter())


def run(images, workers, epochs):
    """Train and return (seconds until the first step was done, seconds per epoch from there on)."""
    clock = StepClock()
    with tempfile.TemporaryDirectory() as folder:
        recipe = train.recipe("cifar4", epochs=epochs)
        trainer = train.Trainer(recipe, images, folder, workers=workers, reporter=clock, save_every=1e9)
        begun = time.perf_counter()
        trainer.fit()
    first, *_, last = clock.ends
    return first - begun, (last - first) / (len(clock.ends) - 1) * len(clock.ends) / epochs


def main():
    """Alternate the two sides and print the ratio last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="processes of the one side (default: 4)")
    parser.add_argument("--images", type=int, default=10_000, metavar="N", help="of an epoch (default: 10000)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="of a run (default: 3)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="runs of each side (default: 5)")
    options = parser.parse_args()
    images = data.Shapes10(train=True, size=options.images)
    run(images, 0, 1)  # kernels compiled, memory warm
    epochs = {0: [], options.workers: []}
    for pair in range(options.pairs):
        # Whoever goes second finds a machine that the first has warmed up: take turns.
        for workers in sorted(epochs, reverse=pair % 2 == 1):
            start, seconds = run(images, workers, options.epochs)
            epochs[workers].append(seconds)
            print(f"{workers} workers: start-up {start:.2f} s, then {seconds:.2f} s per epoch", flush=True)
    alone, helped = (statistics.median(epochs[workers]) for workers in (0, options.workers))
    print(f"median epoch: {alone:.2f} s with 0 workers, {helped:.2f} s with {options.workers}")
    print(f"ratio {helped / alone:.3f}")


if __name__ == "__main__":
    main()
