"""ModuleDict, ParameterDict, ParameterList, and the buffers by name."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor


def test_modules_by_name_are_parts_of_the_tree():
    heads = nn.ModuleDict({"cats": nn.Linear(2, 3), "dogs": nn.Linear(2, 1)})
    assert list(heads) == ["cats", "dogs"] and "cats" in heads and len(heads) == 2
    assert [name for name, _ in heads.named_parameters()] == ["cats.weight", "cats.bias", "dogs.weight", "dogs.bias"]
    heads["cats"] = nn.Identity()
    del heads["dogs"]
    assert list(heads.items()) == [("cats", heads.cats)]
    with pytest.raises(KeyError, match="ModuleDict: name - expected one of 'cats', got 'dogs'"):
        heads["dogs"]


def test_parameters_in_a_list_and_by_name_learn_and_are_saved():
    class Scaled(nn.Module):
        def __init__(self):
            self.gains = nn.ParameterList([np.ones(2, np.float32), Tensor([3.0])])
            self.named = nn.ParameterDict({"shift": np.zeros(2, np.float32)})

        def forward(self, x):
            return x * self.gains[0] * self.gains[1] + self.named["shift"]

    module = Scaled()
    assert list(module.state_dict()) == ["gains.0", "gains.1", "named.shift"]
    module(Tensor([[1.0, 2.0]])).sum().backward()
    assert [p.grad.tolist() for p in module.parameters()] == [[3, 6], [3], [1, 1]]
    module.gains[1] = np.full(1, 5.0, np.float32)
    assert len(module.gains) == 2 and [p.shape for p in module.gains] == [(2,), (1,)]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.ModuleDict({"a": 1}), TypeError, "ModuleDict: 'a' - expected a Module, got int"),
        (lambda: nn.ModuleDict({"train": nn.ReLU()}), ValueError, "ModuleDict: name - expected a string without dots"),
        (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), ValueError, "ModuleDict: name - .* got 'a.b'"),
        (lambda: nn.ModuleDict([nn.ReLU()]), TypeError, "ModuleDict: items - expected a dict, got list"),
        (lambda: nn.ParameterDict({"a": nn.ReLU()}), TypeError, "ParameterDict: 'a' - expected a Parameter, got ReLU"),
        (lambda: nn.ParameterList({1.0}), TypeError, "ParameterList: parameters - expected an ordered collection"),
        (lambda: nn.ParameterList([[1, 2]]), TypeError, "Parameter: data - expected float32 or float64, got int64"),
        (lambda: nn.ModuleDict({})(1), NotImplementedError, "ModuleDict: forward - expected a method, got none"),
    ],
)
def test_wrong_contents(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_buffers_by_name():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert [name for name, _ in net.named_buffers()] == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert all(isinstance(buffer, np.ndarray) for buffer in net.buffers())
