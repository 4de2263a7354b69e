"""What stands in for the array of a traced Tensor: nothing reads a value from it, and the error names the line."""

import copy
import math

import numpy as np
import pytest

from minitorch_cnn import Tensor
from minitorch_cnn.autograd import TraceError

READS = {
    "maximum": lambda data: data.max() > 0,
    "reduction": lambda data: np.max(data),
    "comparison": lambda data: data > 0,
    "reflected": lambda data: 1 + data,
    "array": lambda data: np.asarray(data),
    "copy": lambda data: np.array(data),
    "function": lambda data: np.isfinite(data).all(),
    "sort": lambda data: sorted(data),
    "argsort": lambda data: np.argsort(data, axis=0),
    "loop": lambda data: list(data),
    "element": lambda data: data[0],
    "write": lambda data: data.__setitem__(0, 1),
    "in place": lambda data: np.add(data, 1, out=data),
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "index": lambda data: range(data),
    "member": lambda data: 0 in data,
    "item": lambda data: data.item(),
    "list": lambda data: data.tolist(),
    "bytes": lambda data: data.tobytes(),
    "flat": lambda data: data.flat,
    "mathematics": lambda data: math.isnan(data),
    "choice": lambda data: np.where(data, 1, 2),
    "stack": lambda data: np.stack([np.zeros(1), data]),
    "a new Tensor": lambda data: Tensor(data),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_no_value_is_read(read):
    with pytest.raises(TraceError, match=r"asks for a value at .*test_shape_only\.py:\d+ .*use the functions of ops"):
        read(Tensor.like_shape((1,)).data)


def test_shape_and_dtype_are_there_as_in_an_array():
    data, array = Tensor.like_shape((2, 3), np.float64).data, np.zeros((2, 3))
    for name in ("shape", "dtype", "ndim", "size", "itemsize", "nbytes"):
        assert getattr(data, name) == getattr(array, name)
    assert len(data) == 2 and np.shape(data) == (2, 3) and np.ndim(data) == 2 and np.size(data, 1) == 3
    assert np.zeros_like(data).shape == (2, 3) and np.full_like(data, 7, np.int8).dtype == np.int8
    assert repr(data) == "ShapeOnly((2, 3), float64)"


def test_an_unknown_attribute_is_unknown():
    with pytest.raises(AttributeError, match="'ShapeOnly' object has no attribute 'maximum'"):
        Tensor.like_shape((1,)).data.maximum()


def test_a_traced_tensor_detached_or_copied_is_itself():
    x = Tensor.like_shape((1,))
    assert x.detach() is x and copy.deepcopy([x]) == [x]
