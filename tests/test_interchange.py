"""DLPack: memory shared with NumPy and PyTorch, and what cannot be shared."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, autograd
from minitorch_cnn.autograd import GraphError, TraceError


def test_numpy_reads_the_same_memory():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.data) and array.shape == (2, 3)
    y = Tensor.from_dlpack(x.data)  # `array` is read-only in NumPy 2.0, which cannot pass it on
    assert type(y) is Tensor and np.shares_memory(y.data, x.data)


def test_a_gradient_would_be_lost():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(GraphError, match=r"DLPack: expected a Tensor without a gradient, .* x.detach\(\)"):
        np.from_dlpack(x)
    with autograd.no_grad():
        assert np.from_dlpack(x) == 1
    assert np.from_dlpack(x.detach()) == 1
    with pytest.raises(TraceError, match="DLPack asks for a value"):
        np.from_dlpack(Tensor.like_shape((2,)))


def test_what_is_no_array():
    with pytest.raises(TypeError, match="from_dlpack: other - expected an object with __dlpack__, got list"):
        Tensor.from_dlpack([1.0])


@pytest.mark.oracle
def test_pytorch_shares_memory_both_ways():
    torch = pytest.importorskip("torch")
    x = Tensor(np.zeros((2, 3), np.float32))
    theirs = torch.from_dlpack(x)
    theirs[0, 1] = 5
    assert x.data[0, 1] == 5
    ours = Tensor.from_dlpack(theirs)
    assert np.shares_memory(ours.data, x.data) and ours.dtype == np.float32
    with pytest.raises(ValueError, match="from_dlpack: other - expected memory that NumPy can read"):
        Tensor.from_dlpack(torch.ones(1, requires_grad=True))
    with pytest.raises((TypeError, ValueError), match="from_dlpack: other - expected memory that NumPy can read"):
        Tensor.from_dlpack(torch.ones(1).bfloat16())
