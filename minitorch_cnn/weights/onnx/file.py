"""Writing a traced model as an ONNX file, and reading the weights of such a file back."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Variable
from minitorch_cnn.io import files
from minitorch_cnn.nn.state import entries
from minitorch_cnn.nn.tracing import check_module, evaluating, traced
from minitorch_cnn.types import Array, Path, Shape
from minitorch_cnn.weights.file import WeightFileError, as_text, digest_of
from minitorch_cnn.weights.onnx import movement, operators  # noqa: F401 - they register their translations
from minitorch_cnn.weights.onnx.builder import Builder, Unsupported
from minitorch_cnn.weights.onnx.registry import OPSET, TRANSLATIONS, Call

if TYPE_CHECKING:
    from minitorch_cnn.nn import Module

_KEY, _DIGEST = "minitorch_cnn", "minitorch_cnn_sha256"  # of our metadata in the file, and of a sum over all
_MORE = 97  # images of a second trace: no length of a layer is likely to fit it by chance


def save_onnx(path: Path, model: "Module", input_shape: Shape, metadata: Mapping[str, Any] | None = None) -> bool:
    """Write a model as an ONNX file, all or nothing.

    Parameters
    ----------
    path : str or Path
    model : Module
        Traced in evaluation mode; nothing is computed, and nothing in it changes.
    input_shape : tuple of int
        (N, C, H, W), or another that the model takes. The file takes any number of images unless the model suits
        N alone, such as one that reshapes to a fixed batch or takes a mean over it.
    metadata : dict or None
        What JSON can hold, such as names of classes and the normalisation of images.

    Returns
    -------
    bool
        True if the file takes any number of images, False if exactly N.

    Raises
    ------
    ImportError
        If the package ``onnx`` is not installed.
    WeightFileError
        If ONNX lacks an operation of the model, the model returns anything but one Tensor computed from the images,
        or it does not do the same each time.
    TraceError
        If the model reads values, such as for a decision: a file would hold only one way.
    ShapeError
        If the model does not take inputs of this shape.
    TypeError, ValueError
        If ``metadata`` is not a dict that JSON can hold, NaN and infinities excluded, or ``input_shape`` no tuple of
        integers >= 0.
    OSError
        If the file cannot be written.

    Notes
    -----
    The input is called "images" and the output "outputs"; parameters keep their paths as names. The entry
    "minitorch_cnn" of the file's metadata holds ``metadata`` as JSON. Files are limited to 2 GiB by their format.
    """
    onnx = _onnx("save_onnx")
    arguments.path("save_onnx", path=path)
    check_module("save_onnx", model)
    text = as_text("save_onnx", metadata, standard=True)
    x, records, output = _traced(model, input_shape)
    _check_output(x, records, output)
    _check_steady(x, records, output, _traced(model, input_shape))
    following = _for_any_batch(model, x, records, output)
    any_batch = following is not None
    following = following if any_batch else [_shapes(record) for record in records]
    builder = Builder(onnx, _names(model))
    names, shapes = {id(x): "images"}, {id(x): (-1, *x.shape[1:]) if any_batch else x.shape}
    for record, calls in zip(records, following, strict=True):
        names[id(record.output)], shapes[id(record.output)] = _translated(builder, record, calls, names), calls[1]
    ends = (shapes[id(x)], shapes[id(output)])
    graph = _graph(onnx, builder, x.data.dtype, ends, names[id(output)])
    opset = onnx.helper.make_opsetid("", OPSET)
    made = onnx.helper.make_model(graph, opset_imports=[opset], producer_name="minitorch_cnn", ir_version=9)
    onnx.helper.set_model_props(made, {_KEY: text, _DIGEST: _digest(onnx, made, text)})
    onnx.checker.check_model(made, full_check=True)
    files.atomic_write(path, made.SerializeToString())
    return any_batch


def load_onnx(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read the constants and the metadata of an ONNX file that `save_onnx` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    arrays : dict of str to ndarray
        All constants of the graph; parameters under their paths.
    metadata : dict

    Raises
    ------
    ImportError
        If the package ``onnx`` is not installed.
    WeightFileError
        If it is not such a file.
    OSError
        If it cannot be read.
    """
    onnx = _onnx("load_onnx")
    arguments.path("load_onnx", path=path)
    with open(path, "rb") as file:
        data = file.read()
    try:
        made = onnx.load_model_from_string(data)
        properties = {entry.key: entry.value for entry in made.metadata_props}
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor).copy() for tensor in made.graph.initializer}
        text = properties.get(_KEY)
        metadata = None if text is None else json.loads(text)
        digest = None if text is None else _digest(onnx, made, text)
    except Exception as error:  # the package raises errors of many kinds
        raise WeightFileError(f"{path} - expected an ONNX file, got one that cannot be read: {error}") from error
    if text is None:
        expected = "an ONNX file with the metadata that save_onnx writes"
        raise WeightFileError(f"{path} - expected {expected}, got one of {_producer(made)} without them")
    if not isinstance(metadata, dict) or properties.get(_DIGEST) != digest:
        expected = "constants and metadata as save_onnx wrote them, with their sha256"
        raise WeightFileError(f"{path} - expected {expected}, got others: the file is damaged, was changed, or is old")
    return arrays, metadata


def restore(model, arrays):
    """Load what `load_onnx` read into a model; a parameter that several modules share is stored under its first name.

    Raises
    ------
    StateDictError
        If arrays are missing or do not fit; the model is unchanged.
    """
    names = _names(model)
    found = {path: arrays[names[id(array)]] for path, array, _ in entries(model) if names[id(array)] in arrays}
    model.load_state_dict(found)


def _names(model):
    """Return the first path of every parameter and buffer, by the id of its array."""
    names = {}
    for path, array, _ in entries(model):
        names.setdefault(id(array), path)
    return names


def _producer(made):
    return made.producer_name or "an unknown program"


def _onnx(function):
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"{function} needs the package onnx: pip install 'minitorch-cnn[onnx]'") from error
    return onnx


def _digest(onnx, made, text):
    """Return the sha256 of all constants of a model and of our metadata."""
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    return digest_of(arrays | {_KEY: np.frombuffer(text.encode(), np.uint8)})


def _traced(model, shape):
    """Return the input, the records that its output depends on, and the output of a trace in evaluation mode."""
    with evaluating(model):
        x, records, output = traced(model, shape)
    wanted, needed = {id(output)}, []
    for record in reversed(records):
        if id(record.output) in wanted:
            wanted.update(map(id, record.inputs))
            needed.append(record)
    return x, needed[::-1], output


def _shapes(record):
    return tuple(None if v is None else v.shape for v in record.inputs), record.output.shape


def _check_output(x, records, output):
    """Raise unless the model returns one Tensor that depends on the images."""
    got = type(output).__name__
    if isinstance(output, Variable):
        if output is x or (output.traced and any(output is record.output for record in records)):
            return
        got = "one that it made without the images"
    raise Unsupported(f"save_onnx: model - expected one that returns one Tensor computed from the images, got {got}")


def _check_steady(x, records, output, again):
    """Raise if a second trace of the same shape differs: by chance, or as the model counts its calls."""
    same = _wiring(x, records, output) == _wiring(*again)
    if not same or not all(map(_same_settings, records, again[1])):
        expected = "one that does the same each time"
        raise Unsupported(f"save_onnx: model - expected {expected}, got other operations or constants the second time")


def _for_any_batch(model, x, records, output):
    """Find what follows the batch, by a trace with more images.

    Returns
    -------
    list of (shapes of inputs, shape of output), or None
        Of each record; a length that follows the batch is -1. None if the model suits this batch alone: it fails for
        another one, or runs other operations, or computes with a constant that depends on the batch.
    """
    if not x.shape:
        return None
    try:
        more = _traced(model, (x.shape[0] + _MORE, *x.shape[1:]))
    except (ValueError, IndexError):
        return None
    if _wiring(x, records, output) != _wiring(*more):
        return None
    found = []
    for one, other in zip(records, more[1], strict=True):
        pairs = [_merged(a, b) for a, b in zip(*(_flat(r) for r in (one, other)), strict=True)]
        if None in pairs or not _same_settings(one, other):
            return None
        inputs = iter(pairs[:-1])
        found.append((tuple(None if v is None else next(inputs) for v in one.inputs), pairs[-1]))
    return found


def _wiring(x, records, output):
    """Return every operation with what it reads, and what the model returns: -1 the images, i what record i made."""
    makers = {id(x): -1} | {id(record.output): i for i, record in enumerate(records)}
    reads = [(record.op, [makers.get(id(v)) for v in record.inputs]) for record in records]
    return [*reads, makers.get(id(output))]


def _flat(record):
    inputs, output = _shapes(record)
    return [*(shape for shape in inputs if shape is not None), output]


def _merged(one, other):
    """Return a shape with -1 for the axis whose length differs; None if more than one does."""
    if len(one) != len(other):
        return None
    merged = tuple(a if a == b else -1 for a, b in zip(one, other, strict=True))
    return merged if merged.count(-1) <= 1 else None


def _same_settings(one, other):
    """Return whether constants and keywords are the same, apart from shapes, which come from the output."""
    constants = zip(one.inputs, other.inputs, strict=True)
    if not all(a is b or a.traced or np.array_equal(a.data, b.data, equal_nan=True) for a, b in constants):
        return False
    return all(name == "shape" or _equal(value, other.hyper[name]) for name, value in one.hyper.items())


def _equal(one, other):
    """Return whether two keywords are equal; they may be arrays, or tuples with arrays inside."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")
    return one == other


def _translated(builder, record, shapes, names):
    """Add the nodes of one operation; return the name of its output."""
    where = f" in {record.path}" if record.path else ""
    if record.op not in TRANSLATIONS:
        known = ", ".join(sorted(function.__name__ for function in TRANSLATIONS))
        expected = f"operations that have a translation ({known})"
        raise Unsupported(f"save_onnx: model - expected {expected}, got {record.op.__name__}{where}")
    if any(v is not None and v.traced and id(v) not in names for v in record.inputs):
        expected, got = "operations on the images and on constants", f"{record.op.__name__} of an earlier trace"
        raise Unsupported(f"save_onnx: model - expected {expected}, got {got}{where}")
    inputs = [None if v is None else names.get(id(v)) or builder.constant(v.data) for v in record.inputs]
    call = Call(*shapes, record.hyper, record.output.data.dtype)
    try:
        return TRANSLATIONS[record.op](builder, call, *inputs)
    except Unsupported as error:
        raise Unsupported(f"save_onnx: model - {error}: {record.op.__name__}{where}") from None


def _graph(onnx, builder, dtype, ends, last):
    """Return the whole graph, with names and the two shapes of ``ends`` for input and output."""
    builder.add("Identity", last, output="outputs")
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    values = [
        onnx.helper.make_tensor_value_info(name, kind, ["N" if length == -1 else length for length in shape])
        for name, shape in zip(("images", "outputs"), ends, strict=True)
    ]
    return onnx.helper.make_graph(builder.nodes, "minitorch_cnn", values[:1], values[1:], builder.initializers)
