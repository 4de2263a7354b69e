"""What an operation reads: which elements of its inputs one element of its output depends on.

A `Function` declares this once, in its attribute ``reads``. `minitorch_cnn.explain` derives receptive fields,
tables and drawings from it. For every axis of an input there are four answers:

    Along       output index i of one axis reads the input indices taps[i mod p] + step * (i div p)
    ALL         every output element reads the whole axis
    Somewhere   the index depends on several output axes at once, as in a reshape
    UNKNOWN     not known

A window of 3 elements with stride 2 and padding 1 is ``Along(axis, taps=((-1, 0, 1),), step=2)``. Indices outside
the axis lie in the padding, where nothing is read.
"""

from minitorch_cnn.ops.reads.base import (
    ALL,
    KINDS,
    UNKNOWN,
    Along,
    Call,
    Everything,
    Inputs,
    PerChannel,
    Reads,
    SamePlace,
    Somewhere,
    UpTo,
)
from minitorch_cnn.ops.reads.moves import Joined, Padded, Permuted, Product, Reshaped, Rows, Selected
from minitorch_cnn.ops.reads.windows import (
    Resampled,
    TransposedWindows,
    Windows,
    bins,
    convolution_macs,
    kernel_of_weight,
    transposed_macs,
)

__all__ = [
    "ALL",
    "KINDS",
    "UNKNOWN",
    "Along",
    "Call",
    "Everything",
    "Inputs",
    "Joined",
    "Padded",
    "PerChannel",
    "Permuted",
    "Product",
    "Reads",
    "Resampled",
    "Reshaped",
    "Rows",
    "SamePlace",
    "Selected",
    "Somewhere",
    "TransposedWindows",
    "UpTo",
    "Windows",
    "bins",
    "convolution_macs",
    "kernel_of_weight",
    "transposed_macs",
]
