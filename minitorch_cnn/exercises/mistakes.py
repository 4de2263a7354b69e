"""Mistakes that people make, each with what it computes: the grader looks for the one that gives the same numbers.

Every function takes a `tasks.Case` and yields (sentence, wrong result).
"""

import numpy as np

from minitorch_kernels import reference


def _conv(case, **changes):
    hyper = {"stride": (case.hyper["stride"],) * 2, "padding": (case.hyper["padding"],) * 4}
    return (case.arrays | changes).values(), hyper


def _flipped(kernel):
    return kernel[..., ::-1, ::-1]


def conv_forward(case):
    """Mistakes in the forward pass of a convolution."""
    for sentence, changes in (
        ("the kernel is flipped; a layer cross-correlates", {"weight": _flipped(case.arrays["weight"])}),
        ("the bias is missing", {"bias": None}),
        ("rows and columns of the kernel are exchanged", {"weight": case.arrays["weight"].swapaxes(2, 3)}),
    ):
        arrays, hyper = _conv(case, **changes)
        yield sentence, reference.conv2d_forward(*arrays, **hyper)
    arrays, hyper = _conv(case)
    yield "the padding is missing", reference.conv2d_forward(*arrays, **(hyper | {"padding": (0, 0, 0, 0)}))


def conv_input(case):
    """Mistakes in the gradient of the image."""
    (x, weight, _), hyper = _conv(case)
    rest = {"input_size": x.shape[2:], "dilation": (1, 1), "groups": 1, **hyper}
    wrong = reference.conv2d_backward_input(case.grad_out, _flipped(weight), **rest)
    yield (
        "the kernel has to be flipped when grad_out is cross-correlated with it: grad_x uses the kernel unflipped",
        wrong,
    )
    padding = hyper["padding"][0]
    size = tuple(side + 2 * padding for side in x.shape[2:])
    padded = reference.conv2d_backward_input(
        case.grad_out, weight, **(rest | {"input_size": size, "padding": (0, 0, 0, 0)})
    )
    yield "the border of the padding is not cut off from grad_x", padded


def conv_weight(case):
    """Mistakes in the gradient of the filters."""
    (x, weight, _), hyper = _conv(case)
    rest = {"kernel_size": weight.shape[2:], "dilation": (1, 1), "groups": 1, **hyper}
    right = reference.conv2d_backward_weight(x, case.grad_out, **rest)
    yield "grad_weight is flipped; it is x cross-correlated with grad_out", _flipped(right)
    one = reference.conv2d_backward_weight(x[:1], case.grad_out[:1], **rest)
    yield "grad_weight is that of the first image; sum over all images", one
    last = reference.conv2d_backward_weight(x[-1:], case.grad_out[-1:], **rest)
    yield "grad_weight is that of the last image: = where += should be", last
    yield "grad_weight is divided by the number of images; it is a sum", right / len(x)


def bias(case):
    """Mistakes in the gradient of what is added to every image, and to every pixel if there are any."""
    grad = case.grad_out
    pixels = tuple(range(2, grad.ndim))
    everything = (0, *pixels)
    where = "images and pixels" if pixels else "images"
    yield f"the sum over {where} is missing: what is added everywhere gets the gradient of every place", grad
    if pixels:
        yield "the sum over pixels is missing", grad.sum(axis=0)
        yield "the sum over images is missing", grad.sum(axis=pixels)
        yield "the mean over pixels is taken where the sum should be", grad.sum(axis=0).mean(axis=(1, 2))
    yield "the gradient is that of the first image; sum over all images", grad[0].sum(axis=tuple(p - 1 for p in pixels))
    yield f"the mean over {where} is taken where the sum should be", grad.mean(axis=everything)
    yield "the gradient is a sum over the channels too", grad.sum()
    yield "the gradient is zero", np.zeros(grad.shape[1])
    yield "the number of images multiplies the gradient", grad.sum(axis=everything) * len(grad)


def pool_forward(case):
    """Mistakes in the forward pass of max pooling."""
    hyper = {"kernel_size": (case.hyper["kernel_size"],) * 2, **_conv(case)[1]}
    p = case.hyper["padding"]
    zeros = np.pad(case.arrays["x"], [(0, 0), (0, 0), (p, p), (p, p)])
    wrong = reference.max_pool2d_forward(zeros, **(hyper | {"padding": (0, 0, 0, 0)}))[0]
    yield "the zeros of the padding win over negative values; pad with minus infinity", wrong
    yield "this is the mean of each window, not its maximum", reference.avg_pool2d_forward(case.arrays["x"], **hyper)


def pool_input(case):
    """Mistakes in the gradient of the image."""
    x, p, s, k = case.arrays["x"], case.hyper["padding"], case.hyper["stride"], case.hyper["kernel_size"]
    padded = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], constant_values=-np.inf)
    written, ties, shared, last = (np.zeros(padded.shape) for _ in range(4))
    for n, c, i, j in np.ndindex(*case.grad_out.shape):
        where = (n, c, slice(i * s, i * s + k), slice(j * s, j * s + k))
        window, grad = padded[where], case.grad_out[n, c, i, j]
        wins = window == window.max()
        u, v = np.argwhere(wins)[0]
        written[n, c, i * s + u, j * s + v] = grad
        ties[where] += wins * grad
        shared[where] += wins * grad / wins.sum()
        u, v = np.argwhere(wins)[-1]
        last[n, c, i * s + u, j * s + v] += grad
    sentences = (
        "a pixel that wins in several windows gets the sum of their gradients: = where += should be",
        "of equal values all get the gradient; the first alone takes it",
        "equal values share the gradient; the first alone takes it",
        "of equal values the last gets the gradient; the first takes it",
    )
    inside = (slice(None), slice(None), slice(p, p + x.shape[2]), slice(p, p + x.shape[3]))
    for sentence, wrong in zip(sentences, (written, ties, shared, last), strict=True):
        yield sentence, wrong[inside]


def relu_forward(case):
    """Mistakes in the forward pass of ReLU."""
    yield "this is the absolute value", np.abs(case.arrays["x"])
    yield "negative values are kept: the result is x itself", case.arrays["x"]


def relu_input(case):
    """Mistakes in the gradient of ReLU."""
    x, grad = case.arrays["x"], case.grad_out
    yield "grad_out is missing: the chain rule multiplies the derivative by it", (x > 0).astype(float)
    yield "the gradient passes everywhere; it is 0 where x is not positive", grad
    yield "the gradient passes at x = 0; the derivative there is 0 by convention", np.where(x >= 0, grad, 0)
    yield "the sign of grad_out decides; that of x should", np.where(grad > 0, grad, 0)


def linear_forward(case):
    """Mistakes in the forward pass of a fully connected layer."""
    x, weight, shift = case.arrays.values()
    yield "the bias is missing", x @ weight.T
    if weight.shape[0] == weight.shape[1]:
        yield "the weight is not transposed: out = x @ weight.T + bias", x @ weight + shift


def linear_weight(case):
    """Mistakes in the gradient of the matrix."""
    x, grad = case.arrays["x"], case.grad_out
    yield "grad_weight is transposed: it is grad_out.T @ x", x.T @ grad
    yield "grad_weight is divided by the number of samples; it is a sum", grad.T @ x / len(x)


def _normalised(case):
    x, gamma = case.arrays["x"], case.arrays["gamma"].reshape(1, -1, 1, 1)
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    return x - mean, var, gamma


def norm_forward(case):
    """Mistakes in the forward pass of batch norm."""
    centred, var, gamma = _normalised(case)
    beta, eps, count = case.arrays["beta"].reshape(1, -1, 1, 1), case.hyper["eps"], centred[:, 0].size
    for sentence, scale in (
        (
            "the variance is divided by M - 1; batch norm normalises with the biased one, divided by M",
            np.sqrt(var * count / (count - 1) + eps),
        ),
        ("eps is added to the standard deviation; it belongs to the variance, under the root", np.sqrt(var) + eps),
        ("the root of the variance is missing", var + eps),
        ("eps is missing", np.sqrt(var)),
    ):
        yield sentence, centred / scale * gamma + beta
    yield "gamma and beta are missing", centred / np.sqrt(var + eps)
    yield "beta is missing", centred / np.sqrt(var + eps) * gamma


def norm_input(case):
    """Mistakes in the gradient of the image."""
    centred, var, gamma = _normalised(case)
    std = np.sqrt(var + case.hyper["eps"])
    hat, grad = centred / std, case.grad_out * gamma
    mean = grad.mean(axis=(0, 2, 3), keepdims=True)
    share = (grad * hat).mean(axis=(0, 2, 3), keepdims=True)
    yield "mean and variance depend on x too: the gradient through both is missing", grad / std
    yield "the gradient through the variance is missing", (grad - mean) / std
    yield "the gradient through the mean is missing", (grad - hat * share) / std
    yield "gamma is missing", (grad - mean - hat * share) / std / gamma


def norm_gamma(case):
    """Mistakes in the gradient of the scale."""
    centred, var, _ = _normalised(case)
    axes = (0, 2, 3)
    yield "gamma multiplies the normalised x, not x", (case.grad_out * case.arrays["x"]).sum(axis=axes)
    hat = centred / np.sqrt(var + case.hyper["eps"])
    yield "the mean is taken where the sum should be", (case.grad_out * hat).mean(axis=axes)
    yield "the sum over images and pixels is missing", case.grad_out * hat


def entropy_gradient(logits, labels):
    """Return (softmax - one hot) / N, the right gradient for grad_out = 1."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[labels]) / len(logits)


def entropy_forward(case):
    """Mistakes in the forward pass of the loss."""
    logits, labels = case.arrays.values()
    high = logits.max(axis=1, keepdims=True)
    logs = logits - high - np.log(np.exp(logits - high).sum(axis=1, keepdims=True))
    picked = logs[np.arange(len(labels)), labels]
    yield "the sum over the samples is taken where the mean should be", np.array(-picked.sum())
    yield "the minus is missing", np.array(picked.mean())
    yield "the mean over the samples is missing", -picked
    with np.errstate(all="ignore"):
        odds = np.exp(logits)
        naive = -np.log(odds / odds.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels].mean()
        other = (np.log(odds.sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean()
    overflow = "exp overflows for large logits: subtract the largest of each row first"
    yield from ((overflow, np.array(wrong)) for wrong in (naive, other) if not np.isfinite(wrong))


def entropy_logits(case):
    """Mistakes in the gradient of the logits."""
    logits, labels = case.arrays.values()
    right, count = entropy_gradient(logits, labels), len(logits)
    grad, hot = case.grad_out, np.eye(logits.shape[1])[labels]
    yield "grad_out is missing: the chain rule multiplies by it", right
    yield "the gradient is that of the sum: divide by the number of samples", right * count * grad
    yield "1 has to be subtracted at the right class: this is the softmax alone", (right + hot / count) * grad
    yield "the sign is wrong: it is softmax minus one hot", -right * grad
