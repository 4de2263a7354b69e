"""One training on two ranks, then on one, then on four: are its parameters those of a run that never stopped?

    python tests/campaigns/other_ranks.py                    # cifar4 on shapes10, 200 steps

Every stage continues from the checkpoint of the one before. With --sync-bn the bits must be those of one process that
trains to the end; with each rank's own batch norm, those of all ranks must be the same after 200 steps.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
STAGES = ((2, 0.5), (1, 0.75), (4, 1.0))  # ranks, and the share of all steps that is done after them


class Enough(Exception):
    """Raised after a number of steps, to end a stage."""


def work(options):
    """Begin or continue as one of the ranks; rank 0 prints the parameters of all, as digests."""
    import minitorch_cnn as mt
    from minitorch_cnn import data, train

    with train.connect() as ranks:
        mt.set_num_threads(ranks.threads or options.threads)
        images = data.Shapes10(train=True)
        if options.resume:
            trainer = train.Trainer.resume(options.work, images, workers=0, ranks=ranks)
        else:
            recipe = train.recipe("shapes10", batch_size=options.batch, workers=0)
            trainer = train.Trainer(recipe, images, options.work, ranks=ranks, sync_bn=not options.own_bn)
        step = trainer.step

        def told(*batch):
            step(*batch)
            if trainer.progress.step == options.until:
                trainer.save()
                raise Enough

        trainer.step, begin = told, trainer.progress.step
        try:
            trainer.fit()
        except Enough:
            digests = ranks.exchange(train.state.digest(trainer.parameters))
            print(json.dumps({"begin": begin, "step": trainer.progress.step, "digests": digests}))


def run(ranks, folder, until, *words):
    """Train on a number of ranks up to a step; return the one digest of the parameters of all of them."""
    again = ["--resume"] * pathlib.Path(folder).exists()
    command = [sys.executable, __file__, *sys.argv[1:], "--work", folder, "--until", str(until), *again, *words]
    command = command if ranks == 1 else [MPIEXEC, "-n", str(ranks), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    said = json.loads(done.stdout)
    same = len(set(said["digests"])) == 1
    print(
        f"{ranks} rank{'s' * (ranks > 1)}{' with own batch norm' * bool(words)}, steps {said['begin'] + 1} to "
        f"{said['step']}: parameters {'the same' if same else 'NOT the same'} on all, {said['digests'][0][:16]}",
        flush=True,
    )
    assert same and said["step"] == until
    return said["digests"][0]


def main():
    """Run the stages and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2, help="of one process (default: 2)")
    for flag in ("--own-bn", "--resume"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    with tempfile.TemporaryDirectory() as root:
        whole = run(1, f"{root}/whole", options.steps)
        for ranks, share in STAGES:
            last = run(ranks, f"{root}/stages", round(share * options.steps))
        run(2, f"{root}/own", options.steps, "--own-bn")
    print("the run of three stages ends with the bits of the whole one" if last == whole else "the bits differ")
    sys.exit(0 if last == whole else 1)


if __name__ == "__main__":
    main()
