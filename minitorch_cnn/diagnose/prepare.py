"""Compiles the kernels that most networks need, for an instruction set, when the package is installed.

    python -m minitorch_cnn.diagnose.prepare FOLDER

Training steps of a few small networks run with an empty cache, in processes that compile for the instruction set and
not for this one processor. What they compiled is copied to FOLDER, where `minitorch_kernels.runtime.jit` looks for it.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

NETWORKS = {"cifar4": (3, 32), "resnet20": (3, 32), "lenet5": (1, 32), "mlp": (3, 32)}  # channels and side of an image
GROUPS = [["cifar4", "mlp"], ["resnet20", "lenet5"]]  # of networks: a process for each, as most machines have two cores


def training_steps(names):
    """Run two training steps of each network, as `mcnn train` does: fused, with Adam and with SGD."""
    import numpy as np

    from minitorch_cnn import Tensor, models, nn, ops, optim

    for name in names:
        channels, side = NETWORKS[name]
        model = nn.fuse(models.create(name))
        images, labels = Tensor(np.zeros((128, channels, side, side), np.float32)), np.zeros(128, int)
        parameters = list(model.parameters())
        for optimizer in (optim.Adam(parameters, lr=1e-3), optim.SGD(parameters, lr=1e-3, momentum=0.9)):
            optimizer.zero_grad()
            ops.cross_entropy(model(images), labels).backward()
            optimizer.step()
        model.eval()
        model(images)


def prepare(folder, level):
    """Fill a folder with kernels for an instruction set that this processor has.

    Parameters
    ----------
    folder : path
    level : str
        "x86-64-v4" or "x86-64-v3".

    Returns
    -------
    int
        The number of kernels.

    Raises
    ------
    subprocess.CalledProcessError
        If a process that compiles fails.
    """
    with tempfile.TemporaryDirectory() as home:
        settings = {"MCNN_HOME": home, "NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""}
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, **settings, "PYTHONPATH": paths}
        command = [sys.executable, "-P", "-m", "minitorch_cnn.diagnose.prepare", "--steps"]
        running = [subprocess.Popen([*command, *names], env=environment) for names in GROUPS]
        failed = [process.args for process in running if process.wait()]
        if failed:
            raise subprocess.CalledProcessError(1, failed[0])
        compiled = list(pathlib.Path(home).rglob("*.kernel"))
        for file in compiled:
            target = pathlib.Path(folder) / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return len(compiled)


def main(arguments):
    """Compile, in this process or in two that are started for it."""
    if arguments[0] == "--steps":
        training_steps(arguments[1:])
        return
    from minitorch_kernels.runtime import jit

    for level in jit.levels()[:1]:
        print(f"compiled {prepare(arguments[0], level)} kernels for {level}")


if __name__ == "__main__":
    main(sys.argv[1:])
