"""Reshaping, padding and indexing in ONNX; see `operators`."""

import numpy as np

from minitorch_cnn.ops.indexing import BroadcastTo, Index
from minitorch_cnn.ops.movement import Reshape, Transpose
from minitorch_cnn.ops.padding import Pad, PadContinued
from minitorch_cnn.weights.onnx.builder import Unsupported
from minitorch_cnn.weights.onnx.registry import END, translates


@translates(Transpose)
def _transpose(builder, call, x):
    axes = call.hyper["axes"]
    return builder.add("Transpose", x, perm=axes) if axes else builder.add("Identity", x)


@translates(Reshape)
def _reshape(builder, call, x):
    return builder.add("Reshape", x, builder.integers(*call.shape))


@translates(BroadcastTo)
def _broadcast(builder, call, x):
    ahead = len(call.shape) - len(call.shapes[0])
    new = [length for axis, length in enumerate(call.shape) if length == -1 and (axis < ahead)]
    if new:
        raise Unsupported("expected the batch to be there already, got a broadcast that makes it")
    return builder.add("Expand", x, builder.integers(*(1 if length == -1 else length for length in call.shape)))


@translates(Pad)
def _pad(builder, call, x):
    hyper = call.hyper
    pads = builder.integers(*(pair[end] for end in (0, 1) for pair in hyper["padding"]))
    mode = {"zero": "constant"}.get(hyper["mode"], hyper["mode"])
    value = [builder.like(hyper["value"], call.dtype)] if mode == "constant" else []
    return builder.add("Pad", x, pads, *value, mode=mode)


@translates(PadContinued)
def _pad_continued(builder, call, x):
    hyper = call.hyper
    if hyper["mode"] == "replicate":
        pads = builder.integers(*(pair[end] for end in (0, 1) for pair in hyper["padding"]))
        return builder.add("Pad", x, pads, mode="edge")
    for axis, (before, after) in enumerate(hyper["padding"]):  # ONNX wraps from opset 19 on
        ends = [(before, (-before, END), 0), (after, (0, after), 1)]
        parts = [x]
        for width, (first, end), place in ends:
            if width:
                part = builder.add("Slice", x, *(builder.integers(value) for value in (first, end, axis)))
                parts.insert(place * len(parts), part)
        x = builder.add("Concat", *parts, axis=axis) if len(parts) > 1 else x
    return x


@translates(Index)
def _index(builder, call, x):
    """Slice, then drop the axes that a single index took, then gather, then add new axes."""
    key, ndim = call.hyper["key"], len(call.shapes[0])
    used = sum(item is not None and item is not Ellipsis for item in key)
    places = [i for i, item in enumerate(key) if item is Ellipsis]
    at = places[0] if places else len(key)
    full = (*key[:at], *[slice(None)] * (ndim - used), *key[at + 1 :])
    axes, dropped, new, gathered, axis = [], [], [], [], 0
    for item in full:
        if item is None:
            new.append(axis - len(dropped) + len(new))
            continue
        if isinstance(item, (int, np.integer)):
            axes.append((axis, int(item), int(item) + 1 if item != -1 else END, 1))
            dropped.append(axis)
        elif isinstance(item, slice):
            axes += [] if item == slice(None) else [(axis, *_bounds(item))]
        else:
            gathered.append((axis - len(dropped), item))
        axis += 1
    if len(gathered) > 1 or (gathered and (new or np.ndim(gathered[0][1]) != 1)):
        raise Unsupported("expected an index of slices, integers and at most one array of one axis")
    if axes:
        x = builder.add("Slice", x, *(builder.integers(*column) for column in _columns(axes)))
    x = builder.add("Squeeze", x, builder.integers(*dropped)) if dropped else x
    for place, item in gathered:
        chosen = np.asarray(item)
        chosen = np.flatnonzero(chosen) if chosen.dtype.kind == "b" else chosen
        x = builder.add("Gather", x, builder.constant(chosen.astype(np.int64)), axis=place)
    return builder.add("Unsqueeze", x, builder.integers(*new)) if new else x


def _bounds(item):
    """Return start, end and step of a slice as ONNX wants them."""
    step = 1 if item.step is None else item.step
    start = item.start if item.start is not None else (0 if step > 0 else END)
    end = item.stop if item.stop is not None else (END if step > 0 else -END)
    return int(start), int(end), int(step)


def _columns(axes):
    """Return starts, ends, axes and steps."""
    where, starts, ends, steps = zip(*axes, strict=True)
    return starts, ends, where, steps
