"""Numerical kernels on NumPy arrays: no Tensor, no graph, no argument checks.

Every part is loaded on first use, so that importing this package costs nothing and
``minitorch_kernels.reference`` runs where Numba is not wanted:

=================  ==========================================================================
reference          the textbook loops: the truth every other algorithm is tested against
im2col             convolution as one matrix product
vectors            the vector registers of this processor
register_tile      the micro-kernel: a block of sums held in vector registers
direct             convolution without an im2col buffer, on the register tile
direct_weight      its weight gradient
few_channels       its input gradient where images have few channels, as a first layer's have
few_filters        both where few channels come out: the lanes hold neighbouring pixels
depthwise          all three where each channel has a filter of its own
depthwise_plan     what they read and write
channel_row        the micro-kernel of a depthwise convolution with nine taps
channel_sums       the micro-kernel of its weight gradient
channel_spread     the micro-kernel of its input gradient with a stride of two
regions            which places of the result see which taps
winograd           3 x 3 and 5 x 5 convolution with a quarter or 36 % of the products, on the tile
winograd_weight    its weight gradient
winograd_panels    the same for few patches and many filters
winograd_patches   where patches lie, and the filters of both
winograd_transform the matrices that it transforms patches with
gemm               matrix product on the register tile
pool               pooling
norm               batch normalisation
response_norm      local response normalisation
fused              batch norm, ReLU and max pooling as one
dense              a block of densely connected layers in one buffer
elementwise        activations and other one-pass loops
optimizer          parameter updates in place
buffers            memory for large arrays, used again
augment            image batches from uint8 to float
=================  ==========================================================================
"""

import importlib

_PARTS = (
    "augment",
    "buffers",
    "channel_row",
    "channel_spread",
    "channel_sums",
    "dense",
    "depthwise",
    "depthwise_plan",
    "direct",
    "direct_weight",
    "elementwise",
    "few_channels",
    "few_filters",
    "fused",
    "gemm",
    "im2col",
    "norm",
    "optimizer",
    "pool",
    "reference",
    "regions",
    "register_tile",
    "response_norm",
    "vectors",
    "winograd",
    "winograd_panels",
    "winograd_patches",
    "winograd_transform",
    "winograd_weight",
    "_jit",
)


def __getattr__(name):
    if name in _PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(_PARTS)
