"""The sizes of a forward pass as one line, for messages of ShapeErrors: 32 -conv5 s1 p0-> 28 -pool2-> 14."""

import math

from minitorch_cnn.ops.reads import Call, Resampled, Windows

_LONGEST = 12  # arrows; for a deep network only the last ones are shown
SMALLER_WINDOW = "use padding, fewer poolings and strides before it, or larger images"


def describe_shapes(steps):
    """Return how the size of the feature maps changes from operation to operation.

    Parameters
    ----------
    steps : list of (path, Function, input shapes, output shape, hyper-parameters)
        The ``op_log`` of an `autograd.ModuleCall`.

    Returns
    -------
    str
        Convolutions, poolings, flattening and fully connected layers. A ";" starts a new part where an operation does
        not read the output of the one before, as with shortcuts. Empty if none of these operations ran.
    """
    words, at, convolved = [], None, False
    for _, op, shapes, out, hyper in steps:
        x = shapes[0]
        if len(x) == 4 and len(out) == 2:
            words.append(_rows(x, out))
        elif arrow := _arrow(op, Call(tuple(shapes), out, hyper), brief=convolved):
            convolved = convolved or op.kind == "conv"
            start = "" if at == side(x) else ("; " if words else "") + side(x)
            words.append(f"{start} -{arrow}-> {side(out)}")
        else:
            continue  # the size does not change
        at = side(out)
    hidden = len(words) - _LONGEST
    return "".join(["...", *words[hidden:]] if hidden > 0 else words)


def side(shape):
    """Return the side of a map as "32" or "32 x 30", or the length of a row."""
    sides = shape[2:] or shape[-1:]
    return str(sides[0]) if len(set(sides)) == 1 else " x ".join(map(str, sides))


def _rows(x, out):
    if math.prod(x) == math.prod(out):
        return f"; flatten = {'*'.join(map(str, x[1:]))} = {out[1]}"
    return f"; global pooling = {out[1]}"


def _arrow(op, call, brief):
    """Return a label such as "conv5 s1 p0", or None for an operation that does not change the sides."""
    if op.kind == "full":
        return "linear" if len(call.shapes[1]) == 2 else None
    if op.reads is None:
        return None if side(call.shape) == side(call.shapes[0]) else op.__name__
    reads = op.reads.of(0)
    if isinstance(reads, Resampled):
        return "resize" if op.kind == "resize" else "adaptive pool"
    if not isinstance(reads, Windows) or reads.over is not None:
        return None
    kernel, stride, _, dilation = reads.window(call)
    name, usual_stride = "conv", (1,) * len(stride)
    if op.kind != "conv":  # a pooling, or batch norm, ReLU and pooling in one
        if max(*kernel, *stride) == 1:
            return None
        name, usual_stride, brief = "meanpool" if op.label == "mean" else "pool", kernel, True
    padding = reads.all_padding(call)
    text = name + _brief(kernel)
    text += "" if brief and stride == usual_stride else f" s{_brief(stride)}"
    text += "" if brief and not any(padding) else f" p{_brief(padding)}"
    return text + (f" d{_brief(dilation)}" if max(dilation) > 1 else "")


def _brief(sizes):
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
