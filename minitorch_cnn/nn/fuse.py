"""Fusion: neighbouring layers run as one operation, with the same parameters, keys and results.

Models write ``nn.conv_bn_act(x, self.conv1, self.bn1, pool=2)`` for max_pool2d(relu(bn1(conv1(x))), 2). That runs
operation by operation, so that each can be inspected. After ``nn.fuse(model)``, batch norm, ReLU and max pooling run as
one operation with fewer passes over memory, here and where they are neighbours in a `Sequential`. So do a convolution
and the ReLU after it, where no batch norm lies between them, or one that `fold_batch_norm` has replaced.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn.activation import ReLU
from minitorch_cnn.nn.conv import Conv2d
from minitorch_cnn.nn.linear import Identity
from minitorch_cnn.nn.module import M, Module
from minitorch_cnn.nn.norm import BatchNorm2d
from minitorch_cnn.nn.pool import AvgPool2d, MaxPool2d
from minitorch_cnn.shapes import ShapeError, padding4, pair
from minitorch_cnn.tensor import Tensor


def fuse(model: M, fused: bool = True) -> M:
    """Let a model run neighbouring layers as one operation, in place.

    Parameters
    ----------
    model : Module
    fused : bool
        False undoes this: every operation runs separately again.

    Returns
    -------
    Module
        The model itself. Its parameters, keys and results stay the same.

    Notes
    -----
    A traced model still runs operation by operation, so that the trace shows each of them.
    """
    arguments.flag("fuse", fused=fused)
    arguments.instance("fuse", Module, model=model)
    for module in model.modules():
        module.fused = bool(fused)
    return model


def conv_bn_act(
    x: Tensor,
    conv: Module,
    bn: BatchNorm2d,
    act: Callable[[Tensor], Tensor] | None = ops.relu,
    *,
    pool: int = 1,
    residual: Tensor | None = None,
) -> Tensor:
    """Run convolution, batch norm, activation and max pooling, as most networks since 2015 do.

    out = max_pool2d(act(bn(conv(x)) + residual), pool)

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    conv : Module
    bn : BatchNorm2d
    act : callable or None
        The activation, a function or a Module; None for no activation.
    pool : int, pixels, >= 1
        Side and stride of the pooling windows; 1 means no pooling.
    residual : Tensor, shape (N, C_out, OH, OW), or None
        The shortcut of a residual block (He et al. 2015, figure 2, arXiv 1512.03385).

    Returns
    -------
    Tensor, shape (N, C_out, OH // pool, OW // pool)

    Raises
    ------
    TypeError
        If the activation is not callable.
    ShapeError
        If the residual does not have the shape of the convolution's output.

    Notes
    -----
    After `fuse`, everything after the convolution is one operation if ``act`` is ReLU. Where `fold_batch_norm` has
    replaced ``bn``, the convolution runs together with residual and ReLU. A convolution with ``algorithm="reference"``
    is never fused, so that every step is the textbook's.
    """
    _check_parts("conv_bn_act", x, act, conv=conv, bn=bn)
    if residual is not None:
        arguments.instance("conv_bn_act", Tensor, residual=residual)
    if _with_relu(conv, act, x) and _passes(bn):
        x = conv(x, relu=True, residual=residual)
        return x if pool == 1 else ops.max_pool2d(x, pool)
    x = conv(x)
    if residual is not None and residual.shape != x.shape:
        raise ShapeError(f"conv_bn_act: residual - expected shape {x.shape}, got {residual.shape}")
    if _fuses(conv, bn, act, x, pool) and (residual is None or pool == 1):
        return bn(x, relu=True, pool=pool, residual=residual)
    x = bn(x) if residual is None else bn(x) + residual
    x = x if act is None else act(x)
    return x if pool == 1 else ops.max_pool2d(x, pool)


def bn_act_conv(
    x: Tensor,
    bn: BatchNorm2d,
    conv: Module,
    act: Callable[[Tensor], Tensor] | None = ops.relu,
    *,
    pool: Module | None = None,
) -> Tensor:
    """Run batch norm, activation and convolution: the order of DenseNet and of pre-activation ResNets.

    out = pool(conv(act(bn(x))))

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    bn : BatchNorm2d
    conv : Module
    act : callable or None
        The activation, a function or a Module; None for no activation.
    pool : Module or None
        A pooling after the convolution.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW)

    Raises
    ------
    TypeError
        If the activation is not callable.

    Notes
    -----
    After `fuse`, batch norm and ReLU are one operation, and an average pooling runs before a 1 x 1 convolution:
    the mean of weighted sums is the weighted sum of the means, and after windows of 2 x 2 only a quarter of the
    pixels is left to multiply.
    Source: Huang et al. 2016, section 3, "Composite function", arXiv 1608.06993.
    """
    _check_parts("bn_act_conv", x, act, conv=conv, bn=bn, **({} if pool is None else {"pool": pool}))
    if _fuses(conv, bn, act, x):
        x = bn(x, relu=True)
        if _commute(conv, pool):
            return conv(pool(x))
    else:
        x = bn(x)
        x = x if act is None else act(x)
    return conv(x) if pool is None else pool(conv(x))


def _commute(conv, pool):
    """Return whether pool(conv(x)) = conv(pool(x)): a mean over whole windows, and a pixelwise convolution."""
    if type(pool) is not AvgPool2d or type(conv) is not Conv2d or pool.padding not in (0, (0, 0), (0, 0, 0, 0)):
        return False
    if pool.ceil_mode or pool.divisor_override is not None or pool.forward_hooks or conv.forward_hooks:
        return False
    return conv.weight.shape[2:] == (1, 1) and conv.stride in (1, (1, 1)) and conv.padding in (0, (0, 0), (0, 0, 0, 0))


def dense_block(x: Tensor, layers: Sequence[Any]) -> Tensor:
    """Run the layers of a dense block; each appends new feature maps to its input.

    x = layer(x) = concat([x, new maps]) for every layer

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    layers : sequence of Module
        ``layer.stages()`` returns a list of (batch norm, convolution), each of which stands for batch norm, ReLU and
        convolution.

    Returns
    -------
    Tensor, shape (N, C + new maps of all layers, H, W)

    Raises
    ------
    ShapeError
        If the channels of a layer do not match the feature maps before it.

    Notes
    -----
    After `fuse`, the whole block is one operation, `ops.dense_block`, unless a stage contains a custom module or a
    convolution has a fixed algorithm.
    Source: Huang et al. 2016, section 3, arXiv 1608.06993.
    """
    stages = [layer.stages() for layer in layers]
    if x.traced or not all(_is_dense_stage(bn, conv) for layer in stages for bn, conv in layer):
        for layer in layers:
            x = layer(x)
        return x
    out = ops.dense_block(x, [[_dense_stage(bn, conv) for bn, conv in layer] for layer in stages])
    for bn in (bn for layer in stages for bn, _ in layer):
        if type(bn) is BatchNorm2d and bn.training and not bn.frozen:
            bn.count_batch(x)
    return out


def _is_dense_stage(bn, conv):
    if bn.forward_hooks or conv.forward_hooks:
        return False
    known = type(bn) in (BatchNorm2d, Identity) and type(conv) is Conv2d and bn.fused
    return known and (conv.algorithm, conv.padding_mode, conv.flip_kernel) == ("auto", "zeros", False)


def _dense_stage(bn, conv):
    stride, dilation, (groups, _) = (pair(n, "dense_block") for n in (conv.stride, conv.dilation, conv.groups))
    padding = padding4(conv.padding, "dense_block", (1, 1), conv.weight.shape[2:], (1, 1), dilation)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if type(bn) is Identity:
        return ops.DenseNetStage(None, None, conv.weight, conv.bias, None, hyper)
    norm = {"running_mean": bn.running_mean, "running_var": bn.running_var, **bn.settings()}
    return ops.DenseNetStage(bn.weight, bn.bias, conv.weight, conv.bias, norm, hyper)


def _check_parts(function, x, act, **modules):
    """Raise TypeError unless the parts of a block can be run one after the other."""
    arguments.instance(function, Tensor, x=x)
    arguments.instance(function, Module, **modules)
    if act is not None and not callable(act):
        raise TypeError(f"{function}: act - expected a function, a Module or None, got {act!r}")


def _is_relu(act):
    """Return whether an activation is ReLU that nobody watches."""
    return act is ops.relu or (type(act) is ReLU and not act.forward_hooks)


def _passes(module):
    """Return whether a module returns its input, and nobody watches that."""
    return type(module) is Identity and not module.forward_hooks


def _with_relu(conv, act, x):
    """Return whether a convolution and the activation after it run as one operation."""
    if type(conv) is not Conv2d or conv.forward_hooks or conv.algorithm == "reference":
        return False
    return conv.fused and not x.traced and _is_relu(act)


def _fuses(conv, bn, act, x, pool=1):
    return _is_relu(act) and getattr(conv, "algorithm", None) != "reference" and _together(bn, x, pool)


def _together(bn, x, pool):
    if type(bn) is not BatchNorm2d or bn.forward_hooks:
        return False
    return bn.fused and not x.traced and pool <= ops.fused.LARGEST_POOL


def run_in_row(modules, x):
    """Run modules one after the other, fused ones together.

    Batch norm runs together with the ReLU and max pooling after it, a convolution with the ReLU after it.

    Parameters
    ----------
    modules : list of Module
    x : Tensor

    Returns
    -------
    Tensor
    """
    modules = [module for module in modules if not _passes(module)]
    position = 0
    while position < len(modules):
        module, *following = modules[position : position + 3]
        if following and _is_relu(following[0]) and _together(module, x, 1):
            pool = _side_by_side(following[1]) if len(following) > 1 else 1
            x = module(x, relu=True, pool=pool)
            position += 2 if pool == 1 else 3
        elif following and _with_relu(module, following[0], x):
            x = module(x, relu=True)
            position += 2
        else:
            x = module(x)
            position += 1
    return x


def _side_by_side(module):
    """Return the window side of a max pooling that can be fused, 1 for any other module."""
    if type(module) is not MaxPool2d or module.forward_hooks or module.padding not in (0, (0, 0), (0, 0, 0, 0)):
        return 1
    if module.ceil_mode or module.return_indices or module.dilation not in (1, (1, 1)):
        return 1
    size, stride = (
        n if isinstance(n, tuple) else (n, n) for n in (module.kernel_size, module.stride or module.kernel_size)
    )
    return size[0] if size == stride and size[0] == size[1] <= ops.fused.LARGEST_POOL else 1
