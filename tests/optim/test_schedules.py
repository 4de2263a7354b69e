"""Schedules: their formulas, PyTorch's sequences, and that they depend on the step alone."""

import copy
import gc
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import nn, optim

BASE = 0.4
SCHEDULES = {
    "step": lambda o: optim.StepLR(o, 4, gamma=0.5),
    "multistep": lambda o: optim.MultiStepLR(o, [3, 3, 9]),
    "cosine": lambda o: optim.CosineLR(o, 20, min_lr=0.01),
    "one cycle": lambda o: optim.OneCycleLR(o, 1.0, 20),
    "warm-up": lambda o: optim.WarmupLR(optim.CosineLR(o, 15), 5),
}
every_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)


def optimizer(lrs=(BASE,)):
    return optim.SGD([{"params": [nn.Parameter([1.0])], "lr": lr} for lr in lrs], lr=0.0)


def sequence(schedule, steps):
    """Return the learning rates of the first group at steps 0, 1, ..., by stepping."""
    rates = [schedule.optimizer.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        schedule.step()
        rates.append(schedule.optimizer.param_groups[0]["lr"])
    return rates


@every_schedule
def test_stepping_gives_the_function_of_the_step(make):
    schedule = make(optimizer())
    function = [schedule.lr(step)[0] for step in range(20)]
    assert sequence(schedule, 20) == function


@every_schedule
@settings(max_examples=20, deadline=None)
@given(step=st.integers(0, 20))
def test_loading_goes_to_the_step(make, step):
    walked, loaded = make(optimizer()), make(optimizer())
    for _ in range(step):
        walked.step()
    loaded.load_state_dict(walked.state_dict())
    chosen = walked.state_dict()["chosen"]
    assert walked.state_dict() == {"step": step, "base_lrs": [BASE], "kind": walked._kind, "chosen": chosen}
    assert loaded.optimizer.param_groups[0]["lr"] == walked.optimizer.param_groups[0]["lr"]


@every_schedule
def test_every_group_has_its_own_rate(make):
    schedule = make(optimizer((0.4, 0.8)))
    schedule.step()
    first, second = (group["lr"] for group in schedule.optimizer.param_groups)
    if isinstance(schedule, optim.WarmupLR | optim.StepLR | optim.MultiStepLR):
        assert second == pytest.approx(2 * first)
    elif isinstance(schedule, optim.CosineLR):
        assert second - 0.01 == pytest.approx(2 * (first - 0.01) * 0.79 / 0.78)
    else:
        assert second == first


def test_one_cycle_takes_a_peak_for_each_group():
    schedule = optim.OneCycleLR(optimizer((0.4, 0.8)), [1.0, 3.0], 10)
    assert schedule.lr(4)[1] == pytest.approx(3 * schedule.lr(4)[0])
    assert [group["lr"] for group in schedule.optimizer.param_groups] == pytest.approx([1 / 25, 3 / 25])


def test_step_and_multistep_fall_at_their_steps():
    assert sequence(optim.StepLR(optimizer(), 2), 5) == pytest.approx([0.4, 0.4, 0.04, 0.04, 0.004])
    assert sequence(optim.MultiStepLR(optimizer(), [1, 3], 0.5), 5) == pytest.approx([0.4, 0.2, 0.2, 0.1, 0.1])


def test_cosine_ends_at_its_minimum_and_stays_there():
    schedule = optim.CosineLR(optimizer(), 10, min_lr=0.05)
    assert schedule.lr(5)[0] == pytest.approx((0.4 + 0.05) / 2)
    assert schedule.lr(10) == schedule.lr(25) == [0.05]


def test_warm_up_is_a_straight_line_into_the_schedule():
    rates = sequence(optim.WarmupLR(optim.StepLR(optimizer(), 2), 4), 8)
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.04, 0.04])


def torch_sequence(torch, make, steps):
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    schedule = make(torch.optim.lr_scheduler, other)
    rates = [other.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        other.step()
        schedule.step()
        rates.append(other.param_groups[0]["lr"])
    return rates


@pytest.mark.oracle
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
@pytest.mark.parametrize(
    "options", [{}, {"pct_start": 0.15, "div_factor": 10.0, "final_div_factor": 100.0}, {"pct_start": 0.0}]
)
def test_one_cycle_is_that_of_pytorch(steps, options):
    torch = pytest.importorskip("torch")
    mine = sequence(optim.OneCycleLR(optimizer(), 0.7, steps, **options), steps)
    theirs = torch_sequence(
        torch, lambda t, o: t.OneCycleLR(o, 0.7, total_steps=steps, cycle_momentum=False, **options), steps
    )
    np.testing.assert_allclose(mine, theirs, rtol=1e-12)


@pytest.mark.oracle
def test_the_others_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    pairs = [
        (SCHEDULES["step"], lambda t, o: t.StepLR(o, 4, gamma=0.5)),
        (SCHEDULES["multistep"], lambda t, o: t.MultiStepLR(o, [3, 3, 9])),
        (SCHEDULES["cosine"], lambda t, o: t.CosineAnnealingLR(o, 20, eta_min=0.01)),
        (
            SCHEDULES["warm-up"],
            lambda t, o: t.SequentialLR(
                o, [t.LinearLR(o, 1 / 5, total_iters=4), t.CosineAnnealingLR(o, 15)], milestones=[5]
            ),
        ),
    ]
    for mine, theirs in pairs:
        np.testing.assert_allclose(sequence(mine(optimizer()), 20), torch_sequence(torch, theirs, 20), rtol=1e-9)


def test_one_cycle_refuses_a_step_too_many_and_stays():
    schedule = optim.OneCycleLR(optimizer(), 1.0, 3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR: step - expected at most total_steps 3, got 4"):
        schedule.step()
    assert schedule.steps == 3


def restored(make, order, saved):
    """Return a new optimiser that was brought to a saved moment, doing so in this order."""
    new = optimizer()
    schedule = make(new) if order[0] == "make" else None
    for what in order:
        if what == "make":
            schedule = schedule or make(new)
        elif what == "load the optimizer":
            new.load_state_dict(saved["optimizer"])
        else:
            schedule.load_state_dict(saved["schedule"])
    return new, schedule


@every_schedule
@pytest.mark.parametrize(
    "order",
    [
        ("make", "load the optimizer", "load the schedule"),
        ("make", "load the schedule", "load the optimizer"),
        ("load the optimizer", "make", "load the schedule"),
        ("make", "load the schedule"),
    ],
    ids=" then ".join,
)
def test_a_schedule_goes_on_in_whatever_order_it_was_restored(make, order):
    straight = make(optimizer())
    for _ in range(11):
        straight.step()
    saved = {"optimizer": straight.optimizer.state_dict(), "schedule": straight.state_dict()}
    new, schedule = restored(make, order, saved)
    for _ in range(4):
        assert new.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]
        straight.step()
        schedule.step()


def test_a_state_without_base_rates_keeps_those_of_the_schedule():
    schedule = optim.StepLR(optimizer(), 2)
    schedule.load_state_dict({"step": 4})
    assert schedule.optimizer.param_groups[0]["lr"] == pytest.approx(BASE / 100)


@every_schedule
def test_a_second_schedule_on_an_optimiser_is_refused(make):
    first = make(optimizer())
    before = first.optimizer.param_groups[0]["lr"]
    with pytest.raises(ValueError, match=f"StepLR: optimizer - expected one without .* {type(first).__name__} writes"):
        optim.StepLR(first.optimizer, 3)
    assert first.optimizer.param_groups[0]["lr"] == before
    first.step()


def test_a_schedule_that_nobody_holds_any_more_makes_room():
    new = optimizer()
    optim.StepLR(new, 3)
    gc.collect()
    optim.CosineLR(new, 10).step()


def test_a_schedule_inside_warm_up_is_not_stepped_by_itself():
    inner = optim.StepLR(optimizer(), 2)
    outer = optim.WarmupLR(inner, 2)
    with pytest.raises(ValueError, match=r"StepLR: step - expected step\(\) on WarmupLR, which wraps this schedule"):
        inner.step()
    outer.step()


def test_a_group_that_was_added_later_is_refused_by_name():
    schedule = optim.StepLR(optimizer(), 2)
    groups = schedule.optimizer.param_groups
    groups.append({**groups[0], "params": [nn.Parameter([1.0])]})
    with pytest.raises(ValueError, match="StepLR: optimizer - expected the 1 groups that it had .*, got 2; add every"):
        schedule.step()
    assert schedule.steps == 0


@pytest.mark.parametrize("how", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_of_optimiser_and_schedule_has_one_schedule_too(how):
    first, second = how((made := optimizer(), optim.StepLR(made, 2)))
    with pytest.raises(ValueError, match="expected one without a schedule, got one whose learning rates StepLR writes"):
        optim.CosineLR(first, 5)
    warm = how(optim.WarmupLR(optim.CosineLR(optimizer(), 10), 2))
    for _ in range(5):
        warm.step()
    assert warm.optimizer.param_groups[0]["lr"] == warm.lr(5)[0]
    with pytest.raises(ValueError, match="expected step\\(\\) on WarmupLR"):
        warm.schedule.step()
    shallow = copy.copy(second)
    second.step()  # still in charge
    with pytest.raises(ValueError, match="expected step\\(\\) on StepLR"):
        shallow.step()


def test_warm_up_does_not_take_the_state_of_what_it_wraps():
    warm, plain = optim.WarmupLR(optim.CosineLR(optimizer(), 10), 4), optim.CosineLR(optimizer(), 10)
    for schedule, other in ((warm, plain), (plain, warm)):
        with pytest.raises(ValueError, match="saved - expected the state of"):
            schedule.load_state_dict(other.state_dict())


@pytest.mark.parametrize(
    ("make", "other", "message"),
    [
        (lambda o: optim.StepLR(o, 2), lambda o: optim.StepLR(o, 3), "step_size=3, got that of one with 2"),
        (lambda o: optim.MultiStepLR(o, (2, 4)), lambda o: optim.MultiStepLR(o, [2]), r".*s=\[2\].* with \[2, 4\]"),
        (lambda o: optim.CosineLR(o, 100), lambda o: optim.CosineLR(o, 10), "total_steps=10, got that of one with 100"),
        (lambda o: optim.OneCycleLR(o, 1.0, 9), lambda o: optim.OneCycleLR(o, 2.0, 9), r"max_lrs=\[2.0\], .* \[1.0\]"),
        (
            lambda o: optim.WarmupLR(optim.CosineLR(o, 9), 2),
            lambda o: optim.WarmupLR(optim.CosineLR(o, 9), 3),
            "warmup_steps=3, got that of one with 2",
        ),
        (
            lambda o: optim.WarmupLR(optim.CosineLR(o, 9), 2),
            lambda o: optim.WarmupLR(optim.CosineLR(o, 8), 2),
            "total_steps=8, got that of one with 9",
        ),
        (lambda o: optim.ExponentialLR(o, 0.5), lambda o: optim.ExponentialLR(o, 0.9), "gamma=0.9, .* with 0.5"),
        (
            lambda o: optim.PiecewiseLinearLR(o, [(0, 1), (9, 0)]),
            lambda o: optim.PiecewiseLinearLR(o, [(0, 1), (8, 0)]),
            r"points=\[\[\[0, 1.0\], \[8, 0.0\]\]\], got",
        ),
        (lambda o: optim.CosineRestartsLR(o, 4), lambda o: optim.CosineRestartsLR(o, 4, 2), "factor=2, .* with 1"),
        (lambda o: optim.ReduceLROnPlateau(o), lambda o: optim.ReduceLROnPlateau(o, patience=3), "patience=3, .* 10"),
    ],
)
def test_a_state_of_a_schedule_with_other_numbers_is_refused(make, other, message):
    saved, schedule = make(optimizer()).state_dict(), other(optimizer())
    before = schedule.state_dict()
    with pytest.raises(ValueError, match=f"{type(schedule).__name__}: saved - expected .* with {message}"):
        schedule.load_state_dict(json.loads(json.dumps(saved)))
    assert schedule.state_dict() == before
    make(optimizer()).load_state_dict(json.loads(json.dumps(saved)))  # one that is made alike continues


def test_a_state_with_chosen_numbers_that_are_none_is_refused():
    with pytest.raises(TypeError, match="StepLR: saved: chosen - expected an object of dict, got int"):
        optim.StepLR(optimizer(), 2).load_state_dict({"step": 1, "chosen": 3})


@pytest.mark.parametrize(
    ("saved", "error", "message"),
    [
        ("x", TypeError, "StepLR: saved - expected a dict with 'step', got str"),
        ({}, ValueError, "StepLR: saved - expected 'step', got an empty dict without 'step'"),
        ({"step": 1.5}, TypeError, "StepLR: saved: step - expected an integer, got 1.5"),
        ({"step": -1}, ValueError, "StepLR: saved: step - expected at least 0, got -1"),
        ({"step": 1, "base_lrs": [1.0, 2.0]}, ValueError, r"StepLR: saved - expected 1 base_lrs, got \[1.0, 2.0\]"),
        ({"step": 1, "base_lrs": None}, ValueError, "StepLR: saved - expected 1 base_lrs, got None"),
        ({"step": 1, "base_lrs": ["1"]}, TypeError, r"StepLR: saved: base_lrs\[0\] - expected a number, got '1'"),
        ({"step": 1, "base_lrs": [math.nan]}, ValueError, r"base_lrs\[0\] - expected at least 0, got nan"),
        ({"step": 1, "kind": "CosineLR"}, ValueError, "expected the state of StepLR, got that of CosineLR"),
    ],
)
def test_a_state_that_is_none_is_refused(saved, error, message):
    with pytest.raises(error, match=message):
        optim.StepLR(optimizer(), 2).load_state_dict(saved)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.StepLR(nn.Linear(1, 1), 3), "StepLR: optimizer - expected an Optimizer, got Linear"),
        (lambda o: optim.OneCycleLR(None, 1.0, 3), "OneCycleLR: optimizer - expected an Optimizer, got NoneType"),
        (lambda o: optim.StepLR(o, 2.5), "StepLR: step_size - expected an integer, got 2.5"),
        (lambda o: optim.StepLR(o, 2, gamma="0.1"), "StepLR: gamma - expected a number, got '0.1'"),
        (lambda o: optim.MultiStepLR(o, 3), "MultiStepLR: milestones - expected a list of integers, got 3"),
        (lambda o: optim.MultiStepLR(o, ["3"]), r"MultiStepLR: milestones\[0\] - expected an integer, got '3'"),
        (lambda o: optim.WarmupLR(o, 3), "WarmupLR: schedule - expected a Schedule, got SGD"),
    ],
)
def test_arguments_of_another_type_are_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make(optimizer())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: optim.StepLR(o, 0), "StepLR: step_size - expected at least 1, got 0"),
        (lambda o: optim.MultiStepLR(o, [3, 1]), r"MultiStepLR: milestones - expected ascending steps, got \[3, 1\]"),
        (lambda o: optim.CosineLR(o, 0), "CosineLR: total_steps - expected at least 1, got 0"),
        (lambda o: optim.CosineLR(o, 5, min_lr=-1), "CosineLR: min_lr - expected at least 0, got -1"),
        (lambda o: optim.OneCycleLR(o, 1.0, 0), "OneCycleLR: total_steps - expected at least 1, got 0"),
        (lambda o: optim.OneCycleLR(o, 1.0, 5, pct_start=2), "OneCycleLR: pct_start - expected 0 to 1, got 2"),
        (
            lambda o: optim.OneCycleLR(o, 1.0, 5, div_factor=0),
            "OneCycleLR: div_factor - expected a positive number, got 0",
        ),
        (
            lambda o: optim.OneCycleLR(o, [1.0, 2.0], 5),
            r"max_lr - expected one rate for each of 1 groups, got \[1\.0, 2\.0\]",
        ),
        (lambda o: optim.WarmupLR(optim.StepLR(o, 1), 0), "WarmupLR: warmup_steps - expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer())


@pytest.mark.parametrize("make", [lambda o: optim.CosineLR(o, 9), lambda o: optim.WarmupLR(optim.StepLR(o, 2), 3)])
def test_a_rate_that_was_set_by_hand_is_not_overwritten_without_a_word(make):
    optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    schedule = make(optimizer)
    schedule.step()
    optimizer.param_groups[0]["lr"] = 0.5
    with pytest.warns(UserWarning, match=r"LR: optimizer - expected the rates that this schedule wrote, .* \[0.5\]"):
        schedule.step()
    schedule.step()
    schedule.load_state_dict(schedule.state_dict() | {"step": 1})
    schedule.step()
