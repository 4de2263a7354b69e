"""Wrong backwards of activations, arithmetic, products, movement and losses, with what each is tried on."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import ops
from minitorch_cnn.testing.mutant import (
    BATCH,
    BESIDE,
    HALF,
    MASK,
    MEAN,
    SIGN,
    TURNED,
    TWICE,
    apart,
    beside,
    changed,
    family,
    first,
    instead,
    misread,
    normal,
    only,
    seeing,
    times,
)

_MAP, _ROWS, _SQUARE = normal(3, 1, 4, 4), normal(3, 4), normal(4, 4)
_POSITIVE = np.abs(_ROWS) + 0.5
_SIGNED = apart(3, 4)
_LABELS = np.array([2, 0, 3])


def _parts(g, axis, i, j):
    """Swap two equal parts of the gradient of a concatenation."""
    parts = list(np.split(g, 2, axis))
    parts[i], parts[j] = parts[j], parts[i]
    return np.concatenate(parts, axis)


def _overwritten(right, ctx, g):
    """Write where adding was meant, so that of two equal indices only the last counts."""
    grad = np.zeros(ctx.shape)
    grad[ctx.key] = g
    return grad


FUNCTIONS = (
    *family(
        "activation",
        "activation.ReLU",
        (ops.relu, _SIGNED),
        ("relu: no mask", lambda right, ctx, g: g, MASK),
        ("relu: mask turned round", lambda right, ctx, g: g - right(ctx, g)),
        ("relu: wrong sign", times(-1), SIGN),
        ("relu: only positive gradients pass", lambda right, ctx, g: np.maximum(right(ctx, g), 0), "not linear"),
        ("relu: leaks a little", lambda right, ctx, g: right(ctx, g) + 0.001 * (g - right(ctx, g)), MASK),
    ),
    *family(
        "activation",
        "activation.LeakyReLU",
        (lambda x: ops.leaky_relu(x, 0.1), _SIGNED),
        ("leaky: slope forgotten", misread(slope=lambda slope: 0.0), "terms that were left out"),
        ("leaky: slope squared", misread(slope=lambda slope: slope**2), "a factor 0.1 at"),
    ),
    *family(
        "activation",
        "activation.GELU",
        (ops.gelu, _ROWS),
        (
            "gelu: density forgotten",
            instead(lambda g, x: g * kernels.layers.gelu.gelu_forward(x.ravel()).reshape(x.shape) / x),
        ),
        (
            "gelu: derivative of x * sigmoid(1.702 x)",
            instead(lambda g, x: g * (s := 1 / (1 + np.exp(-1.702 * x))) * (1 + 1.702 * x * (1 - s))),
        ),
    ),
    *family(
        "activation",
        "activation_smooth.SiLU",
        (ops.silu, _ROWS),
        ("silu: sigmoid alone", instead(lambda g, x: g / (1 + np.exp(-x)))),
    ),
    *family(
        "activation",
        "activation_smooth.Mish",
        (ops.mish, _ROWS),
        ("mish: hyperbolic tangent alone", instead(lambda g, x: g * np.tanh(np.log1p(np.exp(x))))),
    ),
    *family(
        "activation",
        "activation_smooth.Softplus",
        (lambda x: ops.softplus(x, 2.0), _ROWS),
        ("softplus: beta forgotten", misread(beta=lambda _: 1.0)),
    ),
    *family(
        "activation",
        "activation_smooth.ELU",
        (ops.selu, _SIGNED),
        ("selu: scale forgotten", misread(scale=lambda _: 1.0)),
        ("selu: alpha forgotten", misread(alpha=lambda _: 1.0)),
    ),
    *family(
        "activation",
        "activation_pieces.ReLU6",
        (lambda x: ops.relu6(5 * x), _SIGNED),
        ("relu6: no upper end", instead(lambda g, x: g * (x > 0))),
    ),
    *family(
        "activation",
        "activation_pieces.HardSigmoid",
        (lambda x: ops.hard_sigmoid(3 * x), _SIGNED),
        ("hard sigmoid: sixth forgotten", times(6)),
    ),
    *family(
        "activation",
        "activation_pieces.HardSwish",
        (lambda x: ops.hard_swish(3 * x), _SIGNED),
        ("hard swish: gate alone", instead(lambda g, x: g * np.clip(x / 6 + 0.5, 0, 1))),
    ),
    *family(
        "activation",
        "activation_pieces.PReLU",
        (ops.prelu, _SIGNED, np.full(4, 0.3)),
        ("prelu: slope forgotten", only(0, lambda right, ctx, g, grad: g * (ctx.saved[0] > 0))),
        ("prelu: slope sees positive elements too", only(1, lambda right, ctx, g, grad: (g * ctx.saved[0]).sum(0))),
    ),
    *family(
        "activation",
        "activation.Sigmoid",
        (ops.sigmoid, _ROWS),
        ("sigmoid: out alone", instead(lambda g, out: g * out)),
        ("sigmoid: 1 + out", instead(lambda g, out: g * out * (1 + out))),
    ),
    *family(
        "activation",
        "activation.Tanh",
        (ops.tanh, _ROWS),
        ("tanh: square forgotten", instead(lambda g, out: g * (1 - out))),
        ("tanh: derivative of the sigmoid", instead(lambda g, out: g * out * (1 - out))),
    ),
    *family(
        "activation",
        "softmax.Softmax",
        (ops.softmax, _ROWS),
        ("softmax: sum forgotten", instead(lambda g, out: g * out), MEAN),
        ("softmax: sum over the wrong axis", misread(axis=lambda axis: 0)),
    ),
    *family(
        "activation",
        "softmax.LogSoftmax",
        (ops.log_softmax, _ROWS),
        ("log softmax: sum forgotten", lambda right, ctx, g: g, MEAN),
        ("log softmax: wrong sign of the sum", lambda right, ctx, g: 2 * g - right(ctx, g), MEAN),
    ),
    *family(
        "activation",
        "dropout.Dropout",
        (lambda x: ops.dropout(x, 0.5), _ROWS),
        ("dropout: not scaled", times(0.5), HALF),
        ("dropout: no mask", lambda right, ctx, g: g * ctx.scale, MASK),
    ),
    *family(
        "arithmetic",
        "arithmetic.Add",
        (ops.add, _ROWS, normal(4)),
        (
            "add: forgot to sum what was repeated",
            only(1, lambda right, ctx, g, grad: g),
            "a missing sum over the batch",
        ),
        ("add: mean of what was repeated", times(1 / 3, 1), "a mean over the batch"),
    ),
    *family("arithmetic", "arithmetic.Sub", (ops.sub, _ROWS, _POSITIVE), ("sub: sign forgotten", times(-1, 1), SIGN)),
    *family(
        "arithmetic",
        "arithmetic.Mul",
        (ops.mul, _ROWS, _POSITIVE),
        ("mul: own factor", misread(lambda a, b: (b, a))),
        ("mul: factor forgotten", only(1, lambda right, ctx, g, grad: g)),
    ),
    *family(
        "arithmetic",
        "arithmetic.Div",
        (ops.div, _ROWS, _POSITIVE),
        ("div: sign forgotten", times(-1, 1), SIGN),
        ("div: square forgotten", only(1, lambda right, ctx, g, grad: grad * ctx.saved[1])),
    ),
    *family(
        "arithmetic",
        "pointwise.Power",
        (lambda x: ops.power(x, 3.0), _POSITIVE),
        ("power: exponent forgotten", times(1 / 3), "a mean over the batch|a needless division by 3"),
        ("power: exponent not lowered", instead(lambda g, x: g * 3 * x**3)),
    ),
    *family("arithmetic", "pointwise.Sqrt", (ops.sqrt, _POSITIVE), ("sqrt: half forgotten", times(2), TWICE)),
    *family("arithmetic", "pointwise.Exp", (ops.exp, _ROWS), ("exp: factor forgotten", lambda right, ctx, g: g)),
    *family("arithmetic", "pointwise.Log", (ops.log, _POSITIVE), ("log: times x", instead(lambda g, x: g * x))),
    *family(
        "arithmetic",
        "pointwise.Abs",
        (ops.abs, _SIGNED),
        ("abs: sign forgotten", lambda right, ctx, g: g, "wrong sign there"),
    ),
    *family(
        "arithmetic",
        "pointwise.PowerOf",
        (ops.power, _POSITIVE, _ROWS),
        ("power of: exponent not lowered", only(0, lambda right, ctx, g, grad: grad * ctx.saved[0])),
        ("power of: logarithm forgotten", only(1, lambda right, ctx, g, grad: g * ctx.saved[2])),
    ),
    *family(
        "arithmetic",
        "choice.Maximum",
        (ops.maximum, _ROWS, _SIGNED),
        ("maximum: to both", lambda right, ctx, g: (g, g)),
        ("maximum: to the smaller", lambda right, ctx, g: right(ctx, g)[::-1]),
    ),
    *family(
        "arithmetic",
        "choice.Clip",
        (lambda x: ops.clip(x, -1.0, 0.5), _SIGNED),
        ("clip: limits forgotten", lambda right, ctx, g: g, MASK),
    ),
    *family(
        "arithmetic",
        "choice.Where",
        (lambda a, b: ops.where(_SIGNED > 0, a, b), _ROWS, _POSITIVE),
        ("where: branches swapped", lambda right, ctx, g: right(ctx, g)[::-1]),
        ("where: to both", lambda right, ctx, g: (g, g)),
    ),
    *family(
        "arithmetic",
        "reduce.Sum",
        (lambda x: ops.sum(x, 1), _ROWS),
        ("sum: gradient of the mean", times(1 / 4), "a needless division by 4"),
    ),
    *family(
        "arithmetic",
        "reduce.Max",
        (lambda x: ops.max(x, 1), _SIGNED),
        ("max: next element", misread(lambda at: ((at + 1) % 4,))),
        ("max: to all", lambda right, ctx, g: np.repeat(g[:, None], 4, 1), MASK),
    ),
    *family(
        "arithmetic",
        "ordering.Cumsum",
        (lambda x: ops.cumsum(x, 1), _ROWS),
        ("cumsum: summed forwards", lambda right, ctx, g: np.cumsum(g, 1)),
    ),
    *family(
        "arithmetic",
        "ordering.Prod",
        (lambda x: ops.prod(x, 1), _POSITIVE),
        ("prod: own factor too", lambda right, ctx, g: right(ctx, g) * ctx.saved[0]),
    ),
    *family(
        "matmul",
        "matmul.MatMul",
        (ops.matmul, _SQUARE, normal(4, 4) + 1),
        ("matmul: b not transposed", misread(lambda a, b: (a, b.T.copy())), TURNED),
        ("matmul: result transposed", changed(lambda grad: grad.T.copy(), 1), TURNED),
        ("matmul: sum over the rows forgotten", misread(lambda a, b: (first(a), b), 1), BATCH),
        ("matmul: mean over the rows", times(1 / 4, 1), "a mean over the batch"),
    ),
    *family(
        "matmul",
        "matmul.Linear",
        (ops.linear, _ROWS, _SQUARE, normal(4)),
        ("linear: weight transposed", misread(lambda x, weight: (x, weight.T.copy())), TURNED),
        ("linear: gradient of the weight transposed", changed(lambda grad: grad.T.copy(), 1), TURNED),
        ("linear: weight, sum over the batch forgotten", misread(lambda x, weight: (first(x), weight), 1), BATCH),
        ("linear: bias, sum over the batch forgotten", seeing(first, 2), BATCH),
        ("linear: bias, mean over the batch", times(1 / 3, 2), "a mean over the batch"),
    ),
    *family(
        "movement",
        "movement.Concat",
        (lambda a, b: ops.concat([a, b]), _ROWS, _POSITIVE),
        ("concat: parts swapped", lambda right, ctx, g: right(ctx, _parts(g, 1, 0, 1))),
        ("concat: slice off by one", seeing(beside, 1)),
    ),
    *family(
        "movement",
        "movement.Reshape",
        (lambda x: ops.reshape(x, (4, 3)), _ROWS),
        ("reshape: column-major", lambda right, ctx, g: g.reshape(ctx.shape, order="F")),
    ),
    *family(
        "movement",
        "movement.Transpose",
        (lambda x: ops.transpose(x, (1, 2, 0)), normal(2, 2, 2)),
        ("transpose: moved on, not back", lambda right, ctx, g: g.transpose(ctx.axes)),
    ),
    *family(
        "movement",
        "indexing.BroadcastTo",
        (lambda x: ops.broadcast_to(x, (3, 4)), normal(4)),
        ("broadcast: first copy alone", seeing(first), BATCH),
    ),
    *family(
        "movement",
        "indexing.Index",
        (lambda x: ops.index(x, ([0, 1, 1, 2],)), _ROWS),
        ("index: repeated index overwritten", _overwritten),
    ),
    *family(
        "movement",
        "padding.Pad",
        (lambda x: ops.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "reflect"), _MAP),
        ("pad: mirrored part forgotten", misread(mode=lambda _: "zero"), "terms that were left out"),
        ("pad: cropped one beside", changed(beside), BESIDE),
    ),
    *family(
        "movement",
        "padding.PadContinued",
        (lambda x: ops.pad(x, ((2, 1), (0, 0)), "replicate"), _ROWS),
        ("pad: as if the border wrapped", misread(mode=lambda _: "circular")),
        ("pad: repeated edge forgotten", lambda right, ctx, g: g[2:5].copy()),
    ),
    *family(
        "loss",
        "loss.CrossEntropy",
        (lambda x: ops.cross_entropy(x, _LABELS, label_smoothing=0.1), _ROWS),
        ("cross-entropy: target forgotten", lambda right, ctx, g: ctx.saved[0] * g[:, None], MEAN),
        ("cross-entropy: wrong sign", times(-1), SIGN),
        ("cross-entropy: divided by the batch twice", times(1 / 3), "a needless division by 3"),
        ("cross-entropy: smoothing forgotten", misread(smoothing=lambda _: 0.0)),
        ("cross-entropy: first row alone", seeing(first)),
    ),
    *family(
        "loss",
        "element_loss.SmoothAbs",
        (lambda x: ops.smooth_l1_loss(x, x.detach() * 0.0, beta=0.5, reduction="sum"), _SIGNED),
        ("smooth L1: beta forgotten", lambda right, ctx, g: right(ctx, g) * np.where(abs(ctx.saved[0]) < 1, 0.5, 1)),
        ("smooth L1: squared everywhere", lambda right, ctx, g: g * _SIGNED / 0.5),
    ),
    *family(
        "loss",
        "element_loss.BinaryCrossEntropy",
        (ops.binary_cross_entropy, 1 / (1 + np.exp(-_ROWS)), _POSITIVE / 4),
        ("binary cross-entropy: no denominator", only(0, lambda right, ctx, g, grad: g * np.subtract(*ctx.saved))),
        ("binary cross-entropy: target never computed", times(0, 1), "a path that was cut"),
    ),
    *family(
        "loss",
        "element_loss.BinaryCrossEntropyWithLogits",
        (lambda x, t: ops.binary_cross_entropy_with_logits(x, t, pos_weight=3.0), _ROWS, _POSITIVE / 4),
        ("binary cross-entropy: weight of yes forgotten", misread(pos_weight=lambda _: 1.0)),
        ("binary cross-entropy: sign turned round", times(-1), SIGN),
    ),
)
