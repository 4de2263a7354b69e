"""The engine of the page in Node, and the same numbers from the kernels."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from minitorch_cnn import Tensor
from minitorch_cnn.explain.page.bundle import FOLDER
from minitorch_cnn.explain.page.description import describe
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.nn import Module, Parameter

HERE = __file__.rsplit("/", 1)[0]


class Call(Module):
    """A function of x and of further arrays, which are its parameters."""

    def __init__(self, function, *arrays):
        super().__init__()
        self.function = function
        for i, array in enumerate(arrays):
            setattr(self, f"array{i}", Parameter(np.float32(array)))
        self.count = len(arrays)

    def forward(self, x):
        return self.function(x, *(getattr(self, f"array{i}") for i in range(self.count)))


def from_kernels(model, x, grad):
    """Return all variables, their gradients, and those of the parameters by name; 0 where there is none."""
    model.zero_grad()
    replay = Replay(model, x.shape)
    found = {id(replay.x): Tensor(x, requires_grad=True)}
    for record in replay.records:
        inputs = [v if v is None else found.get(id(v), v) for v in record.inputs]
        found[id(record.output)] = record.op.apply(*inputs, **record.hyper)
        if found[id(record.output)].requires_grad:
            found[id(record.output)].retain_grad()
    found[id(replay.records[-1].output)].backward(grad)
    gradients = [np.zeros(t.shape, np.float32) if t.grad is None else t.grad for t in found.values()]
    named = {path: p.grad for path, p in model.named_parameters() if p.grad is not None}
    return [t.data for t in found.values()], gradients, named


def run(cases, folder, pinned=None):
    """Run (model, x, grad of the output) cases in Node; yield (variables, their gradients, {path: gradient}).

    ``pinned`` has all variables of each case; backward then goes through these, not through those of the page.
    """
    if shutil.which("node") is None:
        pytest.skip("needs Node; Debian's package is nodejs")
    described = [describe(model, x.shape) for model, x, _ in cases]
    parts = []
    for i, (description, (_, x, grad)) in enumerate(zip(described, cases, strict=True)):
        parts += [*description.constants, x, grad, *(pinned[i][1:] if pinned else ())]
        description.graph["pinned"] = bool(pinned)
    (folder / "cases.json").write_text(json.dumps([description.graph for description in described]))
    np.concatenate([np.float32(part).ravel() for part in parts]).tofile(folder / "data.bin")
    command = ["node", f"{HERE}/run.mjs", FOLDER / "engine" / "graph.mjs", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)  # a busy machine is slow
    assert done.returncode == 0, done.stderr
    data, at = np.fromfile(folder / "out.bin", np.float32), 0

    def take(shape):
        nonlocal at
        at += int(np.prod(shape))
        return data[at - int(np.prod(shape)) : at].reshape(shape)

    for description, (_, x, _) in zip(described, cases, strict=True):
        shapes = [x.shape, *(tuple(node["shape"]) for node in description.graph["nodes"])]
        values = [take(shape) for shape in shapes]
        gradients = [take(shape) for shape in shapes]
        named = {entry["name"]: take(entry["shape"]) for entry in description.graph["constants"]}
        yield values, gradients, named
