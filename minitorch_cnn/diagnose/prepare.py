"""Compiles the kernels that most networks need, for an instruction set, when the package is installed.

    python -m minitorch_cnn.diagnose.prepare FOLDER

A process whose kernels are for the instruction set, and not for this one processor, compiles those of a few small
networks into an empty cache. They are copied to FOLDER, where `minitorch_kernels.runtime.jit` looks for them.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

NETWORKS = {"cifar4": (3, 32), "resnet20": (3, 32), "lenet5": (1, 32), "mlp": (3, 32)}  # channels and side of an image


def compile_networks(names):
    """Compile the kernels of a few of `NETWORKS`, fused as `mcnn train` does it."""
    import minitorch_cnn
    from minitorch_cnn import models, nn

    for name in names:
        channels, side = NETWORKS[name]
        minitorch_cnn.compile(nn.fuse(models.create(name)), (128, channels, side, side))


def prepare(folder, level, names=tuple(NETWORKS)):
    """Fill a folder with kernels for an instruction set that this processor has.

    Parameters
    ----------
    folder : path
    level : str
        "x86-64-v4" or "x86-64-v3".
    names : sequence of str
        Keys of `NETWORKS`.

    Returns
    -------
    int
        The number of kernels.

    Raises
    ------
    subprocess.CalledProcessError
        If the process fails.
    """
    with tempfile.TemporaryDirectory() as home:
        settings = {"MCNN_HOME": home, "NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""}
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, **settings, "PYTHONPATH": paths}
        command = [sys.executable, "-P", "-m", "minitorch_cnn.diagnose.prepare", "--networks", *names]
        subprocess.run(command, env=environment, check=True)
        compiled = list(pathlib.Path(home).rglob("*.kernel"))
        for file in compiled:
            target = pathlib.Path(folder) / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return len(compiled)


def main(arguments):
    """Compile in this process and those that it starts, or start it."""
    if arguments[0] == "--networks":
        compile_networks(arguments[1:])
        return
    from minitorch_kernels.runtime import cache

    for level in cache.levels()[:1]:
        print(f"compiled {prepare(arguments[0], level)} kernels for {level}")


if __name__ == "__main__":
    main(sys.argv[1:])
