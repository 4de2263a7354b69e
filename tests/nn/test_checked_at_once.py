"""Arguments of layers and losses are checked where they are given, not when the first batch comes."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, ops

LOGITS = Tensor(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LeakyReLU("a"), TypeError, "LeakyReLU: negative_slope - expected a number, got 'a'"),
        (lambda: nn.LeakyReLU(np.nan), ValueError, "LeakyReLU: negative_slope - expected"),
        (lambda: nn.Softmax("a"), TypeError, "Softmax: axis - expected an integer, got 'a'"),
        (lambda: nn.LogSoftmax(None), TypeError, "LogSoftmax: axis - expected an integer, got None"),
        (lambda: nn.LayerNorm(()), ValueError, "LayerNorm: normalized_shape - expected at least one axis"),
        (lambda: nn.RMSNorm([]), ValueError, "RMSNorm: normalized_shape - expected at least one axis"),
        (lambda: ops.cross_entropy(LOGITS, [0], label_smoothing=True), ValueError, "label_smoothing - .* got True"),
        (lambda: ops.dropout(LOGITS, True), ValueError, "dropout: p - expected a number, .* got True"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(make, error, message):
    with pytest.raises(error, match=message):
        make()
