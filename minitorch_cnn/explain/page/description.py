"""A traced model as data for the engine in the page: its operations, and all numbers that they need."""

import dataclasses
import math
import re
from typing import Any

import numpy as np

from minitorch_cnn.explain.page.bundle import FOLDER
from minitorch_cnn.explain.page.fields import image_rows
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.explain.trace.semantics import label
from minitorch_cnn.ops.indexing import Index
from minitorch_cnn.ops.matmul import MatMul
from minitorch_cnn.ops.resize import Resize, interpolation_matrices


@dataclasses.dataclass(frozen=True)
class Description:
    """What the page gets.

    Attributes
    ----------
    graph : dict
        Can be written as JSON. Variables are integers: 0 is the image, then come the outputs in the order in which they
        are computed. Constants are negative: -1 is ``constants[0]``.
    constants : list of ndarray
        float32; ``graph["constants"]`` holds the shape of each and its name, the path of a parameter or "".
    replay : Replay
        The trace that it describes.
    """

    graph: dict[str, Any]
    constants: list[Any]
    replay: Replay


def describe(model, input_shape):
    """Describe a model in evaluation mode for the engine in the page.

    Parameters
    ----------
    model : Module
        It is traced; nothing is computed, and nothing in it changes.
    input_shape : tuple of int
        (1, C, H, W).

    Returns
    -------
    Description

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.
    ValueError
        If the engine in the page lacks an operation of the model.
    """
    replay = Replay(model, input_shape)
    _check_known(replay.records)
    variables = {id(replay.x): 0}
    for position, record in enumerate(replay.records, 1):
        variables[id(record.output)] = position
    constants = _Constants(model)
    nodes = [_node(record, variables, constants) for record in replay.records]
    graph = {
        "input": 0,
        "inputShape": list(input_shape),
        "output": replay.end + 1,
        "nodes": nodes,
        "constants": constants.named,
        "fields": {str(variables[key]): rows for key, rows in image_rows(replay).items()},
    }
    return Description(graph, constants.arrays, replay)


def _check_known(records):
    text = (FOLDER / "engine" / "graph.mjs").read_text(encoding="utf-8")
    known = re.findall(r"\w+", re.search(r"operations = \{(.*?)\}", text, re.DOTALL)[1])
    for record in records:
        name, problem = record.op.__name__, None
        if name not in known:
            problem = f"one that the page can compute ({', '.join(known)})"
        elif any(v is not None and v.shape[:-2] for v in record.inputs) and record.op is MatMul:
            problem = "a product of two matrices"
        elif record.hyper.get("training"):
            problem = "evaluation with running statistics"
        if problem:
            where = f" in {record.path}" if record.path else ""
            raise ValueError(f"describe: model - expected {problem}, got {name}{where}")


class _Constants:
    """The arrays that the page gets, each once."""

    def __init__(self, model):
        self.names = {id(p.data): path for path, p in model.named_parameters()}
        self.arrays, self.named, self._known = [], [], {}

    def add(self, array):
        """Return the negative integer by which nodes name an array."""
        if id(array) not in self._known:
            self.arrays.append(np.ascontiguousarray(array, np.float32))
            self.named.append({"shape": list(array.shape), "name": self.names.get(id(array), "")})
            self._known[id(array)] = -len(self.arrays), array  # kept, so that no other array gets its id
        return self._known[id(array)][0]


def _node(record, variables, constants):
    reads = [
        None if v is None else variables[id(v)] if id(v) in variables else constants.add(v.data) for v in record.inputs
    ]
    return {
        "op": record.op.__name__,
        "label": label(record),
        "kind": record.op.kind,
        "rule": record.op.rule,
        "path": record.path,
        "reads": reads,
        "writes": variables[id(record.output)],
        "shape": list(record.output.shape),
        "hyper": _hyper(record, constants),
    }


def _hyper(record, constants):
    """Return keywords as the engine wants them: no slices and no functions, arrays as constants."""
    special = _SPECIAL.get(record.op)
    values = special(record) if special else record.hyper
    return {name: _value(value, constants) for name, value in values.items()}


def _value(value, constants):
    if isinstance(value, np.ndarray) and value.dtype.kind in "fb":
        return {"constant": constants.add(value)}
    if isinstance(value, np.ndarray):
        return {"indices": value.ravel().tolist()}
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no word for it
        return {"number": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
    return value


def _selected(record):
    """Return, for each element that a key selects, its index in the input in row-major order."""
    shape = record.inputs[0].shape
    return {"selected": np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape)[record.hyper["key"]])}


def _matrices(record):
    """Return the interpolation matrix of each axis."""
    rows, columns = interpolation_matrices(record.inputs[0].shape[2:], record.hyper)
    return {"rows": rows, "columns": columns}


_SPECIAL = {Index: _selected, Resize: _matrices}
