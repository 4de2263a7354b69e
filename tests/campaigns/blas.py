"""The BLAS that NumPy brings: right for sums of every length, on its own choice of core and on the advised one."""

import os
import subprocess
import sys

import harness

from minitorch_cnn.train.machine import cpu


def products(length):
    """Bar 26: the self-test of `mcnn doctor`, in processes of their own."""
    cores = [None] + (["SkylakeX"] if cpu()["avx512"] else []) + length([], ["Haswell"])
    told, good = [], 0
    for core in cores:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= {"OPENBLAS_CORETYPE": core} if core else {}
        command = [sys.executable, "-P", "-m", "minitorch_cnn.diagnose.blas_check"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            told.append(f"{core or 'default'}: exit code {done.returncode}")
            continue
        answer = harness.json.loads(done.stdout)
        told.append(f"{answer['core']} ({core or 'default'}): error {answer['error']:.3f} K eps")
        good += answer["error"] <= 1
    return "; ".join(told), good == len(cores)


if __name__ == "__main__":
    harness.main(__doc__, {"26 products through BLAS": products})
