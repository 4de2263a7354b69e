"""The one table of how we differ from PyTorch and from the ONNX standard on purpose, each with its reason.

An outcome that is not "same" must match a row, and each row must be met by an outcome: so no row stays after its
difference is gone. A form of PyTorch's that is natural and small is supported, not listed. Rows match the case, the
verdict and the detail by regular expressions; see `outcome.Outcome`.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A difference by design."""

    case: str
    verdict: str
    detail: str
    reason: str  # why a user would expect ours

    def covers(self, outcome):
        """Return True if the outcome is this difference."""
        return (
            outcome.verdict == self.verdict
            and re.search(self.case, outcome.case) is not None
            and re.search(self.detail, outcome.detail) is not None
        )


DIFFERENCES = [
    Difference(
        r"(?i)pool|conv(_?transpose)?[12]d",
        "we refuse",
        r"^(Layer)?ShapeError: (\w+_pool|conv|conv_transpose)[12]d: x - expected [34] axes",
        "Images come in batches here. Without the axis N, a forgotten batch axis would pass for a batch.",
    ),
    Difference(
        r"^operation nn.functional.max_pool1d\(\(0, 1, 49\).*dilation=2.*padding=3",
        "we accept",
        r"",
        "A padding is allowed where every window has a pixel of the image; PyTorch compares it with half a window.",
    ),
    Difference(
        r"^onnx AveragePool: test_averagepool_2d_ceil_last_window_starts_on_pad",
        "other value",
        r"got 0.15105.* expected 0.15109",
        "The published output has four digits.",
    ),
    Difference(
        r"",
        "no counterpart",
        r"^no argument (dilations|storage_order)$",
        "Windows of average pooling have no gaps, as in PyTorch, and indices count in row-major order alone.",
    ),
    Difference(
        r"",
        "no counterpart",
        r"^no argument (approximate|out|dtype|foreach|fused|capturable|differentiable)$",
        "One spelling of each operation, one code for each formula: results are new Tensors of the dtype that came in, "
        "GELU is exact.",
    ),
    Difference(
        r"Loss|_loss|cross_entropy",
        "we refuse",
        r"expected \(N, K\), a row of K classes per image",
        "Images come in batches here. Without the axis N, a forgotten batch axis would pass for a batch.",
    ),
    Difference(
        r"^onnx Clip: test_clip_min_greater_than_max",
        "we refuse",
        r"clip: low - expected at most high 1.0, got 2.0",
        "Limits in the wrong order are a mistake: all elements would become equal.",
    ),
    Difference(
        r"^onnx ConvTranspose",
        "no counterpart",
        r"^no argument (output_shape|auto_pad)$",
        "The size of the output follows from the other arguments, of which output_padding chooses among the sizes.",
    ),
    Difference(
        r"^onnx ConvTranspose: test_convtranspose_3d",
        "we refuse",
        r"stride - expected an int or two ints",
        "Signals and images, no volumes.",
    ),
    Difference(
        r"interpolate|upsample|Pool: test_\w+_3d",
        "we refuse",
        r"(resize: x - expected 4 axes .* got shape \((\d+, ){4}|pool2d: kernel_size - expected an int or two ints)",
        "Signals and images, no volumes.",
    ),
    Difference(
        r"(?i)softmax",
        "we refuse",
        r"expected at least one (element along axis 2|axis, got a scalar)",
        "Probabilities over no classes cannot sum to 1, and a scalar has no classes.",
    ),
    Difference(
        r"(batch|instance)_norm",
        "we refuse",
        r"momentum - expected 0 to 1, got -1",
        "A momentum outside 0..1 makes a running variance negative, which gives NaN much later. It is refused in "
        "evaluation too, where nothing reads it: the mistake shows at the first call, not in the first training.",
    ),
    Difference(
        r"batch_norm\(\(0,\)",
        "we refuse",
        r"batch_norm: x - expected \(N, C\)",
        "Without an axis of channels there is nothing to normalise.",
    ),
    Difference(
        r"^layer InstanceNorm",
        "other value",
        r"^array 3 at \(\): got 1, expected 0$",
        "Batches are counted, as in batch norm, so that momentum=None weights all equally. PyTorch leaves it at 0.",
    ),
    Difference(
        r"(group|layer|rms)_norm\(",
        "we refuse",
        r"eps - expected a positive number, got -",
        "A negative eps makes the square root of a small variance NaN.",
    ),
    Difference(
        r"^layer (InstanceNorm|\w+Pad)",
        "we refuse",
        r"(InstanceNorm|Pad)[12]d: x - expected \(N, C, ",
        "Images come in batches here. Without the axis N, a forgotten batch axis would pass for a batch.",
    ),
    Difference(
        r"^layer BatchNorm.*\(\(0, 5, ",
        "we refuse",
        r"expected more than one value per channel in training",
        "An empty batch has no mean: in training it is a fault of the loader.",
    ),
    Difference(
        r"^layer BatchNorm.*eps=0.0",
        "we refuse",
        r"eps - expected a positive number, got 0.0",
        "With eps 0 a channel without variance divides by 0.",
    ),
    Difference(
        r"^optimizer ",
        "no counterpart",
        r"^no argument dampening$",
        "The optimiser of the textbooks: with dampening, the first step follows another formula than the others.",
    ),
    Difference(
        r"^optimizer SGD\(.'lr': tensor",
        "we refuse",
        r"SGD: lr - expected a number",
        "A learning rate is a number, which a schedule may change and a file may hold.",
    ),
    Difference(
        r"^optimizer \w+\(Parameter, ",
        "we accept",
        r"",
        "A lone parameter can mean only a list of one.",
    ),
    Difference(
        r"pad.circular\(.*\(-1, 1, -2, 1\)",
        "other value",
        r"",
        "One rule for all borders: pad first, then crop. PyTorch crops first for this one.",
    ),
    Difference(
        r"^operation (add|sub|mul|true_divide|div.no_rounding_mode)\(",
        "we refuse",
        r"a - expected a Tensor, got float",
        "Of two numbers, Python's own operators give the result.",
    ),
    Difference(
        r"transpose\(\(\), 0, 0\)|(index_select|cumsum|gather)\(\(\), 0|topk\(\(\)",
        "we refuse",
        r"expected at least one axis, got a scalar|too many indices",
        "A scalar has no axis to index, to permute or to add along; PyTorch lets axis 0 stand for none.",
    ),
    Difference(
        r"^operation gather\(\(5,\), 0, \(2, 0\)int",
        "we refuse",
        r"^ShapeError: gather: indices - expected at most",
        "Indices have the axes of x; PyTorch lets any shape without elements pass.",
    ),
    Difference(
        r"cat\(.\(0,\)|cat\(\(\(0,\)",
        "we refuse",
        r"^ShapeError: concat",
        "As in NumPy, all shapes must fit; PyTorch leaves empty vectors out, for old programs.",
    ),
    Difference(
        r"cat\(",
        "we refuse",
        r"concat: tensors - expected one dtype, got float16, float64",
        "No operation changes a dtype silently.",
    ),
    Difference(
        r"^operation __r",
        "no counterpart",
        r"^no operator of two numbers$",
        "Of two numbers, Python's own operators give the result.",
    ),
    Difference(
        r"^operation (amax|amin)\(",
        "no counterpart",
        r"^no array of more than 64 axes$",
        "NumPy's own limit.",
    ),
    Difference(
        r"flipud\(\(\)\)",
        "we accept",
        r"",
        "A reversed scalar is itself, as PyTorch's own flip says.",
    ),
    Difference(
        r"^operation t\(\(2, 3, 4, 5\)",
        "we accept",
        r"",
        "As in NumPy, T reverses any number of axes.",
    ),
    Difference(
        r"operation abs\(",
        "other gradient",
        r"got nan, expected -?0.0",
        "NaN has no sign, so its gradient is NaN as its absolute value is.",
    ),
    Difference(
        r"functional.relu6\(",
        "other gradient",
        r"expected -?0.0",
        "NaN lets the gradient pass, as in relu. PyTorch's passes or is 0, as the vector register has it.",
    ),
    Difference(
        r"functional.s?elu\(",
        "other gradient",
        r"got nan, expected -?[01]",
        "The gradient of NaN is NaN here; PyTorch's is NaN in large arrays alone.",
    ),
    Difference(
        r"functional.hardsigmoid\(",
        "other gradient",
        r"",
        "PyTorch has 1/6 in float32 alone.",
    ),
    Difference(
        r"^layer Softplus",
        "no counterpart",
        r"^no argument threshold$",
        "The formula without overflow needs no threshold above which it is replaced by x.",
    ),
    Difference(
        r"^onnx ",
        "we refuse",
        r"^TypeError: \w+: dtype - expected float32 or float64, the same everywhere, got",
        "Operations compute with floats: integers would overflow or round silently.",
    ),
    Difference(
        r"^onnx ArgMax.*select_last_index",
        "no counterpart",
        r"^no argument select_last_index",
        "Of equal values the first wins, as in NumPy.",
    ),
    Difference(
        r"^onnx BatchNormalization.*training_mode",
        "other value",
        r"^array 2 ",
        "The running variance is unbiased, as the literature and PyTorch have it, so that evaluation fits training.",
    ),
    Difference(
        r"^onnx (Dropout|MaxPool|SoftmaxCrossEntropyLoss)",
        "no counterpart",
        r"^no output ",
        "One operation, one result: masks, indices and probabilities stay inside.",
    ),
    Difference(
        r"^onnx Reduce(Max|Min): \w+empty_set",
        "we refuse",
        r"expected at least one element along axis",
        "As in NumPy, nothing has no largest element.",
    ),
    Difference(
        r"^onnx (Resize|Upsample)",
        "no counterpart",
        r"^no mode |no argument (axes|exclude_outside|extrapolation_value)$",
        "resize has the modes of PyTorch, which are some of the standard's.",
    ),
    Difference(
        r"^onnx Resize: test_resize_downsample_(sizes|scales)_(linear|cubic)_antialias",
        "other value",
        r"",
        "As in Pillow and PyTorch, pixels outside the image have no weight; the standard repeats the border.",
    ),
    Difference(
        r"^onnx Resize: test_resize_downsample_scales_(linear|cubic)_align_corners",
        "other value",
        r"",
        "As in PyTorch, the corner is the last pixel; the standard takes the length before it is rounded down.",
    ),
]


def difference(outcome):
    """Return the row that covers an outcome, or None."""
    return next((row for row in DIFFERENCES if row.covers(outcome)), None)
