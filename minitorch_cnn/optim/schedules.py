"""Learning rates that change with the step.

A schedule is a pure function of the number of steps done: ``lr(step)`` can be plotted, and resuming only
sets the number. The caller of ``step()`` decides whether a step is a batch or an epoch.
"""

import bisect
import math
import warnings
import weakref
from collections.abc import Iterable
from typing import Any

from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.identity import identity, refuse_other
from minitorch_cnn.optim.optimizer import Optimizer

_in_charge = weakref.WeakKeyDictionary()  # optimiser -> weak reference to the schedule that writes its rates


class Schedule:
    """Base of the schedules; a subclass defines ``_factor`` or ``_rates``.

    Parameters
    ----------
    optimizer : Optimizer
        The factor multiplies its current learning rates, one per group.

    Attributes
    ----------
    steps : int
        The number of calls of `step`.
    base_lrs : list of float
        The learning rates that the factor multiplies.

    Raises
    ------
    TypeError
        If ``optimizer`` is not an `Optimizer`.
    ValueError
        If another schedule already writes the learning rates of this optimiser.
    """

    needs_measurement = False  # of each step, such as the loss on a hold-out
    _chosen = ()  # names of the attributes that, with the base rates, say what the rates are

    def __init__(self, optimizer: Optimizer):
        _check_optimizer(self._name, optimizer)
        self._take_charge(optimizer, other=None)
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self._set(0)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        current = _in_charge.get(self.optimizer, lambda: None)()
        if current is None or current is state.get("schedule"):  # a copy of both; what `WarmupLR` wraps came before it
            _in_charge[self.optimizer] = weakref.ref(self)

    @property
    def _name(self):
        return type(self).__name__

    @property
    def _kind(self):
        return self._name

    def _take_charge(self, optimizer, other):
        """Become the schedule of an optimiser; raise ValueError if it has one that is not ``other``."""
        current = _in_charge.get(optimizer, lambda: None)()
        if current is not None and current is not other:
            raise ValueError(
                f"{self._name}: optimizer - expected one without a schedule, got one whose learning rates "
                f"{current._name} writes; delete that one first, or wrap it in WarmupLR"
            )
        self.optimizer: Optimizer = optimizer
        _in_charge[optimizer] = weakref.ref(self)

    def lr(self, step: int) -> list[float]:
        """Return the learning rate of each group after ``step`` steps, as a list.

        Raises
        ------
        TypeError, ValueError
            If the step is not an integer of at least 0, or the schedule has fewer steps.
        """
        _check.integer(self._name, least=0, step=step)
        return self._rates(step)

    def _rates(self, step):
        factor = self._factor(step)
        return [base * factor for base in self.base_lrs]

    def step(self) -> None:
        """Count one step and write the new learning rates into the optimiser.

        Raises
        ------
        ValueError
            If another schedule has taken over this one, or the optimiser's groups have changed.

        Warns
        -----
        UserWarning
            Of learning rates that were set by hand since: it overwrites them.
        """
        current = _in_charge.get(self.optimizer, lambda: None)()
        if current is not None and current is not self:
            raise ValueError(f"{self._name}: step - expected step() on {current._name}, which wraps this schedule")
        got = [group["lr"] for group in self.optimizer.param_groups]
        if got != self._written and len(got) == len(self._written):
            expected = f"the rates that this schedule wrote, {self._written}, got {got}, which are lost now"
            warnings.warn(f"{self._name}: optimizer - expected {expected}; delete the schedule first", stacklevel=2)
        self._set(self.steps + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return "step", steps done, "base_lrs", "kind", the class, and "chosen", a dict of what it was made with."""
        return {"step": self.steps, "base_lrs": list(self.base_lrs), **self._identity()}

    def _identity(self):
        return identity(self._kind, self, self._chosen)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`, independently of the optimiser's rates when this schedule was made.

        Parameters
        ----------
        saved : dict
            Without "base_lrs", as in older versions, the schedule keeps its own rates.

        Raises
        ------
        TypeError
            If ``saved`` is not a dict, or the step or a rate is not a number.
        ValueError
            If the step is missing, there is not one rate per group, or it is the state of another kind of schedule, or
            of one that was made with other numbers.
        """
        _check.mapping(self._name, "saved", saved, "step")
        refuse_other(self._name, saved, self._identity())
        _check.integer(f"{self._name}: saved", least=0, step=saved["step"])
        rates = saved.get("base_lrs", self.base_lrs)
        if not isinstance(rates, (list, tuple)) or len(rates) != len(self.base_lrs):
            raise ValueError(f"{self._name}: saved - expected {len(self.base_lrs)} base_lrs, got {rates!r:.60}")
        _check.number(f"{self._name}: saved", least=0, **{f"base_lrs[{i}]": rate for i, rate in enumerate(rates)})
        self.base_lrs = list(rates)
        self._set(saved["step"])

    def _set(self, step):
        rates = self.lr(step)  # before counting, so that one step too many changes nothing
        groups = self.optimizer.param_groups
        if len(groups) != len(rates):
            raise ValueError(
                f"{self._name}: optimizer - expected the {len(rates)} groups that it had when the schedule was made, "
                f"got {len(groups)}; add every group first"
            )
        self.steps: int = step
        self._written = rates
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate


def _check_optimizer(name, optimizer):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: optimizer - expected an Optimizer, got {type(optimizer).__name__}")


class StepLR(Schedule):
    """lr * gamma ** (step // step_size): a decay every ``step_size`` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int, >= 1
    gamma : float

    Raises
    ------
    TypeError, ValueError
        If the optimizer is not an Optimizer, or a number has another type or is out of its range.
    """

    _chosen = ("step_size", "gamma")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        _check.integer("StepLR", least=1, step_size=step_size)
        _check.number("StepLR", gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def _factor(self, step):
        return self.gamma ** (step // self.step_size)


class MultiStepLR(Schedule):
    """lr * gamma ** (number of milestones reached).

    Parameters
    ----------
    optimizer : Optimizer
    milestones : list of int, ascending
    gamma : float

    Raises
    ------
    ValueError
        If the milestones are not ascending.
    """

    _chosen = ("milestones", "gamma")

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1):
        if not isinstance(milestones, (list, tuple)):
            raise TypeError(f"MultiStepLR: milestones - expected a list of integers, got {milestones!r}")
        _check.integer("MultiStepLR", least=0, **{f"milestones[{i}]": at for i, at in enumerate(milestones)})
        _check.number("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = list(milestones), gamma
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"MultiStepLR: milestones - expected ascending steps, got {self.milestones}")
        super().__init__(optimizer)

    def _factor(self, step):
        return self.gamma ** bisect.bisect_right(self.milestones, step)


class CosineLR(Schedule):
    """Half a cosine from lr down to ``min_lr`` over ``total_steps``, and ``min_lr`` from then on.

    min_lr + (lr - min_lr) * (1 + cos(pi * step / total_steps)) / 2

    Parameters
    ----------
    optimizer : Optimizer
    total_steps : int, >= 1
    min_lr : float, >= 0

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", without restarts.
    """

    _chosen = ("total_steps", "min_lr")

    def __init__(self, optimizer: Optimizer, total_steps: int, min_lr: float = 0.0):
        _check.integer("CosineLR", least=1, total_steps=total_steps)
        _check.number("CosineLR", least=0, min_lr=min_lr)
        self.total_steps, self.min_lr = total_steps, min_lr
        super().__init__(optimizer)

    def _rates(self, step):
        progress = min(step / self.total_steps, 1)
        return [cosine(base, self.min_lr, progress) for base in self.base_lrs]


class OneCycleLR(Schedule):
    """Rise to ``max_lr`` along half a cosine, then fall along another almost to 0.

    The rate goes from max_lr / div_factor to max_lr during the first pct_start * total_steps steps, and then
    down to max_lr / div_factor / final_div_factor.

    Parameters
    ----------
    optimizer : Optimizer
        Its current learning rates are not used.
    max_lr : float, or list with one float per group
    total_steps : int, >= 1
        The last step has index ``total_steps - 1``.
    pct_start : float, 0 to 1
        The fraction of the steps in which the rate rises.
    div_factor, final_div_factor : float, > 0

    Raises
    ------
    ValueError
        If an argument is out of its range, there is not one rate per group, or `step` is called more than
        ``total_steps`` times.

    Notes
    -----
    The formula is that of PyTorch's OneCycleLR with anneal_strategy="cos"; momentum does not change.
    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120.
    """

    _chosen = ("max_lrs", "total_steps", "pct_start", "div_factor", "final_div_factor")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ):
        _check_optimizer("OneCycleLR", optimizer)
        _check.integer("OneCycleLR", least=1, total_steps=total_steps)
        _check.number("OneCycleLR", least=0, most=1, pct_start=pct_start)
        _check.positive("OneCycleLR", div_factor=div_factor, final_div_factor=final_div_factor)
        groups = len(optimizer.param_groups)
        self.max_lrs: list[float] = list(max_lr) if isinstance(max_lr, (list, tuple)) else [max_lr] * groups
        if len(self.max_lrs) != groups:
            raise ValueError(f"OneCycleLR: max_lr - expected one rate for each of {groups} groups, got {max_lr}")
        _check.number("OneCycleLR", least=0, **{f"max_lr[{i}]": rate for i, rate in enumerate(self.max_lrs)})
        self.total_steps, self.pct_start = total_steps, pct_start
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        super().__init__(optimizer)

    def _rates(self, step):
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step - expected at most total_steps {self.total_steps}, got {step}")
        peak, last = self.pct_start * self.total_steps - 1, self.total_steps - 1  # indices of steps
        rates = []
        for top in self.max_lrs:
            start = top / self.div_factor
            if step <= peak:
                rates.append(cosine(start, top, step / peak if peak else 1))
            else:
                progress = (step - peak) / (last - peak) if last > peak else 1
                rates.append(cosine(top, start / self.final_div_factor, min(progress, 1)))
        return rates


class WarmupLR(Schedule):
    """Linear warm-up to the first learning rate of another schedule, then that schedule.

    schedule.lr(0) * (step + 1) / warmup_steps while step < warmup_steps, then
    schedule.lr(step - warmup_steps).

    Parameters
    ----------
    schedule : Schedule
        Only this object may step it.
    warmup_steps : int, >= 1

    Raises
    ------
    TypeError, ValueError
        If the schedule is not a Schedule, or ``warmup_steps`` is not an integer of at least 1.
    """

    _chosen = ("warmup_steps",)

    def __init__(self, schedule: Schedule, warmup_steps: int):
        if not isinstance(schedule, Schedule):
            raise TypeError(f"WarmupLR: schedule - expected a Schedule, got {type(schedule).__name__}")
        if schedule.needs_measurement:
            got = type(schedule).__name__
            raise TypeError(f"WarmupLR: schedule - expected one that depends on the step alone, got {got}")
        _check.integer("WarmupLR", least=1, warmup_steps=warmup_steps)
        self.schedule, self.warmup_steps = schedule, warmup_steps
        self._take_charge(schedule.optimizer, other=schedule)
        self._set(0)

    @property
    def _kind(self):
        return f"{self._name} of {self.schedule._kind}"

    def _identity(self):
        own, inner = super()._identity(), self.schedule._identity()
        return own | {"chosen": inner.get("chosen", {}) | own["chosen"]}

    @property
    def base_lrs(self) -> list[float]:
        """The base rates of the schedule inside."""
        return self.schedule.base_lrs

    @base_lrs.setter
    def base_lrs(self, rates: list[float]) -> None:
        self.schedule.base_lrs = rates

    def _rates(self, step):
        if step >= self.warmup_steps:
            return self.schedule.lr(step - self.warmup_steps)
        return [rate * (step + 1) / self.warmup_steps for rate in self.schedule.lr(0)]


def cosine(start, end, progress):
    """Return the value at ``progress``, 0 to 1, along half a cosine from start to end."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
