"""The four-layer network: counts, names, shapes."""

import numpy as np
import pytest

from minitorch_cnn import explain, models, ops
from minitorch_cnn.tensor import Tensor


def parameters(model):
    return sum(parameter.size for parameter in model.parameters())


def test_parameters_and_keys():
    model = models.create("cifar4")
    assert parameters(model) == 1_557_066 and len(list(model.parameters())) == 14
    expected = []
    for i in (1, 2, 3, 4):
        entries = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        expected += [f"conv{i}.weight", *(f"bn{i}.{entry}" for entry in entries)]
    assert list(model.state_dict()) == [*expected, "fc.weight", "fc.bias"]
    buffers = sum(array.size for key, array in model.state_dict().items() if "running" in key)
    assert buffers == 1_920


def test_multiplications_of_one_image():
    assert explain.summary(models.create("cifar4"), (1, 3, 32, 32)).macs == 58_397_696


def test_options():
    model = models.create("cifar4", num_classes=7, in_channels=1, image_size=16)
    assert model(Tensor(np.zeros((2, 1, 16, 16), np.float32))).shape == (2, 7)


def test_an_image_must_survive_four_poolings():
    with pytest.raises(ValueError, match="Cifar4: image_size - expected at least 16 for four poolings by 2, got 15"):
        models.create("cifar4", image_size=15)


def test_every_parameter_learns():
    model = models.create("cifar4")
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    logits = model(Tensor(images))
    ops.cross_entropy(logits, np.array([3, 7])).backward()
    assert all(np.abs(parameter.grad).max() > 0 for parameter in model.parameters())


@pytest.mark.oracle
def test_logits_are_those_of_pytorch():
    torch = pytest.importorskip("torch")

    class Reference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            widths = (3, 64, 128, 256, 512)
            for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False), start=1):
                setattr(self, f"conv{i}", torch.nn.Conv2d(before, after, 3, padding=1, bias=False))
                setattr(self, f"bn{i}", torch.nn.BatchNorm2d(after))
            self.fc = torch.nn.Linear(512, 10)

        def forward(self, x):
            for i in range(1, 5):
                x = torch.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
                x = torch.nn.functional.max_pool2d(x, 2)
            return self.fc(x.mean((2, 3)))

    mine, theirs = models.create("cifar4"), Reference()
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in mine.state_dict().items()})
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    for training in (True, False):
        out, expected = mine.train(training)(Tensor(images)), theirs.train(training)(torch.from_numpy(images))
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-4, atol=1e-4)
