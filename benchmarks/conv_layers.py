"""The four convolutions of cifar4, each alone: forward, input gradient, weight gradient.

    python benchmarks/conv_layers.py --peer torch
    python benchmarks/conv_layers.py --peer torch --algorithm direct

PyTorch's side is channels-last, where its oneDNN kernels are fastest.
"""

import time

import _peers
import _race
import numpy as np

LAYERS = [(3, 64, 32), (64, 128, 16), (128, 256, 8), (256, 512, 4)]  # input channels, filters, side of the maps
PASSES = ("forward", "input gradient", "weight gradient")


def arrays(layer, batch):
    """Return images (N, H, W, C), filters (O, C, 3, 3) and gradients of the output (N, H, W, O)."""
    channels, filters, side = layer
    rng = np.random.default_rng(0)
    shapes = (batch, side, side, channels), (filters, channels, 3, 3), (batch, side, side, filters)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def name(layer, which):
    """Return the name of a case."""
    channels, filters, side = layer
    return f"{channels}-{filters} at {side}x{side} {which}"


def ours(options):
    """Prepare our convolutions."""
    import minitorch_cnn as mt
    from minitorch_cnn.ops import conv_algorithms

    if options.threads:
        mt.set_num_threads(options.threads)
    hyper = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    calls = {}
    for layer in LAYERS:
        pixels, weight, gradients = arrays(layer, options.batch)
        x, grad = (array.transpose(0, 3, 1, 2) for array in (pixels, gradients))
        chosen = conv_algorithms.choose(options.algorithm, x, weight, x.shape[2:], **hyper)
        size = x.shape[2:]
        calls[name(layer, "forward")] = lambda f=chosen.forward, x=x, w=weight: f(x, w, None, **hyper)
        calls[name(layer, "input gradient")] = lambda f=chosen.backward_input, g=grad, w=weight, s=size: f(
            g, w, input_size=s, **hyper
        )
        calls[name(layer, "weight gradient")] = lambda f=chosen.backward_weight, x=x, g=grad: f(
            x, g, kernel_size=(3, 3), **hyper
        )
    return measuring(calls, options.repeats)


def torch_side(options):
    """Prepare PyTorch's convolutions, channels-last."""
    torch = _peers.torch_with(options.threads)
    calls = {}
    for layer in LAYERS:
        pixels, weight, gradients = (torch.from_numpy(array) for array in arrays(layer, options.batch))
        x, grad = (tensor.permute(0, 3, 1, 2) for tensor in (pixels, gradients))
        weight = weight.contiguous(memory_format=torch.channels_last)
        calls[name(layer, "forward")] = lambda x=x, w=weight: torch.nn.functional.conv2d(x, w, padding=1)
        for which, mask in (("input gradient", (True, False, False)), ("weight gradient", (False, True, False))):
            calls[name(layer, which)] = lambda x=x, w=weight, g=grad, m=mask: torch.ops.aten.convolution_backward(
                g, x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, m
            )
    return measuring(calls, options.repeats)


def measuring(calls, repeats):
    """Return a function that times each call, the mean of some repeats."""

    def measure():
        times = {}
        for case, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            times[case] = (time.perf_counter() - start) / repeats
        return times

    return measure


def main():
    """Race and report."""
    parser = _race.parser(__doc__, rounds=15)
    parser.add_argument("--batch", type=int, default=128, metavar="N", help="images (default: 128)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="calls between alternations (default: 3)")
    parser.add_argument("--algorithm", default="auto", help="ours: auto, direct, winograd, im2col")
    options = parser.parse_args()
    work = {
        name((channels, filters, side), which): 2 * 9 * channels * filters * side * side * options.batch
        for channels, filters, side in LAYERS
        for which in PASSES
    }
    _race.run("conv_layers", options, {_race.OURS: ours, "torch channels_last": torch_side}, work=work)


if __name__ == "__main__":
    main()
