"""Field size and non-linearities against depth."""

from minitorch_cnn import explain, nn, ops
from minitorch_cnn.explain.fields.growth import Step


def test_three_small_windows_see_as_much_as_a_large_one():
    small = [layer for _ in range(3) for layer in (nn.Conv2d(1, 1, 3), nn.ReLU())]
    networks = {"small": (nn.Sequential(*small), (1, 1, 9, 9)), "large": (nn.Conv2d(1, 1, 7), (1, 1, 9, 9))}
    found = explain.field_growth(networks)
    assert [(s.depth, s.size, s.non_linearities) for s in found.networks["small"]] == [
        (1, (3, 3), 0),
        (2, (5, 5), 1),
        (3, (7, 7), 2),
    ]
    assert found.networks["large"] == [Step("", 1, (7, 7), 0)]
    above, below = found.figure().axes
    assert list(above.lines[0].get_ydata()) == [3, 5, 7] and list(below.lines[0].get_ydata()) == [0, 1, 2]
    assert str(found).splitlines()[2].split() == ["0", "1", "3", "0"]


def test_the_longest_way_counts():
    class Block(nn.Module):
        def __init__(self):
            self.conv1, self.conv2, self.after = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 1), nn.MaxPool2d(2)

        def forward(self, x):
            return self.after(self.conv2(ops.tanh(self.conv1(x))) + x)

    steps = explain.field_growth({"block": (Block(), (1, 1, 8, 8))}).networks["block"]
    assert steps[-1] == Step("after", 2, (4, 4), 1)


def test_a_single_layer_has_ticks_at_whole_numbers():
    drawing = explain.field_growth({"one": (nn.Conv2d(1, 1, 3), (1, 1, 9, 9))}).figure()
    drawing.canvas.draw()
    for axes in drawing.axes:
        ticks = [*axes.get_xticks(), *axes.get_yticks()]
        assert ticks and all(tick == round(tick) for tick in ticks)
