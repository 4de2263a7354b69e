"""Right answers to the exercises, as students would write them; the tests spoil one word at a time."""

CONV2D = """
import numpy as np

EXERCISE = "conv2d"


def windows(x, weight, stride, padding):
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    height, width = weight.shape[2:]
    for i in range((padded.shape[2] - height) // stride + 1):
        for j in range((padded.shape[3] - width) // stride + 1):
            yield i, j, np.s_[:, :, i * stride : i * stride + height, j * stride : j * stride + width]


def forward(x, weight, bias, stride, padding):
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    places = list(windows(x, weight, stride, padding))
    out = np.zeros((len(x), len(weight), places[-1][0] + 1, places[-1][1] + 1))
    for i, j, window in places:
        out[:, :, i, j] = np.tensordot(padded[window], weight, ([1, 2, 3], [1, 2, 3])) + bias
    return out


def backward(grad_out, x, weight, bias, stride, padding):
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    grad_padded, grad_weight = np.zeros(padded.shape), np.zeros(weight.shape)
    for i, j, window in windows(x, weight, stride, padding):
        grad = grad_out[:, :, i, j]
        grad_padded[window] += np.tensordot(grad, weight, 1)
        grad_weight += np.tensordot(grad, padded[window], ([0], [0]))
    grad_x = grad_padded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]
    return grad_x, grad_weight, grad_out.sum(axis=(0, 2, 3))
"""

MAX_POOL2D = """
import numpy as np

EXERCISE = "max_pool2d"


def winners(x, kernel_size, stride, padding):
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], constant_values=-np.inf)
    height, width = ((side - kernel_size) // stride + 1 for side in padded.shape[2:])
    for n, c, i, j in np.ndindex(*x.shape[:2], height, width):
        window = padded[n, c, i * stride : i * stride + kernel_size, j * stride : j * stride + kernel_size]
        u, v = np.unravel_index(np.argmax(window), window.shape)
        yield (n, c, i, j), (n, c, i * stride + u - padding, j * stride + v - padding)


def forward(x, kernel_size, stride, padding):
    found = list(winners(x, kernel_size, stride, padding))
    out = np.zeros([1 + last for last in found[-1][0]])
    for place, source in found:
        out[place] = x[source]
    return out


def backward(grad_out, x, kernel_size, stride, padding):
    grad_x = np.zeros(x.shape)
    for place, source in winners(x, kernel_size, stride, padding):
        grad_x[source] += grad_out[place]
    return grad_x
"""

RELU = """
import numpy as np

EXERCISE = "relu"


def forward(x):
    return np.maximum(x, 0)


def backward(grad_out, x):
    return grad_out * (x > 0)
"""

LINEAR = """
EXERCISE = "linear"


def forward(x, weight, bias):
    return x @ weight.T + bias


def backward(grad_out, x, weight, bias):
    return grad_out @ weight, grad_out.T @ x, grad_out.sum(axis=0)
"""

BATCH_NORM = """
import numpy as np

EXERCISE = "batch_norm"
AXES = (0, 2, 3)


def wide(row):
    return row.reshape(1, -1, 1, 1)


def forward(x, gamma, beta, eps):
    mean, var = x.mean(axis=AXES), x.var(axis=AXES)
    return (x - wide(mean)) / np.sqrt(wide(var) + eps) * wide(gamma) + wide(beta)


def backward(grad_out, x, gamma, beta, eps):
    std = np.sqrt(wide(x.var(axis=AXES)) + eps)
    hat = (x - wide(x.mean(axis=AXES))) / std
    grad_hat = grad_out * wide(gamma)
    through_mean, through_var = wide(grad_hat.mean(axis=AXES)), hat * wide((grad_hat * hat).mean(axis=AXES))
    grad_x = (grad_hat - through_mean - through_var) / std
    return grad_x, (grad_out * hat).sum(axis=AXES), grad_out.sum(axis=AXES)
"""

CROSS_ENTROPY = """
import numpy as np

EXERCISE = "cross_entropy"


def log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def forward(logits, labels):
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def backward(grad_out, logits, labels):
    grad = np.exp(log_softmax(logits))
    grad[np.arange(len(labels)), labels] -= 1
    return grad / len(labels) * grad_out
"""
