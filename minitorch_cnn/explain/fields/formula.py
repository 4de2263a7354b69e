"""Receptive fields: how many pixels of the image one number of a feature map depends on, by the formula.

`explain.receptive_field` gives the pixels of one number, exactly; these are the fields of all maps at
once, as if the image had no edges.
"""

from typing import NamedTuple

from minitorch_cnn.ops.padding import Pad

_WINDOWS = ("Conv2d", "MaxPool2d", "AvgPool2d")


class Field(NamedTuple):
    """What the numbers of a map see; all in pixels of the image, (height, width)."""

    size: tuple  # of the box that one depends on, as if the image had no edges
    jump: tuple  # between the boxes of neighbouring numbers
    start: tuple  # the first pixel of the box of number (0, 0); negative where it begins in the padding

    def box(self, y, x):
        """Return (top, left, bottom, right) of the box of number (y, x), the last two exclusive."""
        top, left = (self.start[i] + place * self.jump[i] for i, place in enumerate((y, x)))
        return top, left, top + self.size[0], left + self.size[1]

    def centre(self, y, x):
        """Return the middle of the box of number (y, x): pixel 0 lies at 0, and x.5 between two pixels."""
        top, left, bottom, right = self.box(y, x)
        return (top + bottom - 1) / 2, (left + right - 1) / 2


def receptive_fields(records, x):
    """Compute the field of every map of a trace.

    For a window of k numbers, stride s, dilation d and padding p in front, along each axis:

        size_out  = size_in + d * (k - 1) * jump_in
        jump_out  = jump_in * s
        start_out = start_in - p * jump_in

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
        pooling, has none. Where two maps meet, as behind a shortcut, the box around both fields counts.

    Notes
    -----
    Source: Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks",
    equations 2 and 3, Distill.
    """
    fields = {id(x): Field((1, 1), (1, 1), (0, 0))}
    for record in records:
        known = [fields[id(v)] for v in record.inputs if v is not None and id(v) in fields]
        if not known or len(record.output.shape) != 4 or record.op.__name__.startswith("Adaptive"):
            continue
        jump = tuple(max(field.jump[axis] for field in known) for axis in range(2))
        start = tuple(min(field.start[axis] for field in known) for axis in range(2))
        size = tuple(max(f.start[axis] + f.size[axis] for f in known) - start[axis] for axis in range(2))
        if record.op.__name__ in _WINDOWS:
            kernel = record.hyper.get("kernel_size") or record.inputs[1].shape[2:]
            dilation = record.hyper.get("dilation", (1, 1))
            size = tuple(size[i] + dilation[i] * (kernel[i] - 1) * jump[i] for i in range(2))
            start = tuple(start[i] - record.hyper["padding"][2 * i] * jump[i] for i in range(2))
            jump = tuple(jump[i] * record.hyper["stride"][i] for i in range(2))
        elif record.op is Pad:
            start = tuple(start[i] - record.hyper["padding"][2 + i][0] * jump[i] for i in range(2))
        elif record.op.__name__ == "Index":
            first, steps = _subscripts(record)
            start = tuple(start[i] + first[i] * jump[i] for i in range(2))
            jump = tuple(jump[i] * steps[i] for i in range(2))
        fields[id(record.output)] = Field(size, jump, start)
    return fields


def _subscripts(record):
    """Return (first, step) of a subscript along the rows and columns."""
    key, shape = record.hyper["key"], record.inputs[0].shape
    key = key if isinstance(key, tuple) else (key,)
    parts = (*key, *[slice(None)] * 4)[2:4]
    taken = [part.indices(shape[2 + i]) if isinstance(part, slice) else (0, 0, 1) for i, part in enumerate(parts)]
    return [first for first, _, _ in taken], [step for _, _, step in taken]
