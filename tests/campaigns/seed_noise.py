"""Does a network learn as well on two ranks, each with its own batch norm, or in bf16, as in one process in float32?

    python tests/campaigns/seed_noise.py --data DIR --images 10000 --epochs 3 --seeds 3
    python tests/campaigns/seed_noise.py --data DIR --against bf16 --recipe resnet20 --epochs 8

Trains a network on a part of CIFAR-10's training images, with the same seeds on both sides, and judges it by 5,000
others. Two ranks normalise by halves of the batch, and bf16 rounds the factors of large products, so they do not
compute the same. What is asked is whether the accuracies differ by more than those of other seeds do: by two standard
errors of the difference of the means.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
HELD_OUT = 5000
SIDES = {"one process": (1, "float32"), "ranks": (2, "float32"), "bf16": (1, "bf16")}  # ranks, precision of products


def work(options, seed):
    """Train as one of the ranks; rank 0 prints the accuracy."""
    import minitorch_cnn as mt
    from minitorch_cnn import data, train

    with train.connect() as ranks, tempfile.TemporaryDirectory() as folder:
        if ranks.threads:
            mt.set_num_threads(ranks.threads)
        images = data.CIFAR10(options.data, train=True, verify=False).select(slice(options.images + HELD_OUT))
        precision = SIDES[options.side][1]
        recipe = train.recipe(options.recipe, epochs=options.epochs, workers=1, precision=precision)
        trainer = train.Trainer(recipe, images, f"{folder}/run", seed=seed, holdout=HELD_OUT, ranks=ranks)
        trainer.fit()
        print(trainer.progress.history[-1]["holdout_accuracy"])


def accuracy(side, seed):
    """Return the accuracy of a side with a seed."""
    ranks, words = SIDES[side][0], [sys.executable, __file__, *sys.argv[1:], "--work", str(seed), "--side", side]
    command = words if ranks == 1 else [MPIEXEC, "-n", str(ranks), *words]
    return float(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)


def main():
    """Train and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="where CIFAR-10 lies")
    parser.add_argument("--recipe", default="cifar4")
    parser.add_argument("--images", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3, help="how many, at least 2")
    parser.add_argument("--against", choices=["ranks", "bf16"], default="ranks", help="(default: ranks)")
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=int, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options, options.work)
        return
    reached = {"one process": [], options.against: []}
    for seed in range(options.seeds):
        for side, accuracies in reached.items():
            accuracies.append(accuracy(side, seed))
            print(f"seed {seed}, {side}: {accuracies[-1]:.2%}", flush=True)
    one, other = reached.values()
    apart = statistics.mean(other) - statistics.mean(one)
    error = ((statistics.variance(one) + statistics.variance(other)) / options.seeds) ** 0.5
    print(f"{options.against} less one process: {100 * apart:+.2f} points, standard error of seeds {100 * error:.2f}")
    sys.exit(0 if abs(apart) <= 2 * error else 1)


if __name__ == "__main__":
    main()
