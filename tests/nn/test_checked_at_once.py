"""Arguments of layers and losses are checked where they are given, not when the first batch comes."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, ops

WEIGHT = Tensor(np.zeros((1, 1, 2, 2), np.float32))
LOGITS = Tensor(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LeakyReLU("a"), TypeError, "LeakyReLU: negative_slope - expected a number, got 'a'"),
        (lambda: nn.LeakyReLU(np.nan), ValueError, "LeakyReLU: negative_slope - expected"),
        (lambda: nn.Softmax("a"), TypeError, "Softmax: axis - expected an integer, got 'a'"),
        (lambda: nn.LogSoftmax(None), TypeError, "LogSoftmax: axis - expected an integer, got None"),
        (lambda: nn.Conv2d(1, 1, 1, algorithm="fast"), ValueError, "Conv2d: algorithm - expected one of auto, "),
        (lambda: nn.ConvTranspose1d(1, 1, 1, algorithm=None), ValueError, "ConvTranspose1d: algorithm - expected"),
        (lambda: nn.Conv2d(1, 10**30, 1), ValueError, "Conv2d: out_channels - expected at most 2147483647, got 1000"),
        (lambda: nn.Conv2d(1, 1, 1, stride=10**30), ValueError, "Conv2d: stride - expected at most 2147483647, got"),
        (lambda: nn.AvgPool2d(2, divisor_override="a"), TypeError, "AvgPool2d: divisor_override - expected a number"),
        (lambda: nn.AvgPool2d(2, divisor_override=np.nan), ValueError, "AvgPool2d: divisor_override - expected"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "AvgPool2d: divisor_override - expected"),
        (lambda: nn.BatchNorm2d(2, eps=np.inf), ValueError, "BatchNorm2d: eps - expected a finite number, got inf"),
        (lambda: nn.CrossEntropyLoss(ignore_index="a"), TypeError, "CrossEntropyLoss: ignore_index - expected an inte"),
        (lambda: nn.NLLLoss(ignore_index=1.5), TypeError, "NLLLoss: ignore_index - expected an integer, got 1.5"),
        (lambda: nn.LocalResponseNorm(5, alpha=None), TypeError, "LocalResponseNorm: alpha - expected a number, got N"),
        (lambda: nn.LocalResponseNorm(5, k=np.nan), ValueError, "LocalResponseNorm: k - expected"),
        (lambda: ops.conv_transpose2d(Tensor(np.zeros((1, 1, 0, 2), np.float32)), WEIGHT), ValueError, "got 0$"),
        (lambda: nn.init.normal_(WEIGHT, std=np.nan), ValueError, "normal_: std - expected at least 0, got nan"),
        (lambda: nn.init.normal_(WEIGHT, [None]), TypeError, "normal_: mean - expected a number, got"),
        (lambda: nn.init.uniform_(WEIGHT, 1, 0), ValueError, "uniform_: high - expected at least 1, got 0"),
        (lambda: nn.init.kaiming_normal_(WEIGHT, "a", nonlinearity="relu"), TypeError, "kaiming_normal_: a - expected"),
        (lambda: nn.init.constant_(WEIGHT, [1.0]), TypeError, "constant_: value - expected a number, got"),
        (lambda: nn.LayerNorm(()), ValueError, "LayerNorm: normalized_shape - expected at least one axis"),
        (lambda: nn.RMSNorm([]), ValueError, "RMSNorm: normalized_shape - expected at least one axis"),
        (lambda: ops.cross_entropy(LOGITS, [0], label_smoothing=True), ValueError, "label_smoothing - .* got True"),
        (lambda: ops.dropout(LOGITS, True), ValueError, "dropout: p - expected a number, .* got True"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(make, error, message):
    with pytest.raises(error, match=message):
        make()
