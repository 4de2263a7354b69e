"""The table of a model: counts, memory, and what is frozen."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, models, nn, ops
from minitorch_cnn.shapes import ShapeError


def rows(model, shape):
    return {(layer.name, layer.type): layer for layer in explain.summary(model, shape).layers}


def test_totals_are_those_of_the_paper():
    got = explain.summary(models.create("lenet5"), (1, 1, 32, 32))
    assert (got.params, got.macs, got.flops) == (61_706, 416_520, 833_040)
    assert sum(layer.params for layer in got.layers) == got.params == got.trainable
    assert [layer.type for layer in got.layers][:3] == ["Conv2d", "Tanh", "AvgPool2d"]


def test_a_batch_counts_every_image():
    one, three = (explain.summary(models.create("lenet5"), (n, 1, 32, 32)) for n in (1, 3))
    assert three.macs == 3 * one.macs and three.params == one.params
    assert three.training_bytes == 3 * one.training_bytes and three.inference_bytes == 3 * one.inference_bytes


def test_operations_between_layers_are_rows_too():
    table = rows(models.create("resnet20"), (1, 3, 32, 32))
    assert table["layer1.0", "Add"].output_shape == (1, 16, 32, 32)
    assert table["", "GlobalAvgPool"].output_shape == (1, 64)
    assert table["fc", "Linear"].params == 650 and table["fc", "Linear"].macs == 640


class Parts(nn.Module):
    """A function of parts: modules and parameters."""

    def __init__(self, function, **parts):
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def ones(*shape):
    return nn.Parameter(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("function", "parts", "counts"),
    [
        (lambda m, x: m.conv(x) * m.scale, {"scale": ones(1, 4, 1, 1)}, [112, 4]),  # of a module with layers inside
        (lambda m, x: ops.conv2d(x, m.conv.weight, m.conv.bias), {}, [112]),  # of a layer that does not run itself
        (lambda m, x: m.conv(m.same(x)), {"same": nn.Conv2d(3, 3, 1)}, [12, 112]),
        (lambda m, x: m.conv(x) + ops.conv2d(x, m.conv.weight), {}, [112, 0, 0]),  # once
    ],
)
def test_the_rows_have_all_parameters(function, parts, counts):
    table = explain.summary(Parts(function, conv=nn.Conv2d(3, 4, 3), **parts), (1, 3, 8, 8))
    assert [layer.params for layer in table.layers] == counts and sum(counts) == table.params
    assert "in no row" not in str(table)


def test_parameters_of_what_does_not_run_are_told_apart():
    model = Parts(lambda m, x: m.conv(x), conv=nn.Conv2d(3, 4, 3), head=nn.Linear(10, 10)).freeze()
    table = explain.summary(model, (1, 3, 8, 8))
    expected = "parameters   222, 222 of them frozen, 110 of them in no row: what has them does not run"
    assert table.params == 222 and expected in str(table)


def test_what_does_not_depend_on_the_image_sees_no_pixel():
    """Not the whole image, which an empty entry means."""

    def standardised(m, x):
        return ops.conv2d(x, m.conv.weight - ops.mean(m.conv.weight, (1, 2, 3), keepdims=True))

    table = explain.summary(Parts(standardised, conv=nn.Conv2d(3, 4, 3)), (1, 3, 8, 8))
    assert [layer.receptive_field for layer in table.layers] == [(0, 0), (0, 0), (3, 3)]
    assert table.receptive_field == (3, 3)
    constant = Parts(lambda m, x: m.scale * 2.0, scale=ones(1, 3, 8, 8))
    assert explain.summary(constant, (1, 3, 8, 8)).receptive_field == (0, 0)
    assert "each element sees 0 pixels" in str(explain.summary(constant, (1, 3, 8, 8)))
    with pytest.raises(ValueError, match="receptive_field: layer - expected one that depends on the image, got ''"):
        explain.receptive_field(constant, "", 0, 0, input_shape=(1, 3, 8, 8))
    assert explain.summary(nn.Identity(), (1, 3, 8, 8)).receptive_field == (1, 1)


def test_a_layer_that_runs_twice_has_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x):
            return self.conv(ops.relu(self.conv(x)))

    got = explain.summary(Twice(), (1, 2, 4, 4))
    assert [layer.params for layer in got.layers] == [6, 0, 0] and got.params == 6
    assert [layer.macs for layer in got.layers] == [64, 0, 64]


def test_frozen_layers():
    model = models.create("resnet18", num_classes=10)
    model.freeze(until="layer3")
    got = explain.summary(model, (1, 3, 64, 64))
    frozen = {layer.name for layer in got.layers if layer.frozen}
    assert "conv1" in frozen and "layer3.1.bn2" in frozen and not frozen & {"layer4.0.conv1", "fc"}
    assert got.trainable == sum(p.size for p in model.parameters() if p.requires_grad) < got.params
    assert f"{got.params - got.trainable:,} of them frozen" in str(got)


def test_memory_by_hand():
    """Maps of 4, 8, 8 and 2 elements of 4 bytes: at most two are alive at once, and a training step keeps all."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.GlobalAvgPool())
    got = explain.summary(model, (1, 1, 2, 2))
    assert [layer.activation_bytes for layer in got.layers] == [32, 32, 8]
    assert got.inference_bytes == 64 and got.training_bytes == 32 + 32 + 8 + 32
    assert explain.summary(model.double(), (1, 1, 2, 2)).inference_bytes == 128


class Sliced(nn.Module):
    """A convolution of every second row: the view keeps the whole map alive."""

    def __init__(self):
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.conv(x[:, :, ::2])


def test_a_view_keeps_its_map_alive():
    assert explain.summary(Sliced(), (1, 1, 4, 4)).inference_bytes == 4 * (16 + 8)
    flat = nn.Sequential(nn.Conv2d(1, 8, 2), nn.Flatten(), nn.Flatten(), nn.Linear(8, 100, bias=False))
    assert explain.summary(flat, (1, 1, 2, 2)).inference_bytes == 4 * (8 + 100)
    last = nn.Sequential(nn.Conv2d(1, 8, 2), nn.Flatten())
    assert explain.summary(last, (1, 1, 2, 2)).inference_bytes == 4 * (4 + 8)


@pytest.mark.parametrize("batch", [1, 64])
def test_the_algorithms_are_those_that_run_for_this_batch(batch):
    model = models.create("cifar4")
    layers = {layer.name: layer for layer in explain.summary(model, (batch, 3, 32, 32)).layers if layer.algorithm}
    assert list(layers) == ["conv1", "conv2", "conv3", "conv4"]
    maps = Tensor.like_shape((batch, 64, 16, 16))
    told = ops.conv_algorithm(maps, model.conv2.weight, padding=1)
    assert layers["conv2"].algorithm == {name: chosen._asdict() for name, chosen in told._asdict().items()}
    line = str(explain.summary(model, (batch, 3, 32, 32))).splitlines()[7]
    names = [chosen.name for chosen in told]
    assert line.endswith(names[0] if len(set(names)) == 1 else " / ".join(names))


def test_nothing_is_computed_or_changed():
    model = models.create("resnet18")
    before = {key: array.copy() for key, array in model.state_dict().items()}
    explain.summary(model, (512, 3, 4096, 4096))  # would take terabytes
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(ShapeError, match="expected 3 channels"):
        explain.summary(model, (1, 4, 64, 64))


def test_a_model_without_parameters():
    got = explain.summary(nn.Sequential(nn.MaxPool2d(2)), (1, 1, 4, 6))
    assert got.params == got.macs == 0 and got.receptive_field == (2, 2)
    flat = explain.summary(nn.Sequential(nn.Flatten()), (1, 1, 4, 6))
    assert flat.receptive_field == (1, 1) and "each element sees 1 pixels" in str(flat)
    pooled = explain.summary(nn.Sequential(nn.GlobalAvgPool()), (1, 1, 4, 6))
    assert pooled.receptive_field is None and "each element sees all pixels" in str(pooled)


def test_the_table_lines_up():
    lines = str(explain.summary(models.create("cifar4"), (1, 3, 32, 32))).splitlines()
    assert lines[0] == "Cifar4, input 1 x 3 x 32 x 32"
    assert lines[1].split() == ["layer", "type", "output", "parameters", "MACs", "memory", "sees", "jump", "algorithm"]
    assert lines[3].split()[:8] == ["conv1", "Conv2d", "64", "x", "32", "x", "32", "1,728"]
    assert len({line.index("MB") for line in lines[3:20]}) == 1
