"""Exponential, own, restarting and plateau schedules: against PyTorch, saving, errors."""

import json
import math

import numpy as np
import pytest

from minitorch_cnn import nn, optim


def optimizer():
    return optim.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])], "lr": 0.5}], lr=0.1)


def rates(made):
    return [group["lr"] for group in made.param_groups]


MAKERS = {
    "exponential": lambda o: optim.ExponentialLR(o, 0.9),
    "lambda": lambda o: optim.LambdaLR(o, lambda step: 1 / (1 + step)),
    "restarts": lambda o: optim.CosineRestartsLR(o, 3, 2, 0.01),
    "restarts of one length": lambda o: optim.CosineRestartsLR(o, 4),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_schedule_continues_where_it_was_saved(name):
    first, second = optimizer(), optimizer()
    one, other = MAKERS[name](first), MAKERS[name](second)
    for _ in range(7):
        one.step()
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert rates(first) == rates(second)
    one.step()
    other.step()
    assert rates(first) == rates(second) and rates(first)[1] > rates(first)[0]


LOSSES = [1.0, 0.9, 0.95, 0.95, 0.95, 0.8999, math.nan, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


def plateau(made, **options):
    return optim.ReduceLROnPlateau(made, **{"patience": 1, "cooldown": 1, "factor": 0.5, "min_lr": 0.02, **options})


def test_a_plateau_continues_where_it_was_saved():
    first, second = optimizer(), optimizer()
    one, other = plateau(first), plateau(second)
    for i, loss in enumerate(LOSSES):
        one.step(loss)
        if i < 8:
            other.step(loss)
    saved = other.state_dict()
    third = optimizer()
    last = plateau(third)
    last.load_state_dict(json.loads(json.dumps(saved)))
    for loss in LOSSES[8:]:
        last.step(loss)
    assert rates(third) == rates(first) and rates(first)[0] == 0.02


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_plateau_is_that_of_pytorch(mode):
    torch = pytest.importorskip("torch")
    theirs = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode, 0.5, 1, 1e-4, "rel", 1, 0.001)
    mine = optim.SGD([nn.Parameter([1.0])], lr=0.1)
    ours = plateau(mine, mode=mode, min_lr=0.001)
    for loss in np.random.default_rng(0).random(60):
        ours.step(loss)
        other.step(loss)
        assert math.isclose(rates(mine)[0], theirs.param_groups[0]["lr"], rel_tol=1e-12)


@pytest.mark.parametrize(
    ("mode", "measured", "reductions"),
    [  # a step is better if it lies beyond the best one by a tenth of its size
        ("min", [-1.0, -0.95], 1),
        ("min", [-1.0, -1.05, -1.11], 1),
        ("max", [-1.0, -1.05], 1),
        ("max", [-1.0, -0.95, -0.89], 1),
        ("min", [1.0, 0.95, 0.89], 1),
        ("min", [0.0, -1e-9, -1.0], 0),
        ("max", [-1.0, 0.0, 0.1], 0),
    ],
)
def test_a_plateau_of_negative_measurements(mode, measured, reductions):
    schedule = optim.ReduceLROnPlateau(optimizer(), mode, threshold=0.1, patience=0)
    for one in measured:
        schedule.step(one)
    assert schedule.reductions == reductions


def test_the_first_measurement_is_the_best_one_at_any_threshold():
    schedule = optim.ReduceLROnPlateau(optimizer(), threshold=1.0, patience=0)
    schedule.step(0.5)
    assert (schedule.best, schedule.reductions) == (0.5, 0)


@pytest.mark.parametrize(
    ("name", "value", "error"), [("best", "x", TypeError), ("best", True, TypeError), ("waited", -1, ValueError),
    ("cooling", None, TypeError), ("reductions", 1.5, TypeError)],
)
def test_a_state_of_a_plateau_with_another_value_is_refused(name, value, error):
    schedule = optim.ReduceLROnPlateau(optimizer())
    saved = {**schedule.state_dict(), name: value}
    with pytest.raises(error, match=f"ReduceLROnPlateau: saved.*{name}"):
        schedule.load_state_dict(saved)
    assert schedule.state_dict()["best"] == math.inf


@pytest.mark.oracle
def test_the_others_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    for ours, theirs in (
        (lambda o: optim.ExponentialLR(o, 0.9), lambda o: schedulers.ExponentialLR(o, 0.9)),
        (MAKERS["lambda"], lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step))),
        (MAKERS["restarts"], lambda o: schedulers.CosineAnnealingWarmRestarts(o, 3, 2, 0.01)),
    ):
        mine, other = optim.SGD([nn.Parameter([1.0])], lr=0.1), torch.optim.SGD([torch.zeros(1)], lr=0.1)
        one, two = ours(mine), theirs(other)
        for _ in range(30):
            one.step()
            other.step()
            two.step()
            assert math.isclose(rates(mine)[0], other.param_groups[0]["lr"], rel_tol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: optim.ExponentialLR(o, 0), ValueError, "ExponentialLR: gamma - expected a positive number, got 0"),
        (lambda o: optim.LambdaLR(o, 0.5), TypeError, "LambdaLR: factor - expected a function of the step, got float"),
        (lambda o: optim.LambdaLR(o, lambda s: -1), ValueError, r"LambdaLR: factor\(0\) - expected at least 0"),
        (lambda o: optim.CosineRestartsLR(o, 0), ValueError, "CosineRestartsLR: period - expected at least 1, got 0"),
        (lambda o: plateau(o, mode="best"), ValueError, "ReduceLROnPlateau: mode - expected 'min' or 'max'"),
        (lambda o: plateau(o, factor=1), ValueError, "ReduceLROnPlateau: factor - expected 0 to below 1, got 1"),
        (lambda o: plateau(o, patience=-1), ValueError, "ReduceLROnPlateau: patience - expected at least 0, got -1"),
        (lambda o: plateau(o).step("0.5"), TypeError, "ReduceLROnPlateau: measurement - expected a number, got '0.5'"),
        (lambda o: plateau(o).step(np.ones(2)), TypeError, "measurement - expected a number, got array"),
        (lambda o: plateau(o).step(None), TypeError, "ReduceLROnPlateau: measurement - expected a number, got None"),
        (lambda o: plateau(o).load_state_dict({"step": 1}), ValueError, "ReduceLROnPlateau: saved - expected 'step'"),
        (lambda o: optim.WarmupLR(plateau(o), 2).step(), TypeError, "WarmupLR: schedule - expected one that depends"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer())
