"""What the strategies promise of their cases."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, ops
from minitorch_cnn.testing import gradcheck, strategies


@settings(max_examples=15, deadline=None)
@given(case=strategies.conv_cases(max_size=2))
def test_convolutions_fit(case):
    call = lambda x, w: ops.conv2d(x, w, algorithm="im2col", **case.hyper)  # noqa: E731
    assert gradcheck(call, Tensor(case.x()), Tensor(case.weight()), mode="projection").n_checked == 4


@settings(max_examples=15, deadline=None)
@given(case=strategies.pool_cases())
def test_poolings_fit_and_have_no_ties(case):
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        report = gradcheck(lambda x, pool=pool: pool(x, **case.hyper), Tensor(case.x()), mode="random")
        assert report.n_kinks == 0


@given(array=strategies.tie_free_arrays(st.tuples(st.integers(0, 4), st.integers(1, 5)), gap=0.5))
def test_arrays_are_free_of_ties_and_of_zeros(array):
    assert array.dtype == np.float64
    assert (np.diff(np.sort(array.ravel())) >= 0.5).all() and (np.abs(array) >= 0.25).all()


@given(array=strategies.tie_free_arrays((2, 3)))
def test_a_shape_may_be_given_as_it_is(array):
    assert array.shape == (2, 3)
