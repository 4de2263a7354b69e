"""Every network in PyTorch, with the same weights: logits, loss and the gradient of every parameter.

MCNN_CAMPAIGN=1 runs each at its native size, which takes hours and 12 GB. Otherwise images have at most 64 pixels
per side, and of networks with the same kinds of convolutions only the smallest runs.
"""

import os

import numpy as np
import pytest

from benchmarks._twin import twin, without_dropout
from minitorch_cnn import Tensor, manual_seed, models, nn, ops
from tests.models.zoo_rows import ROWS

CAMPAIGN = bool(os.environ.get("MCNN_CAMPAIGN"))
LARGE_HEADS = ["vgg_a", "vgg_b", "vgg_c", "vgg_d", "vgg_e", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "alexnet"]
NAMES = [name for name in ROWS if CAMPAIGN or name not in LARGE_HEADS]

pytestmark = pytest.mark.oracle


def small(name):
    """Return a model with few classes and no dropout, and a batch of images and labels, in float64."""
    manual_seed(0)
    channels, side, _ = ROWS[name][0]
    model = nn.fuse(without_dropout(models.create(name, num_classes=5)).double())
    rng = np.random.default_rng(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if it had been trained
            module.running_mean[...] = 0.1 * rng.standard_normal(module.num_features)
            module.running_var[...] = rng.uniform(0.5, 1.5, module.num_features)
    side = side if CAMPAIGN else min(side, 64)
    return model, rng.standard_normal((2, channels, side, side)), rng.integers(0, 5, 2)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_logits_loss_and_gradients(name, training):
    torch = pytest.importorskip("torch")
    model, images, labels = small(name)
    model.train(training)
    theirs = twin(torch, model, images.shape)
    expected = theirs(torch.from_numpy(images))
    expected_loss = torch.nn.functional.cross_entropy(expected, torch.from_numpy(labels))
    expected_loss.backward()
    logits = model(Tensor(images))
    loss = ops.cross_entropy(logits, labels)
    loss.backward()
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-8)
    pairs = {"logits": (logits.data, expected.detach())}
    named = zip(model.named_parameters(), theirs.parameters(), strict=True)
    pairs |= {path: (mine.grad, parameter.grad) for (path, mine), parameter in named}
    pairs = {path: (got, want.numpy()) for path, (got, want) in pairs.items()}
    # A bias before a batch norm has no gradient, only the rounding error of a sum over all pixels.
    rounding = 1e-13 * max(np.linalg.norm(want) for _, want in pairs.values())
    for path, (got, want) in pairs.items():
        assert np.linalg.norm(got - want) <= 1e-8 * np.linalg.norm(want) + rounding, path


@pytest.mark.parametrize("name", NAMES)
def test_float32_logits(name):
    torch = pytest.importorskip("torch")
    model, images, _ = small(name)
    expected = twin(torch, model.eval(), images.shape)(torch.from_numpy(images))
    model.float()
    got = model(Tensor(images.astype(np.float32))).data
    expected = expected.detach().numpy()
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
