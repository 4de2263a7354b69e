"""Products of bf16 with sums in float32, for twice the speed.

bf16 is float32 cut in the middle: the same sign and exponent, and 8 of the 24 bits of the significand.

    float32   s eeeeeeee fffffff ffffffffffffffff
    bf16      s eeeeeeee fffffff                       1 + 8 + 7 bits, and a leading 1 that is not stored

An instruction of AVX512_BF16 multiplies the 32 bf16 of two vectors and adds the products of neighbours, together with
what 16 sums in float32 hold:

    sum += x[0] * y[0] + x[1] * y[1]

So a *pair* of neighbours, 32 bits, takes the place of one float32. All that is needed for a product in bf16 is to pair
both operands along the axis that it sums over: the offsets, the blocks and the micro-kernel stay as they are, for half
as many terms. `simd.PAIR` is the dtype of pairs.

The instruction takes denormal numbers, those below 1.2e-38, for zeros.

Source: Kalamkar et al. 2019, "A Study of BFLOAT16 for Deep Learning Training", https://arxiv.org/abs/1905.12322,
abstract (bf16 products, sums in float32, no change of the hyperparameters).
"""

import math

import numpy as np

from minitorch_kernels.gemm.matmul import matmul
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import PAIR
from minitorch_kernels.runtime.threads import parallel_kernel

_CHUNK = 1 << 15  # elements in a task


@compiled
def _rounded(bits):
    """Return the bits of the bf16 next to a float32, given by its bits; of two equally near ones the even one."""
    if bits & 0x7FFFFFFF > 0x7F800000:  # NaN: the bit set here keeps it one
        return (bits | 0x400000) >> 16
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


@compiled
def round_elements(bits, halves):
    """Round each element: bits (M,) of float32 into halves (M,), uint16; two of them side by side are a pair."""
    for i in range(len(halves)):
        halves[i] = _rounded(bits[i])


@parallel_kernel(tasks=lambda bits: -(-len(bits) // _CHUNK))
def _round(first_task, end_task, bits, halves):
    """Do what `round_elements` does, parallel over chunks."""
    chunk = slice(first_task * _CHUNK, min(end_task * _CHUNK, len(bits)))
    round_elements(bits[chunk], halves[chunk])


@parallel_kernel(tasks=lambda pairs: pairs.shape[0] * pairs.shape[1])
def _pair_rows(first_task, end_task, bits, pairs):
    """Pair rows: bits (L, K, M) into pairs (L, ceil(K / 2), M); zeros take the place of a missing row."""
    terms, count = bits.shape[1], pairs.shape[1]
    for task in range(first_task, end_task):
        rows, pair, k = bits[task // count], pairs[task // count, task % count], 2 * (task % count)
        for j in range(len(pair)):
            pair[j] = _rounded(rows[k, j])
        if k + 1 < terms:
            for j in range(len(pair)):
                pair[j] |= _rounded(rows[k + 1, j]) << 16


def pair(array, axis):
    """Round to bf16, to nearest even, and put two neighbours along an axis into one element.

    Parameters
    ----------
    array : ndarray, float32
    axis : int, >= 0
        If its length is odd, a zero is added at the end.

    Returns
    -------
    ndarray of `simd.PAIR`, the same shape but ceil(length / 2) along the axis
        The first of the two in the lower 16 bits.

    Notes
    -----
    Cost: one pass over the array. Parallel, and no two tasks write the same elements.
    """
    if array.ndim == 2 and array.T.flags.c_contiguous and not array.flags.c_contiguous:
        return pair(array.T, 1 - axis).T
    before, length, after = array.shape[:axis], array.shape[axis], array.shape[axis + 1 :]
    pairs = memory.empty((*before, -(-length // 2), *after), PAIR)
    if pairs.size == 0:
        return pairs
    array = array.reshape(math.prod(before), length, math.prod(after))
    if array.shape[2] > 1:
        _pair_rows(np.ascontiguousarray(array).view(PAIR), pairs.reshape(len(array), -1, array.shape[2]))
        return pairs
    if length % 2:
        array = np.pad(array, ((0, 0), (0, 1), (0, 0)))
    _round(np.ascontiguousarray(array).view(PAIR).reshape(-1), pairs.reshape(-1).view(np.uint16))
    return pairs


def matmul_bf16(a, b):
    """Multiply two matrices, rounded to bf16; parameters and result as those of `matmul`, float32."""
    return matmul(pair(a, 1), pair(b, 0))


def round_to_bf16(x):
    """Return the number with 8 bits of significand that is nearest to a float32; of two equally near the even one.

    Between 2**e and 2**(e + 1) such numbers lie 2**(e - 7) apart, and below 2**-126 as far as just above it.
    """
    if not math.isfinite(x):
        return np.float32(x)
    exponent = math.frexp(x)[1] - 1  # 2**exponent <= |x| < 2**(exponent + 1)
    step = 2.0 ** (max(exponent, -126) - 7)
    nearest = round(float(x) / step) * step  # Python's `round` takes the even one of two
    return np.float32(math.copysign(math.inf if abs(nearest) >= 2.0**128 else nearest, x))
