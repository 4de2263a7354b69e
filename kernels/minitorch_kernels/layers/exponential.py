"""The exponential of float32 numbers that are not positive, for activations.

That of the C library computes one element at a time. This one needs only sums, products and a table of powers of 2,
which fill all lanes of a vector register:

    exp(x) = 2**n * exp(r),  n a whole number,  r = x - n * ln 2 between -0.41 and 0.35

and exp(r) is a sum of eight terms of its Taylor series.
"""

import numpy as np

from minitorch_kernels.runtime.jit import compiled

LOWEST = np.float32(-110)  # exp(LOWEST) is 0 in float32
_LOG2E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # a multiple of the first part is exact
_INVERSES = tuple(np.float32(1 / n) for n in range(1, 8))
_HALF, _ONE = np.float32(0.5), np.float32(1)
_LOWEST_POWER = 160  # 2**-160 is 0 in float32
# A constant of the compiled code: as an argument it might overlap the output, and the loop would run one by one.
_POWERS_OF_2 = np.exp2(np.arange(-_LOWEST_POWER, 1)).astype(np.float32)


@compiled
def exponential(x, rest):
    """Return exp(x + rest), LOWEST <= x <= 0, to the last digit; ``rest`` is small, and what x lacks by rounding."""
    i1, i2, i3, i4, i5, i6, i7 = _INVERSES
    n = np.int32(x * _LOG2E - _HALF)
    whole = np.float32(n)
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW + rest
    series = _ONE + r * i4 * (_ONE + r * i5 * (_ONE + r * i6 * (_ONE + r * i7)))
    series = _ONE + r * i1 * (_ONE + r * i2 * (_ONE + r * i3 * series))
    return series * _POWERS_OF_2[np.uintp(n + _LOWEST_POWER)]
