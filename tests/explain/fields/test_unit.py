"""The field of one unit: by hand, and against what really changes when a pixel does."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, models, nn, ops
from minitorch_cnn.explain.fields.exact import reach
from minitorch_cnn.explain.fields.formula import receptive_fields
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.ops.pool import AvgPool2d
from tests.explain.random_networks import Apply


def support(replay, end, y, x):
    """Return the box of pixels with a gradient, all weights positive, means in place of maxima."""
    for i, record in enumerate(replay.records):
        if record.op.__name__ == "MaxPool2d":  # a maximum hands its gradient to one pixel of the window alone
            hyper = {**record.hyper, "count_include_pad": True}
            replay.records[i] = dataclasses.replace(record, op=AvgPool2d, hyper=hyper)
        if record.op.__name__ == "Conv2d":  # Winograd rounds in whole patches: a trace of 1e-8 beside the box
            replay.records[i] = dataclasses.replace(record, hyper={**record.hyper, "algorithm": "direct"})
    for i in replay.ancestors(end):
        record = replay.records[i]
        if record.op.__name__ == "Conv2d":
            record.inputs[1].data[...] = 1 / np.prod(record.inputs[1].shape[1:])
            if record.inputs[2] is not None:
                record.inputs[2].data[...] = 0
    pixels = Tensor(np.ones(replay.x.shape, np.float32), requires_grad=True)
    out = replay.run([(replay.x, pixels)], end)
    grad = np.zeros(out.shape, np.float32)
    grad[:, :, y, x] = 1
    out.backward(grad)
    rows, columns = np.nonzero(np.abs(pixels.grad).sum((0, 1)))
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


@pytest.mark.parametrize("name", [name for name in models.list() if name != "mlp"])
def test_the_gradient_reaches_exactly_the_box_in_every_network(undrawn_weights, name):
    """At the deepest layer that does not see the whole of a small image, so that the box can be wrong."""
    channels, native = models.native_input(name)
    side = 64 if native == 224 else 32
    model = models.create(name, image_size=side, num_classes=2)
    replay = Replay(model, (1, channels, side, side))
    fields = receptive_fields(replay.records, replay.x)
    ends = {path: replay.last_op(path) for path in {record.path for record in replay.records if record.path}}
    seen = {path: fields.get(id(replay.records[end].output)) for path, end in ends.items()}
    partly = [path for path, field in seen.items() if field and field.placed and not field.whole]
    layer = max((path for path in partly if seen[path].size[0] < side), key=lambda path: ends[path])
    height = replay.records[ends[layer]].output.shape[2]
    y, x = height // 2, 0  # one axis in the middle, one at the border
    box = explain.receptive_field(model, layer, y, x, input_shape=replay.x.shape, images=0).box
    assert box == support(replay, ends[layer], y, x)
    assert 3 <= seen[layer].size[0] < side


class Branches(nn.Module):
    """Convolutions of two sizes beside each other, then a shortcut, a crop and a stride."""

    def __init__(self):
        self.small = nn.Conv2d(2, 2, 3, padding=1)
        self.wide = nn.Conv2d(2, 2, (1, 7), padding=(0, 3), dilation=1)
        self.same = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.half = nn.Conv2d(4, 2, 2, stride=2)

    def forward(self, x):
        both = ops.concat([self.small(x), self.wide(x)], axis=1)
        return self.half((self.same(both) + both)[:, :, 2:, 2:])


def box(model, layer, y, x, shape, **options):
    return explain.receptive_field(model, layer, y, x, input_shape=shape, images=0, **options).box


def test_branches_are_united():
    """Unit (2, 3) reads rows 6, 7 and columns 8, 9 of the sum; rows +-2 of the parts, then +-1 or columns +-3."""
    model, shape = Branches(), (1, 2, 20, 20)
    assert box(model, "half", 2, 3, shape) == (3, 3, 11, 15)
    assert box(model, "half", 0, 0, shape) == (0, 0, 7, 9)
    replay = Replay(model, shape)
    assert support(replay, replay.last_op("half"), 2, 3) == (3, 3, 11, 15)


def test_a_channel_sees_its_own_group():
    model, shape = Branches(), (1, 2, 20, 20)
    assert box(model, "same", 9, 9, shape, channel=0) == (6, 6, 13, 13)
    assert box(model, "same", 9, 9, shape, channel=3) == (7, 4, 12, 15)
    assert box(model, "same", 9, 9, shape) == (6, 4, 13, 15)


def test_dilation_skips_the_pixels_between_at_the_border():
    """Taps at rows -1, 1 and 3: row 0 is inside the clipped window but nobody reads it."""
    layer = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, dilation=2))
    assert box(layer, "0", 0, 0, (1, 1, 9, 9)) == (1, 1, 4, 4)
    in_the_padding = nn.Sequential(nn.Conv2d(1, 1, 1, padding=1))
    found = explain.receptive_field(in_the_padding, "0", 0, 0, input_shape=(1, 1, 4, 4))
    assert found.box is None and found.effective_side is None and "sees no pixel" in str(found)
    found.figure()


def test_the_border_mirrored():
    layer = nn.Sequential(nn.Conv2d(1, 1, 5, padding=2, padding_mode="reflect"))
    assert box(layer, "0", 0, 0, (1, 1, 9, 9)) == (0, 0, 3, 3)
    assert box(layer, "0", 8, 4, (1, 1, 9, 9)) == (6, 2, 9, 7)


def test_operations_that_move_pixels():
    class Moves(nn.Module):
        def __init__(self):
            self.norm, self.gate = nn.LocalResponseNorm(3), nn.Conv2d(4, 4, 1)
            self.bins, self.large = nn.AdaptiveAvgPool2d((3, 2)), nn.Identity()
            self.turned, self.flat = nn.Identity(), nn.Flatten()
            self.fc, self.gated = nn.Linear(24, 5), nn.Identity()

        def forward(self, x):
            bins = self.bins(self.norm(x))
            self.large(ops.resize(x, (16, 8), mode="nearest") * 1)
            self.turned(ops.transpose(x, (0, 1, 3, 2)) * 1)
            self.gated(x * ops.mean(self.gate(x), axis=(2, 3), keepdims=True))
            return self.fc(self.flat(bins))

    model, shape = Moves(), (1, 4, 8, 4)
    assert box(model, "bins", 1, 1, shape) == (2, 2, 6, 4)
    flat = explain.receptive_field(model, "flat", 0, 0, input_shape=shape, channel=3, images=2)
    assert flat.box == (2, 2, 6, 4) and flat.size == (4, 2) and flat.centre is None
    assert box(model, "fc", 0, 0, shape) == (0, 0, 8, 4)
    replay = Replay(model, shape)

    def rows_and_columns(operation, y, x):
        position = next(i for i, r in enumerate(replay.records) if r.op.__name__ == operation)
        shape = replay.records[position].output.shape
        chosen = (slice(None), slice(None), y, x)
        masks = [
            np.arange(n) == c if isinstance(c, int) else np.ones(n, bool) for n, c in zip(shape, chosen, strict=True)
        ]
        return [
            list(np.flatnonzero(mask))
            for mask in reach(replay.records, replay.x, replay.records[position].output, masks)[2:]
        ]

    assert rows_and_columns("Resize", 9, 7) == [[4], [3]]
    assert rows_and_columns("Transpose", 1, 6) == [[6], [1]]
    gated = [i for i, r in enumerate(replay.records) if r.op.__name__ == "Mul" and r.inputs[1].traced][-1]
    everywhere = [np.ones(n, bool) for n in replay.records[gated].output.shape]
    assert all(mask.all() for mask in reach(replay.records, replay.x, replay.records[gated].output, everywhere))


MOVED = {
    "rows to the right": (lambda x: ops.softmax(ops.transpose(x, (0, 1, 3, 2)), axis=2) * 1, (4, 0, 5, 8), None),
    "columns down": (lambda x: ops.softmax(ops.transpose(x, (0, 1, 3, 2)), axis=3) * 1, (0, 0, 6, 1), None),
    "channels last": (lambda x: ops.transpose(x, (0, 2, 3, 1)) * 1, (0, 0, 6, 1), None),
    "a signal of rows": (lambda x: ops.mean(x, axis=3), (4, 0, 5, 8), None),
    "channels of rows": (lambda x: ops.transpose(ops.mean(x, axis=3), (0, 2, 1)), (0, 0, 6, 8), None),
    "a signal of columns": (lambda x: ops.mean(x, axis=2), (0, 4, 6, 5), (2.5, 4)),
    "one row": (lambda x: ops.mean(x, axis=2, keepdims=True), (0, 4, 6, 5), (2.5, 4)),
}


@pytest.mark.parametrize("name", MOVED)
def test_the_centre_is_that_of_the_box_or_unknown_where_the_axes_of_the_image_were_moved(name):
    function, box, centre = MOVED[name]
    model = nn.Sequential(nn.Conv2d(3, 6, 1), Apply(function))
    found = explain.receptive_field(model, "", 0, 4, input_shape=(1, 3, 6, 8), images=0)
    assert (found.box, found.centre) == (box, centre)


def test_signals():
    model = nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.MaxPool1d(2))
    found = explain.receptive_field(model, "1", 0, 2, input_shape=(1, 2, 12))
    assert found.box == (0, 3, 1, 7) and found.effective.shape == (1, 12)
    assert set(np.flatnonzero(found.effective)) <= set(range(3, 7))


def test_the_centre_and_the_effective_field():
    model = nn.Sequential(
        *[nn.Conv2d(1, 4 if i < 3 else 1, 3, bias=False) if i == 0 else nn.Conv2d(4, 4, 3) for i in range(4)]
    )
    found = explain.receptive_field(model, "3", 4, 5, input_shape=(1, 1, 24, 24))
    assert found.box == (4, 5, 13, 14) and found.centre == (8, 9)
    assert found.effective.sum() == pytest.approx(1)
    outside = found.effective.copy()
    outside[4:13, 5:14] = 0
    assert not outside.any()
    assert 1 < found.effective_side < 9
    text = str(found)
    assert "sees rows 4 to 12, columns 5 to 13: 9 x 9" in text and "centre 8 x 9" in text
    assert [str(stop.field.size[0]) for stop in found.stops] == ["3", "5", "7", "9"]


def test_nothing_in_the_model_changes():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    model[1].eval()
    before = model.state_dict()
    explain.receptive_field(model, "2", 0, 0, input_shape=(1, 1, 6, 6))
    assert all(np.array_equal(array, before[key]) for key, array in model.state_dict().items())
    assert model.training and not model[1].training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("5", 0, 0), "layer - expected a module's path, got 'parts.5'; did you mean"),
        (("1", 0, 0), "layer - expected one that runs, got 'parts.1', which does not"),
        (("0", 4, 0), r"y - expected 0 to 3 in a map \(1, 2, 4, 4\), got 4"),
        (("0", 0, -1), "x - expected 0 to 3"),
        (("0", 0, 0, 2), "channel - expected 0 to 1, got 2"),
    ],
)
def test_bad_input(arguments, message):
    class Half(nn.Module):
        def __init__(self):
            self.parts = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())

        def forward(self, x):
            return self.parts[0](x)

    layer, y, x, *channel = arguments
    for wrong in (0.5, True, "0", None):  # half a row would select nothing and say that it sees no pixel
        with pytest.raises(TypeError, match="receptive_field: y - expected an integer, got"):
            explain.receptive_field(Half(), "parts.0", wrong, 0, input_shape=(1, 1, 6, 6))
        if wrong is not None:
            with pytest.raises(TypeError, match="receptive_field: channel - expected an integer, got"):
                explain.receptive_field(Half(), "parts.0", 0, 0, input_shape=(1, 1, 6, 6), channel=wrong)
    with pytest.raises(ValueError, match="receptive_field: images - expected at least 0, got -1"):
        explain.receptive_field(Half(), "parts.0", 0, 0, input_shape=(1, 1, 6, 6), images=-1)
    options = {"channel": channel[0]} if channel else {}
    with pytest.raises(ValueError, match=message):
        explain.receptive_field(Half(), f"parts.{layer}", y, x, input_shape=(1, 1, 6, 6), **options)
