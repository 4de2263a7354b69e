"""The nine-layer network, where the rows of the zoo and the parity with PyTorch do not cover it."""

import numpy as np
import pytest

from minitorch_cnn import models, nn
from minitorch_cnn.tensor import Tensor


def test_an_image_must_survive_three_poolings():
    with pytest.raises(ValueError, match="ResNet9: image_size - expected at least 8 for three poolings by 2, got 7"):
        models.create("resnet9", image_size=7)
    smallest = models.create("resnet9", num_classes=4, in_channels=1, image_size=8)
    assert smallest(Tensor(np.zeros((2, 1, 8, 8), np.float32))).shape == (2, 4)


def test_the_logits_are_an_eighth_of_the_last_layer_s_output():
    model = models.create("resnet9").eval()
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32))
    logits = model(x).data
    model.scale = 1.0
    np.testing.assert_allclose(model(x).data, 8 * logits, rtol=1e-6)


def test_fused_it_computes_the_same():
    model = models.create("resnet9")
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32))
    plain = model(x).data
    np.testing.assert_allclose(nn.fuse(model)(x).data, plain, rtol=1e-4, atol=1e-4)
