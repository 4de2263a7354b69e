"""ONNX files of every network of the zoo and of random traced networks: the checker, ONNX Runtime and Netron take them.

`save_onnx` runs `onnx.checker`. ONNX Runtime's outputs must be ours to 1e-4 of the largest, for other batches too where
the file allows them. Then Netron's own parser opens each file in Node and must know every operator; it is looked for in
the package `netron` of PyPI or in the folder that NETRON names, and the check says so where there is neither.
"""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import tempfile

import harness
import hypothesis
import numpy as np
import onnxruntime

from minitorch_cnn import Tensor, models, no_grad, weights
from tests.explain.random_networks import CHANNELS, networks
from tests.weights.onnx.test_export import requires_equal, small

onnxruntime.set_default_logger_severity(4)


def netron_folder():
    """Return the folder of Netron's sources, or None; nothing of the package is run."""
    if "NETRON" in os.environ:
        return pathlib.Path(os.environ["NETRON"])
    found = importlib.util.find_spec("netron")
    return pathlib.Path(found.origin).parent if found else None


def opened(paths):
    """Open files with Netron; return a remark, and raise RuntimeError if it refuses one."""
    folder = netron_folder()
    if folder is None or shutil.which("node") is None:
        return "not opened in Netron, which needs Node and the package netron"
    script = pathlib.Path(__file__).with_name("netron.mjs")
    done = subprocess.run(["node", script, folder, *paths], capture_output=True, text=True, timeout=600)
    if done.returncode or len(done.stdout.splitlines()) != len(paths):
        raise RuntimeError(f"Netron: {done.stderr.strip()[-400:]}")
    return "opened in Netron"


def draw(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def zoo(length):
    """Every network, one at a time, so that a stopped run continues; the short form takes some of the small ones."""
    names = [name for name in models.list() if small(name)][::10] if not length.full else models.list()
    progress = harness.Progress(length, done=[], wrong=[], remarks=[])
    for name in names:
        if name in progress.done:
            continue
        channels, side = models.native_input(name)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "m.onnx")
            try:
                requires_equal(onnxruntime, path, models.create(name).eval(), draw((1, channels, side, side)))
                progress.remarks = sorted({*progress.remarks, opened([path])})
            except (AssertionError, ValueError, RuntimeError) as error:
                progress.wrong.append(f"; {name}: {str(error)[:200]}")
        progress.done.append(name)
        progress.save()
    figure = f"{len(names) - len(progress.wrong)} of {len(names)} networks, {', '.join(progress.remarks)}"
    return figure + "".join(progress.wrong), not progress.wrong


def at_random(length):
    """Random networks: those whose maps become too small, or with an operation that ONNX lacks, do not count."""
    wanted, done, remarks, small_maps, absent = length(20, 500), 0, set(), 0, 0
    with tempfile.TemporaryDirectory() as folder:

        @hypothesis.seed(length.seed)
        @hypothesis.settings(
            max_examples=4 * wanted, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(networks())
        def check(network):
            nonlocal done, small_maps, absent
            if done == wanted:
                return
            x, path = draw((2, CHANNELS, 24, 20)), pathlib.Path(folder, f"{done}.onnx")
            try:
                with no_grad():
                    network.eval()(Tensor(x))
            except ValueError:
                small_maps += 1
                return
            try:
                requires_equal(onnxruntime, path, network, x)
                done += 1
            except weights.WeightFileError as error:
                assert "Blur" in str(error)  # the operation of a user's own
                absent += 1

        check()
        remarks.add(opened(sorted(pathlib.Path(folder).glob("*.onnx"))))
    figure = f"{done} networks, {', '.join(remarks)}; left out: {absent} with an operation that ONNX lacks"
    return f"{figure}, {small_maps} whose maps are smaller than a window", done == wanted


if __name__ == "__main__":
    harness.main(__doc__, {"31 the zoo as ONNX": zoo, "31 random networks as ONNX": at_random})
