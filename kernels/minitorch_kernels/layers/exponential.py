"""The exponential of float32 numbers that are not positive, for activations.

That of the C library computes one element at a time. This one needs only sums and products, of integers too, which fill
all lanes of a vector register:

    exp(x) = 2**n * exp(r),  n a whole number,  r = x - n * ln 2 between -0.41 and 0.35

and exp(r) is a sum of eight terms of its Taylor series. The first of them is 1, and exp(x) - 1 does not lose digits to
it: where x is near 0, n is 0, and the other terms are the result.
"""

import numpy as np

from minitorch_kernels.runtime.jit import compiled

LOWEST = np.float32(-110)  # exp(LOWEST) is 0 in float32
_LOG2E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)  # a multiple of the first part is exact
_INVERSES = tuple(np.float32(1 / n) for n in range(1, 8))
_HALF, _ONE, _NO_REST = np.float32(0.5), np.float32(1), np.float32(0)
_BIAS, _EXPONENT, _HALVED = np.int32(127), np.int32(23), np.int32(1)  # a float has n + 127 from bit 23 on


@compiled
def _growth(x, rest):
    """Return n and exp(r) - 1, see above, for exp(x + rest)."""
    i1, i2, i3, i4, i5, i6, i7 = _INVERSES
    n = np.int32(x * _LOG2E - _HALF)
    whole = np.float32(n)
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW + rest
    series = _ONE + r * i4 * (_ONE + r * i5 * (_ONE + r * i6 * (_ONE + r * i7)))
    return n, r * i1 * (_ONE + r * i2 * (_ONE + r * i3 * series))


@compiled
def _power_of_2(n):
    """Return 2**n, -127 < n <= 0."""
    return np.int32((n + _BIAS) << _EXPONENT).view(np.float32)


@compiled
def _two_powers(n):
    """Return two powers of 2 whose product is 2**n, which itself may be too small for float32."""
    half = n >> _HALVED
    return _power_of_2(half), _power_of_2(n - half)


@compiled
def exponential(x, rest):
    """Return exp(x + rest), LOWEST <= x <= 0, to the last digit; ``rest`` is small, and what x lacks by rounding."""
    n, growth = _growth(x, rest)
    power, rest_of_power = _two_powers(n)
    return (_ONE + growth) * power * rest_of_power


@compiled
def exponential_minus_one(x):
    """Return exp(x) - 1, LOWEST <= x <= 0, within 2 units in the last place, also where x is tiny."""
    n, growth = _growth(x, _NO_REST)
    power, rest_of_power = _two_powers(n)
    power *= rest_of_power
    return power * growth + (power - _ONE)


@compiled
def not_positive(x):
    """Return x between LOWEST and 0, the nearer end outside; 0 for NaN."""
    x = x if x < 0 else _NO_REST
    return x if x > LOWEST else LOWEST


@compiled
def exponential_of_minus_size(x):
    """Return exp(-|x|); 1 for NaN."""
    return exponential(not_positive(-x if x > 0 else x), _NO_REST)
