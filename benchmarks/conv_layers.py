"""Single convolutions: forward, input gradient, weight gradient of the four of cifar4, or of depthwise ones.

    python benchmarks/conv_layers.py --peer torch
    python benchmarks/conv_layers.py --peer torch --algorithm direct
    python benchmarks/conv_layers.py --peer torch --layers depthwise --batch 32

PyTorch's side is channels-last, where its oneDNN kernels are fastest.
"""

import functools
import time
from typing import NamedTuple

import _peers
import _race
import numpy as np

PASSES = ("forward", "input gradient", "weight gradient")


class Layer(NamedTuple):
    """A 3 x 3 convolution with padding 1; ``side`` of its input in pixels."""

    channels: int
    filters: int
    side: int
    stride: int = 1
    groups: int = 1

    @property
    def out_side(self):
        return (self.side - 1) // self.stride + 1

    def arrays(self, batch):
        """Return images (N, H, W, C), filters (O, C/groups, 3, 3) and gradients of the output (N, OH, OW, O)."""
        rng = np.random.default_rng(0)
        images, gradients = (batch, self.side, self.side, self.channels), (batch, *[self.out_side] * 2, self.filters)
        shapes = images, (self.filters, self.channels // self.groups, 3, 3), gradients
        return [aligned(rng.standard_normal(shape, np.float32)) for shape in shapes]

    def flop(self, batch):
        """Return the floating-point operations of a pass."""
        return 2 * 9 * self.channels // self.groups * self.filters * self.out_side**2 * batch

    def name(self, which):
        """Return the name of a case."""
        filters = "each" if self.groups > 1 else self.filters
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        return f"{self.channels}-{filters} at {self.side}x{self.side}{stride} {which}"


def aligned(array):
    """Return a copy that begins at a cache line, as the arrays do that both libraries make themselves."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    first = -memory.ctypes.data % 64
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


LAYERS = {
    "cifar4": [Layer(3, 64, 32), Layer(64, 128, 16), Layer(128, 256, 8), Layer(256, 512, 4)],
    # from MobileNet: Howard et al. 2017, table 1, arXiv 1704.04861
    "depthwise": [
        Layer(channels, channels, side, stride, groups=channels)
        for channels, side, stride in (
            (64, 56, 1),
            (64, 112, 2),
            (128, 56, 1),
            (128, 56, 2),
            (256, 28, 1),
            (256, 28, 2),
        )
        + ((512, 14, 1), (512, 14, 2))
    ],
}


def ours(options):
    """Prepare our convolutions."""
    import minitorch_cnn as mt
    from minitorch_cnn.ops.conv_algorithms import candidates
    from minitorch_kernels.conv import selection

    if options.threads:
        mt.set_num_threads(options.threads)
    calls = {}
    for layer in LAYERS[options.layers]:
        hyper = {"stride": (layer.stride,) * 2, "padding": (1,) * 4, "dilation": (1, 1), "groups": layer.groups}
        pixels, weight, gradients = layer.arrays(options.batch)
        x, grad = (array.transpose(0, 3, 1, 2) for array in (pixels, gradients))
        choice = selection.choose(*candidates(options.algorithm, x, weight, grad.shape[2:], **hyper))
        forward, backward_input, backward_weight = (functools.partial(one.function, **hyper) for one in choice)
        calls[layer.name("forward")] = functools.partial(forward, x, weight, None)
        calls[layer.name("input gradient")] = functools.partial(backward_input, grad, weight, input_size=x.shape[2:])
        calls[layer.name("weight gradient")] = functools.partial(backward_weight, x, grad, kernel_size=(3, 3))
    return measuring(calls, options.repeats)


def torch_side(options):
    """Prepare PyTorch's convolutions, channels-last."""
    torch = _peers.torch_with(options.threads)
    calls = {}
    for layer in LAYERS[options.layers]:
        pixels, weight, gradients = (torch.from_numpy(array) for array in layer.arrays(options.batch))
        x, grad = (tensor.permute(0, 3, 1, 2) for tensor in (pixels, gradients))
        weight, stride = weight.contiguous(memory_format=torch.channels_last), (layer.stride,) * 2
        hyper = {"stride": stride, "padding": 1, "groups": layer.groups}
        calls[layer.name("forward")] = functools.partial(torch.nn.functional.conv2d, x, weight, **hyper)
        hyper = None, stride, (1, 1), (1, 1), False, (0, 0), layer.groups
        for which, mask in (("input gradient", (True, False, False)), ("weight gradient", (False, True, False))):
            backward = torch.ops.aten.convolution_backward
            calls[layer.name(which)] = functools.partial(backward, grad, x, weight, *hyper, mask)
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
    parser.add_argument("--layers", choices=LAYERS, default="cifar4", help="(default: cifar4)")
    options = parser.parse_args()
    work = {layer.name(which): layer.flop(options.batch) for layer in LAYERS[options.layers] for which in PASSES}
    sides = {_race.OURS: ours, "torch channels_last": torch_side}
    _race.run("conv_layers" if options.layers == "cifar4" else f"conv_{options.layers}", options, sides, work=work)


if __name__ == "__main__":
    main()
