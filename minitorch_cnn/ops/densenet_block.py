"""A dense block of DenseNet as one operation; it gives the same result as its layers one after the other."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.autograd.shape_only import ShapeOnly
from minitorch_cnn.ops import conv_algorithms
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.conv import Conv2d
from minitorch_cnn.ops.norm import batch_norm_coefficients, batch_norm_shape, check_values
from minitorch_cnn.ops.reads import Everything, Inputs, Windows
from minitorch_cnn.shapes import ShapeError, nchw, nhwc
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class DenseNetStage(NamedTuple):
    """Batch norm, ReLU and convolution inside a dense layer; see `dense_block`.

    If ``norm`` is None, there is no batch norm, for example after it was folded into a convolution.
    """

    gamma: Variable | None  # (C,)
    beta: Variable | None  # (C,)
    weight: Variable  # (C_out, C/groups, KH, KW)
    bias: Variable | None  # (C_out,)
    norm: dict[str, Any] | None  # running_mean, running_var, training, momentum, eps of `batch_norm`
    hyper: dict[str, Any]  # stride, padding (four integers), dilation, groups of `conv2d`


_PLAIN = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}


class _Arrays(NamedTuple):
    """A stage in forward and backward: its arrays, how its input is normalised, and how it is convolved."""

    weight: Array
    bias: Array | None
    gamma: Array
    mean: Array
    inv_std: Array
    scale: Array
    shift: Array
    training: bool
    hyper: dict[str, Any]
    filters: int  # without those that `whole` adds
    out_size: tuple[int, ...]
    algorithm: Any  # of the convolution, a `Choice` of `minitorch_kernels.conv.selection`
    normalises: bool  # else scale is 1 and shift is 0

    def pointwise(self):
        """Return whether `activated_product` computes the convolution: that of 1 x 1 filters."""
        return self.weight.shape[2:] == (1, 1) and self.hyper == _PLAIN

    def whole(self, x, last):
        """Return the stage with zero filters and for zero channels after those of x, up to whole vectors.

        Winograd's algorithm would copy other maps: input and output in forward, both and their gradients in backward.
        With the copies, a training step of DenseNet-40 takes a tenth longer. Only the ``last`` stage of a layer gets
        more filters, for a batch norm after it would see them.
        """
        filters, channels = (-size % kernels.runtime.simd.lanes(x.dtype) for size in self.weight.shape[:2])
        filters *= last
        fits = filters == channels == 0
        if fits or self.algorithm.forward.name != "winograd":
            return self
        weight = np.pad(self.weight, ((0, filters), (0, channels), (0, 0), (0, 0)))
        bias = None if self.bias is None else np.pad(self.bias, (0, filters))
        algorithm = _algorithm((len(x), weight.shape[1], *x.shape[1:3]), weight, self.out_size, self.hyper)
        return self._replace(weight=weight, bias=bias, algorithm=algorithm)

    def activated(self, x):
        """Return batch norm and ReLU of the first channels of x, and zeros up to the channels of the filters."""
        channels = max(len(self.scale), self.weight.shape[1])
        return kernels.conv.densenet_block.activated(x, self.scale, self.shift, channels)

    def activated_product(self, x, weight, bias, **options):
        """Return batch norm, ReLU and a product with a weight (O, C), in the precision of the convolution."""
        bf16 = self.algorithm.forward.name == "bf16"
        return kernels.conv.densenet_block.activated_product(
            x, self.scale, self.shift, weight, bias, bf16=bf16, **options
        )

    def convolve(self, x):
        return self.algorithm.forward.function(x, self.weight, self.bias, **self.hyper)


def _algorithm(shape, weight, out_size, hyper):
    """Return the algorithm for the convolution of maps (N, C, H, W)."""
    maps = ShapeOnly(shape, weight.dtype)
    return kernels.conv.selection.choose(*conv_algorithms.candidates("auto", maps, weight, out_size, **hyper))


def _arrays(maps, gamma, beta, weight, bias, norm, hyper, statistics=None):
    """Return the `_Arrays` of a stage for maps (N, H, W, C or more); without training, these are never read."""
    channels = weight.shape[1] * hyper["groups"]
    shape = (len(maps), channels, *maps.shape[1:3])
    out_size = Conv2d.output_shape(shape, weight.shape, None, algorithm="auto", **hyper)[2:]
    algorithm = _algorithm(shape, weight, out_size, hyper)
    convolution = {"hyper": hyper, "filters": len(weight), "out_size": out_size, "algorithm": algorithm}
    if norm is None:
        one, zero = np.ones(channels, weight.dtype), np.zeros(channels, weight.dtype)
        identity = {"gamma": one, "mean": zero, "inv_std": one, "scale": one, "shift": zero, "normalises": False}
        return _Arrays(weight, bias, **identity, training=False, **convolution)
    coefficients = batch_norm_coefficients(maps, gamma, beta, **norm, batch=statistics)
    gamma = np.ones(channels, weight.dtype) if gamma is None else gamma
    return _Arrays(weight, bias, gamma, *coefficients, norm["training"], **convolution, normalises=True)


def _without_training(block, arguments):
    """Return the `_Arrays` of the stages of a layer that normalises with running statistics."""
    maps, stages = block, []
    for one in arguments:
        stages.append(_arrays(maps, *one))
        maps = ShapeOnly((len(block), *stages[-1].out_size, stages[-1].filters), block.dtype)
    return stages


def _window_of_block(call):
    """Return the joint window of all convolutions of a block, one after the other, with stride 1."""
    weights = [shapes[2] for shapes in zip(*[iter(call.shapes[1:])] * 4, strict=True)]
    dilations = [hyper["dilation"] for layer in call.hyper["layers"] for _, hyper in layer]
    pairs = list(zip(weights, dilations, strict=True))
    return tuple(1 + sum(dilation[i] * (weight[2 + i] - 1) for weight, dilation in pairs) for i in range(2))


def _padding_of_block(call):
    """Return the total padding of all convolutions of a block at the top and on the left."""
    paddings = [hyper["padding"] for layer in call.hyper["layers"] for _, hyper in layer]
    return tuple(sum(padding[i] for padding in paddings) for i in (0, 2))


class DenseNetBlock(Function):
    """Layers that append new feature maps to their input, in one buffer."""

    rule = (
        "the gradient of new feature maps goes back through convolution, ReLU and batch norm to all maps before them, "
        "where the gradients of all layers are summed, the last layer first"
    )
    reads = Inputs(Windows(_window_of_block, padding=_padding_of_block), Everything())
    kind, label = "conv", "dense block"

    @staticmethod
    def algorithm(arrays, shape, *, layers):
        """Return one answer for the block, which has many convolutions."""
        reason = "all layers share one buffer; convolutions larger than 1 x 1 take their algorithm from the table"
        return conv_algorithms.ConvAlgorithm(*[conv_algorithms.Chosen("densenet_block", reason)] * 3)

    @staticmethod
    def macs(call):
        """Return the multiply-adds of all convolutions in the block; each gives maps of the size of x."""
        weights = [shapes[2] for shapes in zip(*[iter(call.shapes[1:])] * 4, strict=True)]
        pixels = call.shape[0] * math.prod(call.shape[2:])
        return pixels * sum(math.prod(weight) for weight in weights)

    @staticmethod
    def output_shape(x, *shapes, layers):
        channels, groups_of_four = x[1:2], iter(zip(*[iter(shapes)] * 4, strict=True))
        for i, layer in enumerate(layers):
            maps = (*x[:1], *channels, *x[2:])
            for norm, hyper in layer:
                gamma, beta, weight, bias = next(groups_of_four)
                if norm is not None:
                    batch_norm_shape(maps, gamma, beta, norm["running_mean"], norm["running_var"])
                    if norm["training"]:
                        check_values("batch_norm", maps)
                maps = Conv2d.output_shape(maps, weight, bias, **hyper, algorithm="auto")
            if maps[2:] != x[2:]:
                raise ShapeError(f"dense_block: layers[{i}] - expected new maps of {x[2:]} pixels, got {maps[2:]}")
            channels = (channels[0] + maps[1],)
        return (*x[:1], *channels, *x[2:])

    @staticmethod
    def forward(ctx, x, *parameters, layers):
        (images, total, *size), channels = ctx.output_shape, x.shape[1]
        block = kernels.runtime.memory.empty((images, *size, total), x.dtype)
        new = nhwc(x)
        kernels.conv.densenet_block.put_channels(new, block, 0, channels)
        training = any(norm and norm["training"] for layer in layers for norm, _ in layer)
        mean, var = np.empty(total, x.dtype), np.empty(total, x.dtype)
        groups_of_four, known, ctx.kept, ctx.channels = iter(zip(*[iter(parameters)] * 4, strict=True)), 0, [], channels
        all_arguments = [[(*next(groups_of_four), norm, hyper) for norm, hyper in layer] for layer in layers]
        learning = training or any(ctx.needs_grad)
        prepared = [None] * len(layers)
        if not learning:  # all of them now: between kernels, Python would find little of what it reads in the caches
            prepared = [_without_training(block, arguments) for arguments in all_arguments]
        for arguments, ready in zip(all_arguments, prepared, strict=True):
            if training:  # the statistics of a channel are the same for all layers that read it
                moments = kernels.layers.batch_norm.batch_norm_stats(new)
                mean[known:channels], var[known:channels] = (moment[: channels - known] for moment in moments)
                known = channels
            if learning:
                new, stages = _learn(block, arguments, (mean[:channels], var[:channels]))
                ctx.kept.append((channels, stages))
            else:
                new = _infer(block, ready)
            filters = len(arguments[-1][2])
            kernels.conv.densenet_block.put_channels(new, block, channels, filters)
            channels += filters
        if any(ctx.needs_grad):
            ctx.save(block, *parameters)
        return nchw(block)

    @staticmethod
    def backward(ctx, grad_out):
        block = ctx.saved[0]
        grad_block = kernels.conv.densenet_block.take_channels(
            nhwc(grad_out), 0, block.shape[3]
        )  # a copy that each layer adds to
        grads, end = [], block.shape[3]
        needed = [list(four) for four in zip(*[iter(ctx.needs_grad[1:])] * 4, strict=True)]
        for channels, stages in reversed(ctx.kept):
            filters = len(stages[-1][0].weight)
            grad = kernels.conv.densenet_block.take_channels(grad_block, channels, end - channels, filters)
            for stage, maps, active in reversed(stages):
                grad, found = _stage_backward(stage, block, maps, active, grad, grad_block, needed.pop())
                grads[:0] = found
            end = channels
        grad_x = kernels.conv.densenet_block.take_channels(grad_block, 0, ctx.channels)
        every = nchw(grad_x), *grads
        return tuple(grad if need else None for grad, need in zip(every, ctx.needs_grad, strict=True))


def _infer(block, stages):
    """Return the new maps of a layer in inference; a batch norm after a 1 x 1 convolution is folded into it."""
    maps, active = block, False
    for stage, following in zip(stages, [*stages[1:], None], strict=True):
        if not active and stage.pointwise():
            weight, bias = stage.weight[:, :, 0, 0], stage.bias
            if following is not None and following.normalises:
                weight = weight * following.scale[:, None]
                bias = following.shift if bias is None else bias * following.scale + following.shift
            maps = stage.activated_product(maps, weight, bias, relu=bool(following))
            active = following is not None
        else:
            stage = stage if active else stage.whole(maps, following is None)
            maps = stage.convolve(maps if active else stage.activated(maps))
            active = False
    return maps


def _learn(block, arguments, statistics):
    """Return the new maps of a layer, and (stage, input, ReLU output) of each stage for backward.

    The first stage reads the block and keeps neither: copies would grow with the square of the number of layers.
    """
    maps, stages = block, []
    for one in arguments:
        stage = _arrays(maps, *one, statistics=statistics if maps is block else None)
        active = None
        if maps is block and stage.pointwise():
            out = stage.activated_product(maps, stage.weight[:, :, 0, 0], stage.bias)
        else:
            stage = stage.whole(maps, one is arguments[-1])
            active = stage.activated(maps)
            out = stage.convolve(active)
        stages.append((stage, None, None) if maps is block else (stage, maps, active))
        maps = out
    return maps, stages


def _stage_backward(stage, block, maps, active, grad_out, grad_block, needed):
    """Return the gradients of the stage's input and of gamma, beta, weight and bias; add to ``grad_block``."""
    if maps is None:
        active = stage.activated(block)
    algorithm, sizes = stage.algorithm.with_memo(), (active.shape[1:3], stage.weight.shape[2:])
    grad = algorithm.backward_input.function(grad_out, stage.weight, input_size=sizes[0], **stage.hyper)
    grad_weight = grad_bias = None
    if needed[2]:
        grad_weight = algorithm.backward_weight.function(active, grad_out, kernel_size=sizes[1], **stage.hyper)
        grad_weight = grad_weight[: stage.filters, : len(stage.scale)]
    if needed[3]:
        grad_bias = kernels.layers.batch_norm.channel_sums(grad_out)[: stage.filters]
    statistics = stage.mean, stage.inv_std, stage.gamma
    if maps is None:
        grad_gamma, grad_beta = kernels.conv.densenet_block.add_batch_norm_relu_gradient(
            grad, block, stage.scale, stage.shift, *statistics, grad_block, training=stage.training
        )
        grad = None
    else:
        gate = kernels.layers.batch_norm_relu.Gate(maps, stage.scale, stage.shift)
        grad, grad_gamma, grad_beta = kernels.layers.batch_norm_relu.batch_norm_relu_backward(
            grad, gate, maps, *statistics, training=stage.training
        )
    return grad, (grad_gamma, grad_beta, grad_weight, grad_bias)


def dense_block(x: Operand, layers: Sequence[Any]) -> "Tensor":
    """Run a dense block: each layer appends new feature maps to all maps before it.

    x = concat([x, layer(x)]) for every layer, where a layer is conv2d(relu(batch_norm(x))), once or several times

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W), float32 or float64
    layers : sequence of sequences of DenseNetStage
        ``norm`` of a stage holds the keywords of `batch_norm`, including the running statistics. ``hyper`` holds those
        of `conv2d`: pairs, and a padding of four integers.

    Returns
    -------
    Tensor, shape (N, C + the new maps of all layers, H, W)

    Raises
    ------
    TypeError
        If an argument that must be a Tensor is not one.
    ShapeError
        If a layer does not fit the maps before it, or gives maps of another size.
    ValueError
        If training sees a single value per channel.

    Notes
    -----
    Gradients: those of the separate operations.
    All feature maps lie in one buffer, and each layer appends to it. Without gradients, batch norm and ReLU run while a
    1 x 1 convolution reads its input, and a batch norm after such a convolution is folded into its weight. Backward
    normalises the input of each layer again instead of keeping it (Pleiss et al. 2017, arXiv 1707.06990), so memory
    grows linearly with the number of layers, not quadratically.
    Source: Huang et al. 2016, section 3, arXiv 1608.06993.
    """
    tensors("dense_block", x=x)
    stages = [stage for layer in layers for stage in layer]
    for stage in stages:
        tensors("dense_block", weight=stage.weight)
        optional_tensors("dense_block", gamma=stage.gamma, beta=stage.beta, bias=stage.bias)
    hyper = tuple(tuple((stage.norm, stage.hyper) for stage in layer) for layer in layers)
    return DenseNetBlock.apply(x, *(v for stage in stages for v in stage[:4]), layers=hyper)
