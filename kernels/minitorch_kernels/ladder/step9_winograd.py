"""Step 9, Winograd: another algorithm, with a quarter of the multiplications.

The idea
    A tile of 4 x 4 outputs of a 3 x 3 filter reads 6 x 6 inputs. By the definition that takes 16 * 9 = 144
    multiplications for each channel. After a transform of the inputs and of the filter, 36 are enough, one for each
    element of the tile. For each of the 36 elements, the sum over the channels is a matrix product, which the
    micro-kernel of step 8 computes.
Why it is faster
    Steps 1 to 8 made the multiplications faster; this step avoids three quarters of them. GFLOP/s still count those
    of the definition, so the share of the peak can exceed 100 %.
What it costs
    The transforms, which are worthwhile where many channels share them, and rounding errors up to twice as large.
    It works only for 3 x 3 (with stride 2: 81 of 144) and 5 x 5 filters (36 of 100); else this step is step 8.
Source
    Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2015), arXiv 1509.09308. The matrices are built in
    `conv.winograd.transform`, which explains them.
"""

import numpy as np

from minitorch_kernels.conv.winograd.correlate import conv2d_forward_winograd, supports
from minitorch_kernels.ladder import step8_shipped


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW), in memory channels-last."""
    if not supports(weight.shape[2:], (stride, stride), (1, 1), 1):
        return step8_shipped.conv2d(x, weight, stride=stride, padding=padding)
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # (N, H, W, C), no copy if the image is channels-last already
    steps = {"stride": (stride, stride), "padding": (padding,) * 4, "dilation": (1, 1)}
    return conv2d_forward_winograd(x, weight, **steps, groups=1).transpose(0, 3, 1, 2)  # (N, O, OH, OW)
