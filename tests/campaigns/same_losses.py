"""The same global batches on 1, 2 and 4 ranks with synchronised batch norm: how far apart are the losses?

    python tests/campaigns/same_losses.py --recipe shapes10 --steps 50

Trains on shapes10 and compares the loss of every step with that of one process. Sums in another order differ in
the last bit of a float32, and training amplifies that: Adam at once, where a gradient is nearly zero, SGD step by step.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))


class Enough(Exception):
    """So many steps were made."""


def work(options):
    """Train as one of the ranks; rank 0 prints the losses and whether all have the same parameters."""
    import minitorch_cnn as mt
    from minitorch_cnn import data, train

    changes = {"batch_size": options.batch, "workers": 0, "optimizer": options.optimizer, "peak_lr": options.peak_lr}
    with train.connect() as ranks, tempfile.TemporaryDirectory() as folder:
        mt.set_num_threads(options.threads or ranks.threads or 1)
        recipe = train.recipe(options.recipe, **changes)
        trainer = train.Trainer(recipe, data.Shapes10(train=True), f"{folder}/run", ranks=ranks, sync_bn=True)
        losses, step = [], trainer.step

        def told(*batch):
            before = trainer.progress.loss_sum
            step(*batch)
            losses.append((trainer.progress.loss_sum - before) / options.batch)
            if len(losses) == options.steps:
                raise Enough

        trainer.step = told
        try:
            trainer.fit()
        except Enough:
            digests = ranks.exchange(train.snapshot.digest(trainer.parameters))
            print(json.dumps({"losses": losses, "same": len(set(digests)) == 1}))


def main():
    """Run and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="shapes10")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--optimizer", default="adam", choices=("adam", "sgd"))
    parser.add_argument("--peak-lr", type=float, default=5e-3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    results = {}
    for count in [1, *options.ranks]:
        command = [sys.executable, __file__, *sys.argv[1:], "--work"]
        command = command if count == 1 else [MPIEXEC, "-n", str(count), *command]
        results[count] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        apart = np.abs(np.divide(results[count]["losses"], results[1]["losses"]) - 1)
        print(
            f"{count} ranks: losses of {len(apart)} steps differ by up to {apart.max():.1e} relative "
            f"(step {apart.argmax() + 1}), of the first 5 by {apart[:5].max():.1e}; "
            f"parameters the same on all ranks: {results[count]['same']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
