"""Several layers as one operation: the same object, parameters, keys and results, in fewer passes over memory.

Models write what a paper writes, ``nn.conv_bn_act(self.conv1, self.bn1, "relu", x, pool=2)``, and run one
operation after the other, each of which can be looked at. After ``nn.fuse(model)`` batch norm, ReLU and
max pooling in a row run as one, here and wherever a `Sequential` holds them side by side.
"""

from minitorch_cnn import ops
from minitorch_cnn.nn.activation import ReLU
from minitorch_cnn.nn.conv import Conv2d
from minitorch_cnn.nn.linear import Identity
from minitorch_cnn.nn.norm import BatchNorm2d
from minitorch_cnn.nn.pool import AvgPool2d, MaxPool2d
from minitorch_cnn.shapes import ShapeError, padding4, pair

_ACTIVATIONS = {"relu": ops.relu, "gelu": ops.gelu, "tanh": ops.tanh, "none": lambda x: x}


def fuse(model, fused=True):
    """Let a model run neighbouring layers as one operation, in place.

    Parameters
    ----------
    model : Module
    fused : bool
        False goes back to one operation after the other.

    Returns
    -------
    Module
        The model itself; its parameters, keys and results stay what they are.

    Notes
    -----
    While a model is traced it runs operation by operation all the same, so that every one is seen.
    """
    for module in model.modules():
        module.fused = bool(fused)
    return model


def conv_bn_act(conv, bn, activation, x, pool=1, residual=None):
    """Run convolution, batch norm, activation and max pooling, as most networks since 2015 do.

    out = max_pool2d(activation(bn(conv(x)) + residual), pool)

    Parameters
    ----------
    conv : Module
    bn : BatchNorm2d
    activation : "relu", "gelu", "tanh" or "none"
    x : Tensor, shape (N, C, H, W)
    pool : int, pixels, >= 1
        Side and stride of the windows; 1 pools nothing.
    residual : Tensor, shape (N, C_out, OH, OW), or None
        The shortcut of a residual block (He et al. 2015, figure 2, arXiv 1512.03385).

    Returns
    -------
    Tensor, shape (N, C_out, OH // pool, OW // pool)

    Raises
    ------
    ValueError
        If the activation is unknown.
    ShapeError
        If the residual has not the shape of the convolution's output.

    Notes
    -----
    Where `fuse` was called, all behind the convolution is one operation for "relu", unless the
    convolution runs by ``algorithm="reference"``, where everything shall be the textbook's.
    """
    _check_activation("conv_bn_act", activation)
    x = conv(x)
    if residual is not None and residual.shape != x.shape:
        raise ShapeError(f"conv_bn_act: residual - expected shape {x.shape}, got {residual.shape}")
    if _one_pass(conv, bn, activation, x, pool) and (residual is None or pool == 1):
        return bn(x, relu=True, pool=pool, residual=residual)
    x = bn(x) if residual is None else bn(x) + residual
    x = _ACTIVATIONS[activation](x)
    return x if pool == 1 else ops.max_pool2d(x, pool)


def bn_act_conv(bn, activation, conv, x, pool=None):
    """Run batch norm, activation and convolution: the order of DenseNet and of pre-activation ResNets.

    out = pool(conv(activation(bn(x))))

    Parameters
    ----------
    bn : BatchNorm2d
    activation : "relu", "gelu", "tanh" or "none"
    conv : Module
    x : Tensor, shape (N, C, H, W)
    pool : Module or None
        What stands behind the convolution.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW)

    Raises
    ------
    ValueError
        If the activation is unknown.

    Notes
    -----
    Where `fuse` was called, batch norm and ReLU are one operation, and an average pooling runs before a 1 x 1
    convolution: a mean of weighted sums is the weighted sum of the means, and windows of 2 x 2 leave a quarter
    of the pixels to multiply.
    Source: Huang et al. 2016, section 3, "Composite function", arXiv 1608.06993.
    """
    _check_activation("bn_act_conv", activation)
    if _one_pass(conv, bn, activation, x, pool=1):
        x = bn(x, relu=True)
        if _change_places(conv, pool):
            return conv(pool(x))
    else:
        x = _ACTIVATIONS[activation](bn(x))
    return conv(x) if pool is None else pool(conv(x))


def _change_places(conv, pool):
    """Return whether pool(conv(x)) = conv(pool(x)): means of whole windows, and a convolution pixel by pixel."""
    if type(pool) is not AvgPool2d or type(conv) is not Conv2d or pool.padding not in (0, (0, 0), (0, 0, 0, 0)):
        return False
    return conv.weight.shape[2:] == (1, 1) and conv.stride in (1, (1, 1)) and conv.padding in (0, (0, 0), (0, 0, 0, 0))


def dense_block(layers, x):
    """Run the layers of a dense block, each of which puts new maps behind its input.

    x = concat([x, layer.new_maps(x)]) for every layer

    Parameters
    ----------
    layers : sequence of Module
        On call each returns x with its new maps behind; ``layer.stages()`` is a list of (batch norm, convolution),
        which stand for batch norm, ReLU, convolution.
    x : Tensor, shape (N, C, H, W)

    Returns
    -------
    Tensor, shape (N, C + the new maps of all layers, H, W)

    Raises
    ------
    ShapeError
        If a layer does not take the maps before it.

    Notes
    -----
    Where `fuse` was called, the whole block is one operation, `ops.dense_block`, unless a stage is none of ours,
    or a convolution is told how to run.
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
            bn.num_batches_tracked += 1
    return out


def _is_dense_stage(bn, conv):
    known = type(bn) in (BatchNorm2d, Identity) and type(conv) is Conv2d and bn.fused
    return known and (conv.algorithm, conv.padding_mode, conv.flip_kernel) == ("auto", "zeros", False)


def _dense_stage(bn, conv):
    stride, dilation, (groups, _) = (pair(n, "dense_block") for n in (conv.stride, conv.dilation, conv.groups))
    padding = padding4(conv.padding, "dense_block", (1, 1), conv.weight.shape[2:], (1, 1), dilation)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if type(bn) is Identity:
        return ops.DenseStage(None, None, conv.weight, conv.bias, None, hyper)
    norm = {"running_mean": bn.running_mean, "running_var": bn.running_var}
    norm |= {"training": bn.training and not bn.frozen, "momentum": bn.momentum, "eps": bn.eps}
    return ops.DenseStage(bn.weight, bn.bias, conv.weight, conv.bias, norm, hyper)


def _check_activation(function, activation):
    if activation not in _ACTIVATIONS:
        expected = ", ".join(map(repr, _ACTIVATIONS))
        raise ValueError(f"{function}: activation - expected one of {expected}, got {activation!r}")


def _one_pass(conv, bn, activation, x, pool):
    return activation == "relu" and getattr(conv, "algorithm", None) != "reference" and _together(bn, x, pool)


def _together(bn, x, pool):
    return type(bn) is BatchNorm2d and bn.fused and not x.traced and pool <= ops.fused.LARGEST_POOL


def run_in_row(modules, x):
    """Run modules one after the other, batch norm with the ReLU and pooling behind it where they are fused.

    Parameters
    ----------
    modules : list of Module
    x : Tensor

    Returns
    -------
    Tensor
    """
    position = 0
    while position < len(modules):
        module, *following = modules[position : position + 3]
        if following and type(following[0]) is ReLU and type(module) is BatchNorm2d and _together(module, x, 1):
            pool = _side_by_side(following[1]) if len(following) > 1 else 1
            x = module(x, relu=True, pool=pool)
            position += 2 if pool == 1 else 3
        else:
            x = module(x)
            position += 1
    return x


def _side_by_side(module):
    """Return the side of the windows of a max pooling that can be fused, 1 for any other module."""
    if type(module) is not MaxPool2d or module.padding not in (0, (0, 0), (0, 0, 0, 0)):
        return 1
    size, stride = (
        n if isinstance(n, tuple) else (n, n) for n in (module.kernel_size, module.stride or module.kernel_size)
    )
    return size[0] if size == stride and size[0] == size[1] <= ops.fused.LARGEST_POOL else 1
