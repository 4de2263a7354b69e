"""How much maps change when the image moves."""

import numpy as np
import pytest

from minitorch_cnn import explain
from minitorch_cnn.shapes import ShapeError


def test_pooling_makes_maps_change_less():
    found = explain.shift_sensitivity()
    change = {name: line[0] for name, line in found.changes.items()}
    assert change["max pooling 3, stride 2"] < change["max pooling 2"] < change["no pooling"]
    assert change["average pooling 2"] < change["no pooling"]
    assert found.shifts == (1, 2, 3, 4) and all(len(line) == 4 for line in found.changes.values())
    assert "after a shift of  1 pixel  2 pixels" in str(found)


def test_the_number_is_the_relative_distance_of_the_maps():
    images = np.zeros((1, 1, 3, 9), np.float32)
    images[0, 0, 1, 4] = 1  # one bright pixel: its map moves as a whole, to places where nothing was
    weight = np.zeros((1, 1, 3, 3), np.float32)
    weight[0, 0, 1, 1] = 1
    found = explain.shift_sensitivity(images=np.tile(images, (1, 1, 2, 1)), weight=weight, shifts=(0, 1))
    assert found.changes["no pooling"] == [0, pytest.approx(np.sqrt(2))]


def test_what_a_window_that_still_sees_the_pixel_does_not_notice():
    images = np.zeros((1, 1, 6, 9), np.float32)
    images[0, 0, :, 4] = 1
    weight = np.zeros((1, 1, 3, 3), np.float32)
    weight[0, 0, 1, 1] = 1  # passes the image: the bright column is at 3 and, moved, at 2 of the map
    changes = explain.shift_sensitivity(images, weight, shifts=(1,)).changes
    assert changes["max pooling 2"] == [0] and changes["average pooling 2"] == [0]
    assert changes["no pooling"][0] > 1


def test_bad_arguments():
    with pytest.raises(ValueError, match="shift_sensitivity: shifts - expected at least 0, got -1"):
        explain.shift_sensitivity(shifts=(-1,))
    with pytest.raises(ValueError, match="shift_sensitivity: shifts - expected at least one, got none"):
        explain.shift_sensitivity(shifts=())
    with pytest.raises(ShapeError, match="shift_sensitivity: images - expected images .* at least 35 columns"):
        explain.shift_sensitivity(shifts=(30,))


def test_the_figure_has_a_line_a_method(tmp_path):
    found = explain.ShiftSensitivity((1, 2), {name: [0.1, 0.2] for name in "abcde"})
    axes = found.figure().axes[0]
    assert [line.get_label() for line in axes.lines] == list("abcde")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [10, 20])
    found.save(tmp_path / "shift.png")
    assert (tmp_path / "shift.png").read_bytes().startswith(b"\x89PNG")
