"""How good the forecasts of `mcnn train` are: that before the first step, and that of the progress bar, batch by batch.

    python benchmarks/forecast.py --recipe cifar4 --epochs 1

Trains on shapes10, and compares what was forecast with what came. The bar: within 25 % after 20 batches, on a quiet
machine.
"""

import argparse
import os
import tempfile
import time

from minitorch_cnn import data, train
from minitorch_cnn.diagnose import compiling, rehearsal

BATCHES = (1, 5, 6, 10, 20, 30, 50, 75, 100, 150, 200, 300, 400)  # after which a line is printed
BAR = 0.25


class Recorder(train.Reporter):
    """Keeps, for each batch, when it ended and the seconds that are left by forecast."""

    def __init__(self, stream):
        super().__init__(stream)
        self.course = []

    def step(self, progress):
        super().step(progress)
        self.course.append((time.perf_counter(), self.seconds_left(self._epochs * self._batches - progress.step)))


def main():
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="cifar4", help="default: cifar4")
    parser.add_argument("--epochs", type=int, default=1, help="default: 1, of 10,000 images")
    parser.add_argument("--cold", action="store_true", help="compile kernels while it trains, not ahead")
    options = parser.parse_args()
    recipe = train.recipe(options.recipe, epochs=options.epochs)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        recorder = Recorder(nowhere)
        trainer = train.Trainer(recipe, data.Shapes10(train=True), f"{folder}/run", reporter=recorder)
        if not options.cold:
            start = time.perf_counter()
            count = compiling.compile_for(trainer)
            print(f"compiled {count} kernels in {time.perf_counter() - start:.1f} s")
            before, step = rehearsal.forecast(trainer)
        start = time.perf_counter()
        trainer.fit()
    end = recorder.course[-1][0]
    if not options.cold:
        print(f"before the first step: {before:.1f} s forecast ({1000 * step:.0f} ms a step), {end - start:.1f} s came")
    print("after batch  forecast s  truth s    error")
    for batch in BATCHES:
        if batch < len(recorder.course):
            ended, forecast = recorder.course[batch - 1]
            if forecast is None:
                print(f"{batch:11}   measuring {end - ended:8.1f}")
            else:
                print(f"{batch:11} {forecast:11.1f} {end - ended:8.1f} {forecast / (end - ended) - 1:+8.1%}")
    worst = max(abs(left / (end - ended) - 1) for ended, left in recorder.course[19:-10] if left)
    print(f"largest error from batch 20 to the tenth from the end: {worst:.1%} (bar {BAR:.0%})")


if __name__ == "__main__":
    main()
