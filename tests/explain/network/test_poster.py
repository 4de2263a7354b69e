"""The poster and the chart of efficiency show what was counted."""

import pytest

from minitorch_cnn import explain, models, rng


@pytest.fixture(autouse=True)
def _nothing_is_drawn():
    """Weights are never looked at."""
    before = rng.get_state()
    yield
    assert rng.get_state() == before


def texts(figure):
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return "\n".join([*found, figure.get_supxlabel()])


def test_the_poster_names_each_network_and_its_numbers():
    written = texts(explain.poster((("lenet5", "LeNet-5", 1998), ("resnet20", "ResNet-20", 2015))))
    for line in ("LeNet-5\n1998", "61.7 thousand parameters", "417 thousand multiplications", "field 16 x 16"):
        assert line in written
    for line in (
        "ResNet-20\n2015",
        "270 thousand parameters",
        "40.6 million multiplications",
        "field 81 x 81, beyond the image",
    ):
        assert line in written
    assert "the maps get smaller from stage to stage (2 of 2)" in written


def test_the_chart_of_the_densenet_paper():
    parameters, multiplications = explain.efficiency().axes
    resnets, densenets = parameters.lines
    assert list(resnets.get_ydata()) == [26.73, 24.01, 22.44, 22.16]
    assert list(resnets.get_xdata()) == pytest.approx([21.797672, 25.557032, 44.549160, 60.192808])
    assert list(densenets.get_xdata()) == pytest.approx([7.978856, 14.149480, 20.013928, 28.681000])
    assert list(multiplications.lines[1].get_xdata())[0] == pytest.approx(2.834161664)
    assert models.native_input("densenet121") == (3, 224)
