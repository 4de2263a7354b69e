"""Receptive fields: how many pixels of the image one number of a feature map depends on."""

from typing import NamedTuple

_WINDOWS = ("Conv2d", "MaxPool2d", "AvgPool2d")


class Field(NamedTuple):
    """What one number of a map sees; both in pixels of the image, (height, width)."""

    size: tuple  # of the box that it depends on, as if the image had no edges
    jump: tuple  # between the boxes of neighbouring numbers


def receptive_fields(records, x):
    """Compute the field of every map of a trace.

    For a window of k numbers, stride s and dilation d, along each axis:

        size_out = size_in + d * (k - 1) * jump_in          jump_out = jump_in * s

    Parameters
    ----------
    records : list of Record
        From `autograd.trace`.
    x : Tensor, shape (N, C, H, W)
        The input that was traced.

    Returns
    -------
    dict of int to Field
        By ``id`` of the variable. What sees the whole image, behind a flatten, a global or an adaptive
        pooling, has none. Where two maps meet, as behind a shortcut, the larger field counts.

    Notes
    -----
    Source: Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks",
    equations 2 and 3, Distill.
    """
    fields = {id(x): Field((1, 1), (1, 1))}
    for record in records:
        known = [fields[id(v)] for v in record.inputs if v is not None and id(v) in fields]
        if not known or len(record.output.shape) != 4 or record.op.__name__.startswith("Adaptive"):
            continue
        size = tuple(max(field.size[axis] for field in known) for axis in range(2))
        jump = tuple(max(field.jump[axis] for field in known) for axis in range(2))
        if record.op.__name__ in _WINDOWS:
            kernel = record.hyper.get("kernel_size") or record.inputs[1].shape[2:]
            dilation = record.hyper.get("dilation", (1, 1))
            size = tuple(size[i] + dilation[i] * (kernel[i] - 1) * jump[i] for i in range(2))
            jump = tuple(jump[i] * record.hyper["stride"][i] for i in range(2))
        elif record.op.__name__ == "Index":
            steps = _steps(record.hyper["key"])
            jump = tuple(jump[i] * steps[i] for i in range(2))
        fields[id(record.output)] = Field(size, jump)
    return fields


def _steps(key):
    """Return the steps of a subscript along the rows and columns."""
    key = key if isinstance(key, tuple) else (key,)
    steps = [part.step or 1 if isinstance(part, slice) else 1 for part in key]
    return (*steps, 1, 1, 1, 1)[2:4]
