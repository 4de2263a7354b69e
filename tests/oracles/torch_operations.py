"""Our operations under the signatures of PyTorch's, by the names of its list of sample inputs.

Each function takes what PyTorch's takes; an argument that we do not have raises NoCounterpartError.
"""

import math

from minitorch_cnn import Tensor, ops
from tests.oracles.outcome import NoCounterpartError
from tests.oracles.torch_calls import absent, sides


def add(a, b, *, alpha=1):
    return ops.add(a, b if alpha == 1 else ops.mul(b, alpha))


def sub(a, b, *, alpha=1):
    return ops.sub(a, b if alpha == 1 else ops.mul(b, alpha))


def reflected(name):
    def call(a, b):
        if not isinstance(a, Tensor):
            raise NoCounterpartError("no operator of two numbers")
        return getattr(a, name)(b)

    return call


def gelu(x, *, approximate="none"):
    if approximate != "none":
        raise NoCounterpartError("no argument approximate")
    return ops.gelu(x)


def reduction(op):
    def call(x, dim=None, keepdim=False, **others):
        absent(**others)
        return op(x, axis=dim, keepdims=keepdim)

    return call


def var(x, dim=None, unbiased=True, *, keepdim=False, correction=None):
    if isinstance(dim, bool):  # PyTorch's var(x, unbiased)
        dim, unbiased = None, dim
    return ops.var(x, axis=dim, keepdims=keepdim, correction=int(unbiased) if correction is None else correction)


def std(*args, **kwargs):
    return ops.sqrt(var(*args, **kwargs))


def argmax(x, dim=None, keepdim=False):
    return x.argmax(dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    return x.argmin(dim, keepdim)


def cumsum(x, dim, *, dtype=None):
    absent(dtype=dtype)
    return ops.cumsum(x, dim)


def prod(x, dim=None, keepdim=False, *, dtype=None):
    absent(dtype=dtype)
    return ops.prod(x, axis=dim, keepdims=keepdim)


def gather(x, dim, index, *, sparse_grad=False, out=None):
    absent(sparse_grad=sparse_grad, out=out)
    return ops.gather(x, index.data if isinstance(index, Tensor) else index, axis=dim)


def topk(x, k, dim=-1, largest=True, sorted=True):  # the names are PyTorch's
    return ops.topk(x, k, axis=dim, largest=largest)


def softmax(op):
    return lambda x, dim: op(x, axis=dim)


def concat(tensors, dim=0, *, out=None):
    absent(out=out)
    return ops.concat(tensors, axis=dim)


def stack(tensors, dim=0):
    return ops.stack(tensors, axis=dim)


def shape_of(lengths):
    return lengths[0] if len(lengths) == 1 and isinstance(lengths[0], (tuple, list)) else lengths


def reshape(x, *lengths):
    return ops.reshape(x, tuple(shape_of(lengths)))


def flatten(x, start_dim=0, end_dim=-1):
    return ops.flatten(x, start_axis=start_dim, end_axis=end_dim)


def permute(x, *dims):
    return ops.transpose(x, shape_of(dims))


def transpose(x, dim0, dim1):
    axes = list(range(max(x.ndim, 1)))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return ops.transpose(x, tuple(axes))


def expand(x, *lengths):
    lengths = shape_of(lengths)
    given = (1,) * (len(lengths) - x.ndim) + x.shape
    return ops.broadcast_to(x, tuple(old if new == -1 else new for old, new in zip(given, lengths, strict=True)))


def select(x, dim, index):
    return ops.index(x, (slice(None),) * (dim % x.ndim) + (index,))


def index_select(x, dim, index, *, out=None):
    absent(out=out)
    return ops.index(x, (slice(None),) * (dim % max(x.ndim, 1)) + (index,))


def unsqueeze(x, dim):
    return ops.index(x, (slice(None),) * (dim % (x.ndim + 1)) + (None,))


def split(x, size, dim=0):
    """PyTorch's size is the length of each part, ours the number of parts or all lengths."""
    if isinstance(size, int):
        length = x.shape[dim]
        size = [min(size, length - start) for start in range(0, length, size)]
    return ops.split(x, size, axis=dim)


def chunk(x, chunks, dim=0):
    return split(x, max(1, math.ceil(x.shape[dim] / chunks)), dim)


def pad(x, padding, mode="constant", value=None):
    ends = list(zip(padding[::2], padding[1::2], strict=True))  # PyTorch begins at the last axis
    pairs = [(0, 0)] * (x.ndim - len(ends)) + ends[::-1]
    return ops.pad(x, pairs, mode={"constant": "zero"}.get(mode, mode), value=value or 0.0)


def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    sizes = {"stride": stride, "padding": padding, "dilation": dilation}
    return ops.conv1d(x, weight, bias, groups=groups, **{name: sides(size) for name, size in sizes.items()})


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return ops.conv2d(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_transpose(op):
    def call(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        sizes = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return op(x, weight, bias, groups=groups, **{name: sides(size) for name, size in sizes.items()})

    return call


def stride_of(stride):
    """PyTorch takes an empty list for None."""
    return None if stride is None or stride == [] or stride == () else sides(stride)


def max_pool(op):
    def call(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        hyper = {"stride": stride_of(stride), "padding": sides(padding), "dilation": sides(dilation)}
        return op(x, sides(kernel_size), **hyper, ceil_mode=ceil_mode, return_indices=return_indices)

    return call


def avg_pool(op):
    def call(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        hyper = {"stride": stride_of(stride), "padding": sides(padding), "count_include_pad": count_include_pad}
        divisor = {} if divisor_override is None else {"divisor_override": divisor_override}
        return op(x, sides(kernel_size), **hyper, ceil_mode=ceil_mode, **divisor)

    return call


def adaptive_pool(op):
    def call(x, output_size, return_indices=False):
        return op(x, sides(output_size), **({"return_indices": True} if return_indices else {}))

    return call


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    mean, var = (None if t is None else t.data for t in (running_mean, running_var))
    return ops.batch_norm(x, weight, bias, mean, var, training=training, momentum=momentum, eps=eps)


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    if recompute_scale_factor:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * (x.ndim - 2)
        size, scale_factor = [int(n * factor) for n, factor in zip(x.shape[2:], factors, strict=True)], None
    size, scale_factor = (
        value[0] if x.ndim == 3 and isinstance(value, (tuple, list)) else value for value in (size, scale_factor)
    )
    options = {"mode": mode, "align_corners": bool(align_corners), "antialias": antialias}
    return ops.resize(x, size, scale_factor=scale_factor, **options)


def instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    mean, var = (None if t is None else t.data for t in (running_mean, running_var))
    return ops.instance_norm(x, weight, bias, mean, var, training=use_input_stats, momentum=momentum, eps=eps)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    return ops.group_norm(x, num_groups, weight, bias, eps=eps)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return ops.layer_norm(x, normalized_shape, weight, bias, eps=eps)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    return ops.rms_norm(x, normalized_shape, weight, eps=eps)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    return ops.local_response_norm(x, size, alpha=alpha, beta=beta, k=k)


def dropout(x, p=0.5, training=True, inplace=False):
    absent(inplace=inplace)
    return ops.dropout(x, p, training=training)


def element_loss(op):
    def call(x, target, weight=None, size_average=None, reduce=None, reduction="mean", **named):
        absent(size_average=size_average, reduce=reduce)
        return op(x, target, reduction=reduction, **({} if weight is None else {"weight": weight}), **named)

    return call


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    return ops.nll_loss(x, target, weight=weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    ignored = None if target.dtype.kind == "f" else ignore_index
    hyper = {"weight": weight, "ignore_index": ignored, "label_smoothing": label_smoothing, "reduction": reduction}
    return ops.cross_entropy(x, target, **hyper)


def elu(x, alpha=1.0, inplace=False):
    absent(inplace=inplace)
    return ops.elu(x, alpha)


def in_place(op):
    def call(x, inplace=False):
        absent(inplace=inplace)
        return op(x)

    return call


OPERATIONS = {
    "abs": ops.abs,
    "add": add,
    "sub": sub,
    "mul": ops.mul,
    "true_divide": ops.div,
    "div.no_rounding_mode": ops.div,
    "neg": ops.neg,
    "rsub": lambda a, b, *, alpha=1: sub(b, a, alpha=alpha),
    "__radd__": reflected("__radd__"),
    "__rsub__": reflected("__rsub__"),
    "__rmul__": reflected("__rmul__"),
    "__rdiv__": reflected("__rtruediv__"),
    "__rmatmul__": reflected("__rmatmul__"),
    "exp": ops.exp,
    "log": ops.log,
    "sqrt": ops.sqrt,
    "square": lambda x: ops.power(x, 2),
    "reciprocal": lambda x: ops.div(1, x),
    "rsqrt": lambda x: ops.div(1, ops.sqrt(x)),
    "pow": ops.power,
    "float_power": ops.power,
    "__rpow__": reflected("__rpow__"),
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "max.binary": ops.maximum,
    "min.binary": ops.minimum,
    "where": lambda a, condition, b: ops.where(condition, a, b),
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "nn.functional.relu": ops.relu,
    "nn.functional.leaky_relu": ops.leaky_relu,
    "nn.functional.elu": elu,
    "nn.functional.selu": in_place(ops.selu),
    "nn.functional.silu": in_place(ops.silu),
    "nn.functional.mish": in_place(ops.mish),
    "nn.functional.relu6": in_place(ops.relu6),
    "nn.functional.hardsigmoid": in_place(ops.hard_sigmoid),
    "nn.functional.hardswish": in_place(ops.hard_swish),
    "nn.functional.prelu": ops.prelu,
    "nn.functional.gelu": gelu,
    "softmax": softmax(ops.softmax),
    "log_softmax": softmax(ops.log_softmax),
    "sum": reduction(ops.sum),
    "mean": reduction(ops.mean),
    "amax": reduction(ops.max),
    "amin": reduction(ops.min),
    "max.reduction_no_dim": reduction(ops.max),
    "min.reduction_no_dim": reduction(ops.min),
    "var": var,
    "var.unbiased": var,
    "std": std,
    "std.unbiased": std,
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
    "prod": prod,
    "gather": gather,
    "topk": topk,
    "cat": concat,
    "stack": stack,
    "reshape": reshape,
    "view": reshape,
    "ravel": lambda x: ops.flatten(x, start_axis=0),
    "flatten": flatten,
    "permute": permute,
    "transpose": transpose,
    "T": ops.transpose,
    "t": ops.transpose,
    "mT": lambda x: transpose(x, -1, -2),
    "expand": expand,
    "broadcast_to": lambda x, size: ops.broadcast_to(x, size),
    "flip": lambda x, dims: ops.flip(x, dims),
    "fliplr": lambda x: ops.flip(x, 1),
    "flipud": lambda x: ops.flip(x, 0),
    "__getitem__": ops.index,
    "select": select,
    "index_select": index_select,
    "unsqueeze": unsqueeze,
    "split": split,
    "split.list_args": split,
    "split_with_sizes": split,
    "chunk": chunk,
    "matmul": ops.matmul,
    "mm": ops.matmul,
    "bmm": ops.matmul,
    "mv": ops.matmul,
    "dot": ops.matmul,
    "nn.functional.linear": ops.linear,
    "nn.functional.pad.constant": pad,
    "nn.functional.pad.reflect": pad,
    "nn.functional.pad.replicate": pad,
    "nn.functional.pad.replicate_negative": pad,
    "nn.functional.pad.circular": pad,
    "constant_pad_nd": lambda x, padding, value=0: pad(x, padding, value=value),
    "nn.functional.conv1d": conv1d,
    "nn.functional.conv2d": conv2d,
    "nn.functional.conv_transpose1d": conv_transpose(ops.conv_transpose1d),
    "nn.functional.conv_transpose2d": conv_transpose(ops.conv_transpose2d),
    "nn.functional.max_pool1d": max_pool(ops.max_pool1d),
    "nn.functional.max_pool2d": max_pool(ops.max_pool2d),
    "nn.functional.avg_pool1d": avg_pool(ops.avg_pool1d),
    "nn.functional.avg_pool2d": avg_pool(ops.avg_pool2d),
    "nn.functional.adaptive_avg_pool1d": adaptive_pool(ops.adaptive_avg_pool1d),
    "nn.functional.adaptive_avg_pool2d": adaptive_pool(ops.adaptive_avg_pool2d),
    "nn.functional.adaptive_max_pool1d": adaptive_pool(ops.adaptive_max_pool1d),
    "nn.functional.adaptive_max_pool2d": adaptive_pool(ops.adaptive_max_pool2d),
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.instance_norm": instance_norm,
    "nn.functional.group_norm": group_norm,
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.rms_norm": rms_norm,
    "nn.functional.local_response_norm": local_response_norm,
    "nn.functional.interpolate.nearest": interpolate,
    "nn.functional.interpolate.bilinear": interpolate,
    "nn.functional.upsample_nearest": interpolate,
    "nn.functional.dropout": dropout,
    "nn.functional.mse_loss": element_loss(ops.mse_loss),
    "nn.functional.l1_loss": element_loss(ops.l1_loss),
    "nn.functional.smooth_l1_loss": element_loss(ops.smooth_l1_loss),
    "nn.functional.huber_loss": element_loss(ops.huber_loss),
    "nn.functional.binary_cross_entropy": element_loss(ops.binary_cross_entropy),
    "nn.functional.binary_cross_entropy_with_logits": element_loss(ops.binary_cross_entropy_with_logits),
    "nn.functional.nll_loss": nll_loss,
    "nn.functional.cross_entropy": cross_entropy,
}
