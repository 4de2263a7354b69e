"""Further schedules: exponential, lines, a user's own factor, warm restarts, and one that follows a measurement."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.optimizer import Optimizer
from minitorch_cnn.optim.schedules import Schedule, cosine


class ExponentialLR(Schedule):
    """lr * gamma ** step.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float, > 0
    """

    _chosen = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float):
        _check.number("ExponentialLR", gamma=gamma)
        _check.positive("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer)

    def _factor(self, step):
        return self.gamma**step


class LambdaLR(Schedule):
    """lr times a function of the step.

    Parameters
    ----------
    optimizer : Optimizer
    factor : callable
        Takes the number of steps done and returns a number >= 0. A file does not hold it: to resume, give it again.

    Raises
    ------
    TypeError, ValueError
        If ``factor`` is not callable, or does not return such a number.
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]):
        if not callable(factor):
            raise TypeError(f"LambdaLR: factor - expected a function of the step, got {type(factor).__name__}")
        self.factor = factor
        super().__init__(optimizer)

    def _factor(self, step):
        factor = self.factor(step)
        _check.number("LambdaLR", least=0, **{f"factor({step})": factor})
        return float(factor)


class PiecewiseLinearLR(Schedule):
    """lr times a factor that moves along straight lines from point to point.

    With points (s[0], f[0]), (s[1], f[1]), ..., between two of them

        factor = f[k] + (f[k+1] - f[k]) * (step - s[k]) / (s[k+1] - s[k])

    and before the first and after the last point the factor stays what it is there.

    Parameters
    ----------
    optimizer : Optimizer
    points : list of (int, float), or list with such a list for each group of the optimizer
        Steps, ascending, and factors >= 0. ``[(0, 0.2), (100, 1), (400, 0)]`` rises to the full rate in 100 steps and
        falls to 0 in 300 more.

    Raises
    ------
    TypeError, ValueError
        If a point is not a pair of numbers, the steps do not ascend, or there is not one list per group.

    Notes
    -----
    A rise that is short and a long straight fall suits trainings of few epochs: the last steps, with small rates, do
    most for the accuracy, and a line spends more of them at moderate rates than half a cosine does.
    """

    _chosen = ("points",)

    def __init__(self, optimizer: Optimizer, points: Sequence[Any]):
        _check_points(points)
        groups = len(getattr(optimizer, "param_groups", ()))
        each = list(points) if isinstance(points[0][0], (list, tuple)) else [points] * groups
        if len(each) != groups:
            expected = f"a list for each of {groups} groups"
            raise ValueError(f"PiecewiseLinearLR: points - expected {expected}, got {len(each)}")
        self.points = [[(int(step), float(factor)) for step, factor in line] for line in each]
        super().__init__(optimizer)

    def _rates(self, step):
        return [
            base * float(np.interp(step, *zip(*line, strict=True)))
            for base, line in zip(self.base_lrs, self.points, strict=True)
        ]


def _check_points(points):
    """Raise unless these are points of `PiecewiseLinearLR`, or lists of them."""
    owner, sequence = "PiecewiseLinearLR", (list, tuple)
    nested = isinstance(points, sequence) and len(points) and isinstance(points[0], sequence) and len(points[0])
    lines = points if nested and isinstance(points[0][0], sequence) else [points]
    for line in lines:
        fits = isinstance(line, sequence) and len(line) and all(isinstance(p, sequence) and len(p) == 2 for p in line)
        if not fits:
            raise TypeError(f"{owner}: points - expected pairs of a step and a factor, got {line!r:.80}")
        for step, factor in line:
            _check.integer(owner, least=0, **{"points: step": step})
            _check.number(owner, least=0, **{"points: factor": factor})
        steps = [step for step, _ in line]
        if any(later <= earlier for earlier, later in zip(steps, steps[1:], strict=False)):
            raise ValueError(f"{owner}: points - expected ascending steps, got {steps}")


class CosineRestartsLR(Schedule):
    """Half a cosine from lr down to ``min_lr``, again and again; each period is ``factor`` times as long.

    Parameters
    ----------
    optimizer : Optimizer
    period : int, steps, >= 1
        The length of the first period.
    factor : int, >= 1
    min_lr : float, >= 0

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The formula is that of PyTorch's CosineAnnealingWarmRestarts.
    """

    _chosen = ("period", "factor", "min_lr")

    def __init__(self, optimizer: Optimizer, period: int, factor: int = 1, min_lr: float = 0.0):
        _check.integer("CosineRestartsLR", least=1, period=period, factor=factor)
        _check.number("CosineRestartsLR", least=0, min_lr=min_lr)
        self.period, self.factor, self.min_lr = period, factor, min_lr
        super().__init__(optimizer)

    def _rates(self, step):
        start, length = 0, self.period
        if self.factor == 1:
            start = step // length * length
        while step >= start + length:
            start, length = start + length, length * self.factor
        return [cosine(base, self.min_lr, (step - start) / length) for base in self.base_lrs]


class ReduceLROnPlateau(Schedule):
    """lr times ``factor`` whenever a measurement has not improved for more than ``patience`` steps.

    Parameters
    ----------
    optimizer : Optimizer
    mode : "min" or "max"
        Whether a smaller measurement is better, as of a loss, or a larger one, as of an accuracy.
    factor : float, 0 to below 1
    patience : int, >= 0
        Steps without improvement that are borne.
    threshold : float, >= 0
        What counts as better: by this share of the size of the best measurement.
    cooldown : int, >= 0
        Steps after a reduction in which no step counts as one without improvement.
    min_lr : float, >= 0

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The rule is that of PyTorch's class of this name, with a relative threshold, but for measurements below 0, where
    PyTorch takes a slightly worse one for better. NaN is never better.
    """

    needs_measurement = True
    _chosen = ("mode", "factor", "patience", "threshold", "cooldown", "min_lr")

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0
    ):
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode - expected 'min' or 'max', got {mode!r}")
        _check.number("ReduceLROnPlateau", least=0, most=1, factor=factor)
        if factor == 1:
            raise ValueError("ReduceLROnPlateau: factor - expected 0 to below 1, got 1")
        _check.integer("ReduceLROnPlateau", least=0, patience=patience, cooldown=cooldown)
        _check.number("ReduceLROnPlateau", least=0, threshold=threshold, min_lr=min_lr)
        self.mode, self.factor, self.patience, self.threshold = mode, factor, patience, threshold
        self.cooldown, self.min_lr = cooldown, min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.waited = self.cooling = self.reductions = 0
        super().__init__(optimizer)

    def _rates(self, step):  # those of now
        rates = list(self.base_lrs)
        for _ in range(self.reductions):
            rates = [max(rate * self.factor, self.min_lr) for rate in rates]
        return rates

    def step(self, measurement: float) -> None:
        """Count one step with its measurement, such as the loss on the hold-out.

        Parameters
        ----------
        measurement : float

        Raises
        ------
        TypeError
            If it is not a number.
        ValueError
            If another schedule has taken over this one, or the optimiser's groups have changed.
        """
        try:
            number = None if isinstance(measurement, (str, bool)) or np.ndim(measurement) else float(measurement)
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise TypeError(f"ReduceLROnPlateau: measurement - expected a number, got {measurement!r:.60}")
        measurement = number
        before = self.best, self.waited, self.cooling, self.reductions
        self._judge(measurement)
        try:
            super().step()
        except ValueError:
            self.best, self.waited, self.cooling, self.reductions = before
            raise

    def _judge(self, measurement):
        away = math.copysign(self.threshold, self.best)  # from 0: below it, a lower measurement has the larger size
        change = 1 - away if self.mode == "min" else 1 + away
        bar = self.best * change if math.isfinite(self.best) else self.best
        better = measurement < bar if self.mode == "min" else measurement > bar
        self.best, self.waited = (measurement, 0) if better else (self.best, self.waited + 1)
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited > self.patience:
            self.reductions, self.cooling, self.waited = self.reductions + 1, self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what `Schedule.state_dict` returns, and what this schedule remembers of the measurements."""
        names = ("best", "waited", "cooling", "reductions")
        return {**super().state_dict(), **{name: getattr(self, name) for name in names}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`; see `Schedule.load_state_dict`."""
        names = ("best", "waited", "cooling", "reductions")
        _check.mapping(self._name, "saved", saved, "step", *names)
        _check.integer(f"{self._name}: saved", least=0, **{name: saved[name] for name in names[1:]})
        if isinstance(saved["best"], bool) or not isinstance(saved["best"], numbers.Real):
            raise TypeError(f"{self._name}: saved - expected a number as best, got {saved['best']!r:.60}")
        before = {name: getattr(self, name) for name in names}
        vars(self).update({name: saved[name] for name in names})
        try:
            super().load_state_dict(saved)
        except (TypeError, ValueError):
            vars(self).update(before)
            raise
