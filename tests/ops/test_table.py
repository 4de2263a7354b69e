"""Every exported operation has a row in the one table, and does what its row says."""

import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_cnn.testing import GradcheckError, gradcheck
from tests.ops.table import TABLE

NOT_OPERATIONS = {"conv_algorithm", "one_hot", "register_algorithm", "DenseNetStage"}
every_op = pytest.mark.parametrize("name", sorted(TABLE))


def caller(name, at=(), hyper=None):
    function = TABLE[name].run or getattr(ops, name)
    return lambda *tensors: function(*tensors, *at, **(hyper or {}))


def test_every_exported_operation_has_a_whole_row():
    assert set(TABLE) == set(ops.__all__) - NOT_OPERATIONS
    for name, op in TABLE.items():
        assert len(op.samples) >= 8, name
        assert len(op.errors) >= 3, name
        assert callable(op.truth), name


@every_op
def test_forward_is_the_truth_and_backward_its_derivative(name):
    for arrays, at, hyper in TABLE[name].samples:
        call = caller(name, at, hyper)
        out, expected = call(*map(Tensor, arrays)).data, TABLE[name].truth(*arrays, *at, **hyper)
        assert out.dtype == np.float64 and out.shape == np.shape(expected), (name, at, hyper)
        np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-11, err_msg=f"{name} {at} {hyper}")
        if out.size and any(map(np.size, arrays)):
            gradcheck(call, *map(Tensor, arrays), mode="projection")


@every_op
def test_wrong_arguments_are_named(name):
    for call, error, message in TABLE[name].errors:
        with pytest.raises(error, match=re.escape(message)):
            call()


@pytest.mark.parametrize("name", sorted(name for name, op in TABLE.items() if op.kink))
def test_the_checker_knows_the_kinks(name):
    arrays, at, hyper = TABLE[name].kink
    x = Tensor(arrays[0], requires_grad=True)
    with pytest.raises(GradcheckError, match="chooses differently 1e-06 above and below: .* a kink, move it"):
        gradcheck(caller(name, at, hyper), x, *map(Tensor, arrays[1:]))
