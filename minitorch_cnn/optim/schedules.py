"""Learning rates that change with the step.

A schedule is a pure function of the number of steps done: ``lr(step)`` can be plotted, and to
resume is to set the number. What a step is, a batch or an epoch, is up to the caller of ``step()``.
"""

import bisect
import math


class Schedule:
    """Base of the schedules; a subclass gives ``_factor``, or ``lr`` itself.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates at this moment, one a group, are those that the factor multiplies.

    Attributes
    ----------
    steps : int
        How often `step` was called.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self._set(0)

    def lr(self, step):
        """Return the learning rate of each group after ``step`` steps, as a list."""
        factor = self._factor(step)
        return [base * factor for base in self.base_lrs]

    def step(self):
        """Count one step and write the new learning rates into the optimiser."""
        self._set(self.steps + 1)

    def state_dict(self):
        """Return ``{"step": number of steps done}``."""
        return {"step": self.steps}

    def load_state_dict(self, saved):
        """Go to the step that `state_dict` gave."""
        self._set(saved["step"])

    def _set(self, step):
        rates = self.lr(step)  # before the count, so that a step too many changes nothing
        self.steps = step
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def _at_least(name, option, value, least):
    if not value >= least:
        raise ValueError(f"{name}: {option} - expected at least {least}, got {value!r}")


class StepLR(Schedule):
    """lr * gamma ** (step // step_size): a fall every ``step_size`` steps.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int, >= 1
    gamma : float
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        _at_least("StepLR", "step_size", step_size, 1)
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

    def __init__(self, optimizer, milestones, gamma=0.1):
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

    def __init__(self, optimizer, total_steps, min_lr=0.0):
        _at_least("CosineLR", "total_steps", total_steps, 1)
        _at_least("CosineLR", "min_lr", min_lr, 0)
        self.total_steps, self.min_lr = total_steps, min_lr
        super().__init__(optimizer)

    def lr(self, step):
        """Return the learning rate of each group after ``step`` steps, as a list."""
        progress = min(step / self.total_steps, 1)
        return [_cosine(base, self.min_lr, progress) for base in self.base_lrs]


class OneCycleLR(Schedule):
    """Up to ``max_lr`` along half a cosine, and down along another to almost nothing.

    max_lr / div_factor -> max_lr during the first pct_start * total_steps steps, then -> the start
    divided by final_div_factor.

    Parameters
    ----------
    optimizer : Optimizer
        Its own learning rates are not used.
    max_lr : float, or list of one a group
    total_steps : int, >= 1
        The last step has number ``total_steps - 1``.
    pct_start : float, 0 to 1
        Share of the steps that goes up.
    div_factor, final_div_factor : float, > 0

    Raises
    ------
    ValueError
        If an argument is out of its range, the number of rates is not that of the groups, or `step`
        is called more than ``total_steps`` times.

    Notes
    -----
    The formula is that of PyTorch's OneCycleLR with anneal_strategy="cos"; momentum is left alone.
    Source: Smith and Topin 2018, "Super-Convergence", arXiv 1708.07120.
    """

    def __init__(self, optimizer, max_lr, total_steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
        _at_least("OneCycleLR", "total_steps", total_steps, 1)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start - expected 0 to 1, got {pct_start!r}")
        for option, value in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if not value > 0:
                raise ValueError(f"OneCycleLR: {option} - expected a positive number, got {value!r}")
        groups = len(optimizer.param_groups)
        self.max_lrs = list(max_lr) if isinstance(max_lr, (list, tuple)) else [max_lr] * groups
        if len(self.max_lrs) != groups:
            raise ValueError(f"OneCycleLR: max_lr - expected one rate for each of {groups} groups, got {max_lr}")
        self.total_steps, self.pct_start = total_steps, pct_start
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        super().__init__(optimizer)

    def lr(self, step):
        """Return the learning rate of each group after ``step`` steps, as a list."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step - expected at most total_steps {self.total_steps}, got {step}")
        peak, last = self.pct_start * self.total_steps - 1, self.total_steps - 1  # numbers of steps
        rates = []
        for top in self.max_lrs:
            start = top / self.div_factor
            if step <= peak:
                rates.append(_cosine(start, top, step / peak if peak else 1))
            else:
                progress = (step - peak) / (last - peak) if last > peak else 1
                rates.append(_cosine(top, start / self.final_div_factor, min(progress, 1)))
        return rates


class WarmupLR(Schedule):
    """A straight line up to the first learning rate of another schedule, then that schedule.

    schedule.lr(0) * (step + 1) / warmup_steps while step < warmup_steps, then
    schedule.lr(step - warmup_steps).

    Parameters
    ----------
    schedule : Schedule
        Steps through this object alone.
    warmup_steps : int, >= 1
    """

    def __init__(self, schedule, warmup_steps):
        _at_least("WarmupLR", "warmup_steps", warmup_steps, 1)
        self.schedule, self.warmup_steps = schedule, warmup_steps
        super().__init__(schedule.optimizer)

    def lr(self, step):
        """Return the learning rate of each group after ``step`` steps, as a list."""
        if step >= self.warmup_steps:
            return self.schedule.lr(step - self.warmup_steps)
        return [rate * (step + 1) / self.warmup_steps for rate in self.schedule.lr(0)]


def _cosine(start, end, progress):
    """Return the value at ``progress``, 0 to 1, along half a cosine from start to end."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
