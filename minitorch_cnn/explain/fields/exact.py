"""Which pixels one element of a network depends on: found by going back through its trace, axis by axis.

Every variable of the trace has a mask for each axis: the rows, the columns, ... that count.
A window of k elements, stride s, dilation d, padding p before the first element turns a row i into the rows

    i * s - p + d * u,   u = 0 .. k - 1,

of which only those inside the map are read. Where a map is read twice, as before a shortcut or a
concatenation, the union of both sets of rows counts. Every operation declares what it reads.
"""

import numpy as np

from minitorch_cnn.explain.trace.semantics import call_of


def reach(records, x, variable, masks):
    """Go back from selected elements of one variable to those of the input.

    Parameters
    ----------
    records : list of Record
        From `autograd.trace`; those after the variable do not matter.
    x, variable : Tensor
        The input that was traced, and a variable of the trace.
    masks : list of bool ndarray
        One for each axis of the variable.

    Returns
    -------
    list of bool ndarray, or None
        One for each axis of the input; all False if nothing is reached. None if an operation on the way does
        not say what it reads.
    """
    wanted = {id(variable): masks}
    for record in reversed(records):
        masks = wanted.pop(id(record.output), None)
        if masks is None or not all(mask.any() for mask in masks):
            continue  # such as a window that lies in the padding altogether
        traced = [number for number, v in enumerate(record.inputs) if v is not None and v.traced]
        if traced and record.op.reads is None:
            return None
        for number in traced:
            v, found = record.inputs[number], record.op.reads.masks(call_of(record), number, masks)
            old = wanted.get(id(v), [np.zeros(n, bool) for n in v.shape])
            wanted[id(v)] = [a | b for a, b in zip(old, found, strict=True)]
    return wanted.get(id(x), [np.zeros(n, bool) for n in x.shape])
