"""Names of PyTorch: the error says what to write here."""

import copy
import pickle

import numpy as np
import pytest

from minitorch_cnn import Tensor, habits, nn, ops
from minitorch_cnn.autograd import Function


class Keeps(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out


@pytest.mark.parametrize("owner, known", [(Tensor([1.0]), habits.TENSOR), (nn.ReLU(), habits.MODULE)])
def test_each_name_says_what_to_write(owner, known):
    for name, hint in known.items():
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; ") as error:
            getattr(owner, name)
        assert str(error.value).endswith(hint)
    missing = "nothing"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'$"):
        getattr(owner, missing)
    assert not hasattr(owner, "cuda")
    copy.deepcopy(owner)
    if isinstance(owner, nn.Module):
        pickle.loads(pickle.dumps(owner))


def test_what_a_function_keeps():
    with pytest.raises(AttributeError, match=r"'save_for_backward'; use ctx.save\(...\)"):
        Keeps.apply(Tensor([1.0]))


def test_images_as_files_have_them():
    layer = nn.Conv2d(3, 4, 3)
    with pytest.raises(TypeError, match=r"got uint8.*; pixels of 0 to 255 become floats by x = Tensor\(np.float32"):
        layer(Tensor(np.zeros((1, 3, 8, 8), np.uint8)))
    with pytest.raises(ValueError, match=r"; the channels come last here: use x.transpose\(0, 3, 1, 2\)"):
        layer(Tensor(np.zeros((1, 8, 8, 3), np.float32)))


@pytest.mark.parametrize(
    "call",
    [
        nn.Conv2d(3, 4, 3),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.GlobalAvgPool(),
        nn.AdaptiveAvgPool2d(2),
        nn.AdaptiveMaxPool2d(2),
        nn.BatchNorm2d(3),
        nn.ConvTranspose2d(3, 4, 3),
        nn.InstanceNorm2d(3),
        nn.ReflectionPad2d(1),
        lambda x: ops.resize(x, (4, 4)),
    ],
)
def test_one_image_alone_is_refused_with_the_cure(call):
    with pytest.raises(ValueError, match=r"one image alone needs the batch axis: x\[None\]"):
        call(Tensor(np.zeros((3, 8, 8), np.float32)))


@pytest.mark.parametrize(
    "call",
    [nn.Conv1d(3, 4, 3), nn.ConvTranspose1d(3, 4, 3), nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(2), nn.ReplicationPad1d(1)],
)
def test_one_signal_alone_is_refused_with_the_cure(call):
    with pytest.raises(ValueError, match=r"one signal alone needs the batch axis: x\[None\]"):
        call(Tensor(np.zeros((3, 8), np.float32)))
