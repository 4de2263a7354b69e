"""The all-convolutional networks, apart from the counts that all networks are tested for."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, models, no_grad, rng


@pytest.mark.parametrize("name", ["allcnn_a", "allcnn_c"])
def test_the_last_relu_is_on_for_every_class_at_first(name):
    rng.manual_seed(1)
    images = Tensor(np.random.default_rng(1).standard_normal((8, 3, 32, 32), np.float32))
    model = models.create(name).eval()
    with no_grad():
        begun = model(images).data > 0.1
        list(model.parameters())[-1].data[:] = 0
        from_zero = model(images).data > 0.1
    assert begun.all() and not from_zero.all()
