"""Which numbers of the input one number of a network depends on: back through its trace, axis by axis.

For every variable of the trace there is a mask for each axis: the rows, the columns, ... that count.
A window of k numbers, stride s, dilation d, padding p in front turns a row i into the rows

    i * s - p + d * u,   u = 0 .. k - 1,

of which only those inside the map are read. Where a map is read twice, as before a shortcut or a
concatenation, both sets of rows are united.
"""

import functools

import numpy as np

from minitorch_cnn.ops.resize import interpolation_matrix


def reach(replay, position, masks):
    """Go back from selected elements of one variable to those of the input.

    Parameters
    ----------
    replay : Replay
    position : int
        Of an operation in its records.
    masks : list of bool ndarray
        One for each axis of what that operation gives.

    Returns
    -------
    list of bool ndarray
        One for each axis of the input; all False if nothing is reached.
    """
    wanted = {id(replay.records[position].output): masks}
    for record in reversed(replay.records[: position + 1]):
        masks = wanted.pop(id(record.output), None)
        if masks is None or not all(mask.any() for mask in masks):
            continue  # such as a window that lies in the padding altogether
        for number, v in enumerate(record.inputs):
            if v is not None and v.traced:
                found = _RULES.get(record.op.__name__, _elementwise)(record, number, masks)
                old = wanted.get(id(v), [np.zeros(n, bool) for n in v.shape])
                wanted[id(v)] = [a | b for a, b in zip(old, found, strict=True)]
    return wanted.get(id(replay.x), [np.zeros(n, bool) for n in replay.x.shape])


def _everything(shape):
    return [np.ones(n, bool) for n in shape]


def _elementwise(record, number, masks):
    """Same place; an axis of length 1 that was repeated is read by all. Unknown operations read everything."""
    shape, out = record.inputs[number].shape, record.output.shape
    tail = masks[len(masks) - len(shape) :]
    fits = len(shape) <= len(out) and all(n in (1, len(mask)) for n, mask in zip(shape, tail, strict=True))
    if not fits:
        return _everything(shape)
    return [mask if len(mask) == n else np.ones(1, bool) for n, mask in zip(shape, tail, strict=True)]


def _window(record, number, masks):
    shape, hyper = record.inputs[0].shape, record.hyper
    if number > 0:
        return _everything(record.inputs[number].shape)  # a kernel that was computed
    kernel = hyper.get("kernel_size") or record.inputs[1].shape[2:]
    images, channels, *places = masks
    if "groups" in hyper:
        of_group = channels.reshape(hyper["groups"], -1).any(1)
        channels = np.repeat(of_group, shape[1] // hyper["groups"])
    padding, dilation = hyper["padding"][::2], hyper.get("dilation", (1, 1))
    found = []
    for axis in range(2):
        starts = np.flatnonzero(places[axis]) * hyper["stride"][axis] - padding[axis]
        read = (starts[:, None] + dilation[axis] * np.arange(kernel[axis])).ravel()
        found.append(np.zeros(shape[2 + axis], bool))
        found[axis][read[(read >= 0) & (read < shape[2 + axis])]] = True
    return [images, channels, *found]


def _bins(record, number, masks):
    """Adaptive pooling: bin i of I covers floor(i*H/I) up to ceil((i+1)*H/I)."""
    found = [*masks[:2]]
    for axis in (2, 3):
        size, bins = record.inputs[0].shape[axis], len(masks[axis])
        read = np.zeros(size, bool)
        for i in np.flatnonzero(masks[axis]):
            read[i * size // bins : -(-(i + 1) * size // bins)] = True
        found.append(read)
    return found


def _resized(record, number, masks):
    hyper, found = record.hyper, [*masks[:2]]
    for axis, out in zip((2, 3), hyper["size"], strict=True):
        matrix = interpolation_matrix(record.inputs[0].shape[axis], out, hyper["mode"], hyper["antialias"])
        found.append((matrix[masks[axis]] != 0).any(0))
    return found


def _padded(record, number, masks):
    found = []
    for n, ends, mask in zip(record.inputs[0].shape, record.hyper["padding"], masks, strict=True):
        fill = {"mode": "reflect"} if record.hyper["mode"] == "reflect" else {"constant_values": -1}
        source = np.pad(np.arange(n), ends, **fill)[mask]
        found.append(np.isin(np.arange(n), source))
    return found


def _moved(record, number, masks):
    """Reshape and subscript: mark the elements that were taken, and see in which rows they lie."""
    marked = np.zeros(record.inputs[0].shape, bool)
    chosen = functools.reduce(np.multiply.outer, masks, np.ones((), bool))
    if "key" in record.hyper:
        marked[record.hyper["key"]] = chosen
    else:
        marked = chosen.reshape(marked.shape)
    axes = range(marked.ndim)
    return [marked.any(tuple(other for other in axes if other != axis)) for axis in axes]


def _transposed(record, number, masks):
    return [masks[i] for i in np.argsort(record.hyper["axes"])]


def _concatenated(record, number, masks):
    axis = record.hyper["axis"]
    start = sum(v.shape[axis] for v in record.inputs[:number])
    part = masks[axis][start : start + record.inputs[number].shape[axis]]
    return [*masks[:axis], part, *masks[axis + 1 :]]


def _reduced(record, number, masks):
    """A sum or a maximum reads all of the axes that it removes."""
    hyper, shape = record.hyper, record.inputs[0].shape
    kept = iter(mask for axis, mask in enumerate(masks) if not (hyper["keepdims"] and axis in hyper["axis"]))
    return [np.ones(n, bool) if axis in hyper["axis"] else next(kept) for axis, n in enumerate(shape)]


def _across(record, number, masks):
    """Softmax reads all of an axis, and local response normalisation all channels."""
    axis = record.hyper.get("axis", 1)
    return [np.ones_like(mask) if i == axis else mask for i, mask in enumerate(masks)]


def _product(record, number, masks):
    if len(masks) != 2 or number > 0:
        return _everything(record.inputs[number].shape)
    return [masks[0], np.ones(record.inputs[0].shape[1], bool)]


_RULES = {
    "Conv2d": _window,
    "MaxPool2d": _window,
    "AvgPool2d": _window,
    "AdaptiveAvgPool2d": _bins,
    "AdaptiveMaxPool2d": _bins,
    "Resize": _resized,
    "Pad": _padded,
    "Reshape": _moved,
    "Index": _moved,
    "Transpose": _transposed,
    "Concat": _concatenated,
    "Sum": _reduced,
    "Max": _reduced,
    "LocalResponseNorm": _across,
    "Softmax": _across,
    "LogSoftmax": _across,
    "MatMul": _product,
}
