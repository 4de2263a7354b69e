"""The same global batches on 1, 2 and 4 ranks with --sync-bn: how far apart are the losses of 50 steps?

    python tests/campaigns/same_losses.py                    # cifar4's network and optimiser on shapes10
    python tests/campaigns/same_losses.py --recipe cifar4 --data DIR    # on CIFAR-10
    python tests/campaigns/same_losses.py --controls         # and what rounding alone does

Fails where a loss differs by more than 1e-5 from that of one process, or parameters in a single bit. The controls are
about one process without --sync-bn, whose sums have another order. Training amplifies the last bit of a float32: as
much as between this process and the ranks there is between it and itself, once all its pixels are moved by one bit.
In float64, where the last bit is a billion times smaller, they are the same.
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
LARGEST = 1e-5  # relative difference of two losses
CONTROLS = (  # what is said, ranks of the first side (0: without mpiexec) and its options, those of the second
    ("float32, one process: plain, and --sync-bn", 0, ["--plain"], 0, []),
    ("float32, one process: plain, and with its pixels moved by one bit", 0, ["--plain"], 0, ["--plain", "--ulp"]),
    ("float64: one process, plain, and 2 ranks", 0, ["--plain", "--float64"], 2, ["--float64"]),
)


class Enough(Exception):
    """Raised after a number of steps, to end a run."""


def work(options):
    """Train as one of the ranks; rank 0 prints the losses and whose parameters are which."""
    import minitorch_cnn as mt
    from minitorch_cnn import Tensor, data, models, train

    changes = {"batch_size": options.batch, "workers": 0}
    dtype = np.float64 if options.float64 else np.float32
    with train.connect() as ranks, tempfile.TemporaryDirectory() as folder:
        mt.set_num_threads(ranks.threads or options.threads)
        mt.manual_seed(0)
        recipe = train.recipe(options.recipe, **changes)
        model = models.create(recipe.model, num_classes=10, image_size=32).to_dtype(dtype)
        images = data.CIFAR10(options.data, verify=False) if options.data else data.Shapes10(train=True)
        trainer = train.Trainer(recipe, images, f"{folder}/run", model=model, ranks=ranks, sync_bn=not options.plain)
        losses, step = [], trainer.step

        def told(images, labels):
            before, pixels = trainer.progress.loss_sum, images.data.astype(dtype)
            step(Tensor(np.nextafter(pixels, dtype(np.inf)) if options.ulp else pixels), labels)
            losses.append((trainer.progress.loss_sum - before) / options.batch)
            if len(losses) == options.steps:
                raise Enough

        trainer.step = told
        try:
            trainer.fit()
        except Enough:
            digests = ranks.exchange(train.state.digest(trainer.parameters))
            print(json.dumps({"losses": losses, "digests": digests}))


def run(ranks, *words):
    """Return losses and digests of a run on a number of ranks."""
    command = [sys.executable, __file__, *sys.argv[1:], *words, "--work"]
    command = [MPIEXEC, "-n", str(ranks), *command] if ranks else command
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)


def compare(what, one, other):
    """Print how far two runs are apart; return the largest relative difference of a loss."""
    apart = np.abs(np.divide(other["losses"], one["losses"]) - 1)
    same = len({*one["digests"], *other["digests"]}) == 1
    print(
        f"{what}: losses of {len(apart)} steps differ by up to {apart.max():.1e} (step {apart.argmax() + 1}); "
        f"parameters: {'the same bits' if same else 'different bits'}",
        flush=True,
    )
    return apart.max() if same else np.inf


def main():
    """Run and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="shapes10")
    parser.add_argument("--data", metavar="DIR", help="where CIFAR-10 lies (default: shapes10)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--threads", type=int, default=2, help="of one process (default: 2)")
    parser.add_argument("--controls", action="store_true")
    for flag in ("--plain", "--ulp", "--float64", "--work"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    one = run(0)
    worst = max([compare(f"{ranks} rank{'s' * (ranks > 1)}", one, run(ranks)) for ranks in options.ranks], default=0)
    for what, ranks, words, other_ranks, other_words in CONTROLS * options.controls:
        compare(what, run(ranks, *words), run(other_ranks, *other_words))
    sys.exit(0 if worst <= LARGEST else 1)


if __name__ == "__main__":
    main()
