"""The schedule of straight lines: values at and between its points, and its errors."""

import numpy as np
import pytest

from minitorch_cnn import nn, optim

TRIANGLE = [(0, 0.2), (109, 1.0), (476, 0.07)]


def optimizer(*rates):
    return optim.SGD([{"params": [nn.Parameter(np.zeros(2))], "lr": rate} for rate in rates], lr=1.0)


def test_values_at_and_between_the_points():
    schedule = optim.PiecewiseLinearLR(optimizer(2.0, 100.0), TRIANGLE)
    assert schedule.lr(0) == pytest.approx([0.4, 20])
    assert schedule.lr(109) == pytest.approx([2, 100])
    assert schedule.lr(54) == pytest.approx([2 * (0.2 + 0.8 * 54 / 109), 100 * (0.2 + 0.8 * 54 / 109)])
    assert schedule.lr(475) == pytest.approx([2 * (1 - 0.93 * 366 / 367), 100 * (1 - 0.93 * 366 / 367)])
    assert schedule.lr(476) == schedule.lr(9999) == pytest.approx([0.14, 7])


def test_each_group_may_have_its_own_points():
    schedule = optim.PiecewiseLinearLR(optimizer(1.0, 1.0), [[(0, 1), (10, 0)], [(2, 1), (4, 0)]])
    assert schedule.lr(3) == pytest.approx([0.7, 0.5]) and schedule.lr(8) == pytest.approx([0.2, 0])


def test_steps_write_the_rates_and_a_resume_continues():
    first = optimizer(1.0)
    schedule = optim.PiecewiseLinearLR(first, TRIANGLE)
    for _ in range(200):
        schedule.step()
    second = optimizer(1.0)
    again = optim.PiecewiseLinearLR(second, TRIANGLE)
    again.load_state_dict(schedule.state_dict())
    assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"] == schedule.lr(200)[0]


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        ([], TypeError, "PiecewiseLinearLR: points - expected pairs of a step and a factor"),
        ([(0, 1, 2)], TypeError, "points - expected pairs of a step and a factor"),
        ([(0, 1), (0, 2)], ValueError, r"points - expected ascending steps, got \[0, 0\]"),
        ([(0.5, 1)], TypeError, "points: step - expected an integer, got 0.5"),
        ([(0, -1)], ValueError, "points: factor - expected at least 0, got -1"),
        ([[(0, 1)], [(0, 1)]], ValueError, "points - expected a list for each of 1 groups, got 2"),
    ],
)
def test_bad_points_are_refused(points, error, message):
    with pytest.raises(error, match=message):
        optim.PiecewiseLinearLR(optimizer(1.0), points)
