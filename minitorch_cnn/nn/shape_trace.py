"""The shapes of a run as one line, for the message of a ShapeError: 32 -conv5 s1 p0-> 28 -pool2-> 14."""

import math

_LONGEST = 12  # arrows; of a deep network the last ones are shown
SMALLER_WINDOW = "use padding, fewer poolings and strides before it, or larger images"
_POOLS = {"MaxPool2d": "pool", "AvgPool2d": "meanpool"}


def chain(steps):
    """Return how the sides of the maps change from step to step.

    Parameters
    ----------
    steps : list of (path, operation name, input shapes, output shape, hyper-parameters)
        Those of `autograd.ModuleCall`.

    Returns
    -------
    str
        Convolutions, poolings and full connections; the way from maps to rows of numbers; a new part
        behind ";" where a step reads something else than the step before it wrote, as shortcuts do.
        Empty if nothing of that kind ran.
    """
    words, at, convolved = [], None, False
    for _, op, shapes, out, hyper in steps:
        x = shapes[0]
        if len(x) == 4 and len(out) == 2:
            words.append(_rows(x, out))
        elif arrow := _arrow(op, shapes, hyper, brief=convolved):
            convolved = convolved or op == "Conv2d"
            start = "" if at == side(x) else ("; " if words else "") + side(x)
            words.append(f"{start} -{arrow}-> {side(out)}")
        else:
            continue  # sides stay as they are
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
    return f"; one number of each map = {out[1]}"


def _arrow(op, shapes, hyper, brief):
    """Return "conv5 s1 p0" and the like, or None for an operation that leaves the sides alone."""
    if op == "MatMul":
        return "linear" if len(shapes[1]) == 2 else None
    if op == "Conv2d":
        name, kernel, usual_stride = "conv", shapes[1][2:], (1, 1)
    elif op in _POOLS:
        name, kernel, brief = _POOLS[op], tuple(hyper["kernel_size"]), True
        usual_stride = kernel
    elif op == "BatchNormReLU" and hyper["pool"] > 1:  # what `nn.fuse` makes of batch norm, ReLU and pooling
        return f"pool{hyper['pool']}"
    elif op.startswith("Adaptive"):
        return "adaptive pool"
    else:
        return None
    stride, padding = tuple(hyper["stride"]), tuple(hyper["padding"])
    text = name + _brief(kernel)
    text += "" if brief and stride == usual_stride else f" s{_brief(stride)}"
    text += "" if brief and not any(padding) else f" p{_brief(padding)}"
    return text + (f" d{_brief(hyper['dilation'])}" if max(hyper.get("dilation", (1,))) > 1 else "")


def _brief(numbers):
    return str(numbers[0]) if len(set(numbers)) == 1 else "x".join(map(str, numbers))
