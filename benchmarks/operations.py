"""Single operations of a network, forward and with backward: pooling, activations, norms, resizing, sums of maps.

    python benchmarks/operations.py --peer torch
    python benchmarks/operations.py --peer torch --only sigmoid "group norm"

Maps are of 64 images, 64 channels and 32 x 32 pixels, channels-last; PyTorch has them in its own order, too. The
gradient of the input is stored at each call, as that of a parameter.
"""

import functools
import time
import types

import _peers
import _race
import numpy as np

# Ours of `minitorch_cnn.ops`, PyTorch's of torch.nn.functional; of maps x, and of vectors g and b (64,) if there are.
OPERATIONS = {
    "max pooling 2 x 2": (lambda ops, x: ops.max_pool2d(x, 2), lambda F, x: F.max_pool2d(x, 2)),
    "max pooling 3 x 3, stride 2": (
        lambda ops, x: ops.max_pool2d(x, 3, stride=2, padding=1),
        lambda F, x: F.max_pool2d(x, 3, 2, 1),
    ),
    "average pooling 2 x 2": (lambda ops, x: ops.avg_pool2d(x, 2), lambda F, x: F.avg_pool2d(x, 2)),
    "average pooling 3 x 3, stride 2": (
        lambda ops, x: ops.avg_pool2d(x, 3, stride=2, padding=1),
        lambda F, x: F.avg_pool2d(x, 3, 2, 1),
    ),
    "adaptive average pooling to 8": (
        lambda ops, x: ops.adaptive_avg_pool2d(x, 8),
        lambda F, x: F.adaptive_avg_pool2d(x, 8),
    ),
    "global average pooling": (lambda ops, x: ops.global_avg_pool(x), lambda F, x: x.mean((2, 3))),
    "relu": (lambda ops, x: ops.relu(x), lambda F, x: F.relu(x)),
    "leaky relu": (lambda ops, x: ops.leaky_relu(x), lambda F, x: F.leaky_relu(x)),
    "relu6": (lambda ops, x: ops.relu6(x), lambda F, x: F.relu6(x)),
    "hard swish": (lambda ops, x: ops.hard_swish(x), lambda F, x: F.hardswish(x)),
    "sigmoid": (lambda ops, x: ops.sigmoid(x), lambda F, x: x.sigmoid()),
    "silu": (lambda ops, x: ops.silu(x), lambda F, x: F.silu(x)),
    "gelu": (lambda ops, x: ops.gelu(x), lambda F, x: F.gelu(x)),
    "tanh": (lambda ops, x: ops.tanh(x), lambda F, x: x.tanh()),
    "elu": (lambda ops, x: ops.elu(x), lambda F, x: F.elu(x)),
    "mish": (lambda ops, x: ops.mish(x), lambda F, x: F.mish(x)),
    "softplus": (lambda ops, x: ops.softplus(x), lambda F, x: F.softplus(x)),
    "sum of two maps": (lambda ops, x: x + x, lambda F, x: x + x),
    "product of two maps": (lambda ops, x: x * x, lambda F, x: x * x),
    "maps times a number a channel": (
        lambda ops, x: x * x[:, :, :1, :1],
        lambda F, x: x * x[:, :, :1, :1],
    ),
    "concatenation": (lambda ops, x: ops.concat([x, x], axis=1), lambda F, x: F.cat([x, x], 1)),
    "padding by 2": (lambda ops, x: ops.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))), lambda F, x: F.pad(x, (2,) * 4)),
    "batch norm, training": (
        lambda ops, x, g, b: ops.batch_norm(x, g, b, None, None, training=True),
        lambda F, x, g, b: F.batch_norm(x, None, None, g, b, True),
    ),
    "group norm": (lambda ops, x, g, b: ops.group_norm(x, 8, g, b), lambda F, x, g, b: F.group_norm(x, 8, g, b)),
    "local response norm": (lambda ops, x: ops.local_response_norm(x, 5), lambda F, x: F.local_response_norm(x, 5)),
    "softmax over channels": (lambda ops, x: ops.softmax(x, axis=1), lambda F, x: F.softmax(x, 1)),
    "log softmax over channels": (lambda ops, x: ops.log_softmax(x, axis=1), lambda F, x: F.log_softmax(x, 1)),
    "bilinear resizing by 2": (
        lambda ops, x: ops.resize(x, 64, mode="bilinear"),
        lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    ),
    "nearest resizing by 2": (
        lambda ops, x: ops.resize(x, 64, mode="nearest"),
        lambda F, x: F.interpolate(x, scale_factor=2, mode="nearest"),
    ),
}


def arrays():
    """Return maps (N, H, W, C), and the vectors g and b (C,)."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in ((64, 32, 32, 64), (64,), (64,))]


def ours(options):
    """Prepare our side."""
    import minitorch_cnn as mt

    if options.threads:
        mt.set_num_threads(options.threads)
    maps, *vectors = arrays()
    inputs = [mt.Tensor(array, requires_grad=True) for array in (maps.transpose(0, 3, 1, 2), *vectors)]

    def with_backward(operation):
        out = operation()
        out.backward(np.ones_like(out.data))
        for tensor in inputs:
            tensor.grad = None

    return measuring(options, 0, mt.ops, inputs, with_backward)


def torch_side(order, options):
    """Prepare PyTorch's side, its maps in one of both orders."""
    torch = _peers.torch_with(options.threads)
    maps, *vectors = map(torch.from_numpy, arrays())
    maps = maps.permute(0, 3, 1, 2).contiguous(memory_format=getattr(torch, order))
    inputs = [tensor.requires_grad_() for tensor in (maps, *vectors)]

    def with_backward(operation):
        out = operation()
        out.backward(torch.ones_like(out))
        for tensor in inputs:
            tensor.grad = None

    module = types.SimpleNamespace(**vars(torch.nn.functional), cat=torch.cat)
    return measuring(options, 1, module, inputs, with_backward)


def measuring(options, side, module, inputs, with_backward):
    """Return a function that times each operation, forward and with backward, the mean of some calls."""
    calls = {}
    for name, functions in OPERATIONS.items():
        if not options.only or name in options.only:
            count = functions[side].__code__.co_argcount - 1
            operation = functools.partial(functions[side], module, *inputs[:count])
            calls[name], calls[f"{name}, and back"] = operation, functools.partial(with_backward, operation)

    def measure():
        times = {}
        for case, call in calls.items():
            start = time.perf_counter()
            for _ in range(options.repeats):
                call()
            times[case] = (time.perf_counter() - start) / options.repeats
        return times

    return measure


def main():
    """Race and report."""
    parser = _race.parser(__doc__, rounds=7)
    parser.add_argument("--only", nargs="+", choices=OPERATIONS, metavar="NAME", help="(default: all)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="calls between alternations (default: 3)")
    options = parser.parse_args()
    sides = {_race.OURS: ours}
    for name, order in {"torch nchw": "contiguous_format", "torch channels_last": "channels_last"}.items():
        sides[name] = functools.partial(torch_side, order)
    _race.run("operations", options, sides)


if __name__ == "__main__":
    main()
