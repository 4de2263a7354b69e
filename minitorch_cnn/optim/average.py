"""Averages of the weights along a training, which are better than the weights of its last step.

The weights of late steps jump around a point that none of them hits, by an amount that grows with the learning rate.
Their average comes nearer to it. An average covers all floating state of a model: with the weights it averages the
running statistics of batch norm, so that both fit together.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.identity import identity, refuse_other

if TYPE_CHECKING:
    from minitorch_cnn.nn import Module

_lent: dict[int, str] = {}  # from the id of a parameter that has the weights of an average now, to that average's name


def refuse_lent(caller: str, parameters: Iterable[Any]) -> None:
    """Raise ValueError if parameters have the weights of an average for a while: a change would be lost at its end.

    Parameters
    ----------
    caller : str
        What the message names.
    parameters : iterable of Tensor
    """
    if _lent and (names := [_lent[id(parameter)] for parameter in parameters if id(parameter) in _lent]):
        expected = f"the weights of the training, got those inside `with {names[0]}.applied()`"
        raise ValueError(f"{caller}: parameters - expected {expected}, which go at its end; end it first")


class WeightAverage:
    """Base of the averages: holds a copy of all floating parameters and buffers of a model.

    Parameters
    ----------
    model : Module
        The average starts as its present state.

    Attributes
    ----------
    steps : int
        The number of calls of `step`.
    arrays : dict of str to ndarray of float64
        The average by dotted path. In float32 it would stop where a step moves it by less than half of its last digit,
        far from the weights where ``decay`` is near 1.

    Notes
    -----
    Memory: a copy of the model in float64.
    """

    _chosen = ()  # names of the attributes that say how it follows the weights

    def __init__(self, model: "Module"):
        if isinstance(model, type) or not callable(getattr(model, "state_dict", None)):
            raise TypeError(f"{type(self).__name__}: model - expected a Module, got {type(model).__name__}")
        self.model, self.steps = model, 0
        with np.errstate(invalid="ignore"):  # before a resume, weights are arbitrary memory
            self.arrays: dict[str, Any] = {path: array.astype(np.float64) for path, array in self._floats().items()}

    def _floats(self):
        """Return copies of the floating parameters and buffers of the model by dotted path."""
        return {path: array for path, array in self.model.state_dict().items() if array.dtype.kind == "f"}

    def step(self) -> None:
        """Count a step of the optimiser; call it after each."""
        raise NotImplementedError(f"{type(self).__name__}: step - expected a method, got none; write one")

    def finish(self) -> None:
        """Put the average into the model, at the end of a training."""
        refuse_lent(f"{type(self).__name__}.finish", self.model.parameters())
        self._put(self.arrays)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Return a context in which the model has the weights by which it should be judged."""
        yield

    def state_dict(self) -> dict[str, Any]:
        """Return "steps", "arrays", {path: copy}, "kind", the class, and "chosen", what it was made with, as a dict."""
        arrays = {path: array.copy() for path, array in self.arrays.items()}
        return {"steps": self.steps, "arrays": arrays, **self._identity()}

    def _identity(self):
        return identity(type(self).__name__, self, self._chosen)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`; the next steps are bitwise the same.

        Parameters
        ----------
        saved : dict

        Raises
        ------
        TypeError
            If ``saved`` or its arrays are not dicts, or the number of steps is not an integer.
        ValueError
            If an entry is missing, the arrays are not those of this model, or it is the state of another kind of
            average, or of one that was made with other numbers.
        """
        name = type(self).__name__
        _check.mapping(name, "saved", saved, "steps", "arrays")
        refuse_other(name, saved, self._identity())
        _check.integer(f"{name}: saved", least=0, steps=saved["steps"])
        _check.instance(f"{name}: saved", dict, arrays=saved["arrays"])
        form = {path: (array.shape, "f") for path, array in self.arrays.items()}  # older files have float32
        kinds = {path: getattr(array, "dtype", np.dtype(object)).kind for path, array in saved["arrays"].items()}
        got = {path: (np.shape(array), kinds[path]) for path, array in saved["arrays"].items()}
        for path in form.keys() | got.keys():
            if (expected := form.get(path)) != (found := got.get(path)):
                raise ValueError(f"{name}: saved - expected {path} as {expected}, shape and kind of dtype, got {found}")
        self.steps = saved["steps"]
        self.arrays = {path: saved["arrays"][path].astype(np.float64) for path in self.arrays}

    def _follow(self, keep):
        """Move the average: keep * average + (1 - keep) * model; raise ValueError if that has other weights by now."""
        refuse_lent(f"{type(self).__name__}.step", self.model.parameters())
        now = self._floats()
        for path in self.arrays.keys() | now.keys():
            expected, got = (of[path].shape if path in of else None for of in (self.arrays, now))
            if expected != got:
                expected = f"{path} of shape {expected}, as when the average was made"
                raise ValueError(f"{type(self).__name__}: model - expected {expected}, got {got}; make a new average")
        for path, array in self.arrays.items():
            array[...] = now[path] + keep * (array - now[path])

    def _put(self, arrays):
        self.model.load_state_dict(arrays, strict=False)


class EMA(WeightAverage):
    """Exponential moving average of the weights, beside the training: it does not change the steps.

    average = decay * average + (1 - decay) * weights        after each step

    Parameters
    ----------
    model : Module
    decay : float, 0 to 1
        The average looks back over about 1 / (1 - decay) steps.

    Raises
    ------
    TypeError, ValueError
        If the model is not a Module, or the decay is out of its range.

    Notes
    -----
    Judge the model inside ``with average.applied():``, and call ``average.finish()`` at the end.
    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", for the plain mean.
    """

    _chosen = ("decay",)

    def __init__(self, model: "Module", decay: float = 0.99):
        _check.number("EMA", least=0, most=1, decay=decay)
        super().__init__(model)
        self.decay = float(decay)

    def step(self) -> None:
        """Count a step of the optimiser, and move the average towards the weights."""
        self._follow(self.decay)
        self.steps += 1

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Return a context in which the model has the averaged weights.

        Raises
        ------
        ValueError
            Inside it, from a step of an optimiser or an average; at its end, if weights or running statistics were
            changed. The model has its own weights again then.
        """
        own = {path: array for path, array in self.model.state_dict().items() if path in self.arrays}
        lent = [id(parameter) for parameter in self.model.parameters() if id(parameter) not in _lent]
        try:
            self._put(self.arrays)
            _lent.update(dict.fromkeys(lent, type(self).__name__))
            put = self._floats()
            yield
            self._refuse_changed(put)
        finally:
            for parameter in lent:
                _lent.pop(parameter, None)
            self._put(own)

    def _refuse_changed(self, put):
        """Raise ValueError if the model has other weights than those that were put into it."""
        now = self._floats()
        for path in put.keys() & now.keys():
            if not np.array_equal(put[path], now[path], equal_nan=True):
                expected = f"a block that leaves the weights as they are, got another {path}"
                raise ValueError(f"{type(self).__name__}.applied: model - expected {expected}, which is lost now")


class Lookahead(WeightAverage):
    """Slow weights that follow the fast ones of the optimiser, which start again from them every few steps.

    After each ``every`` steps, at step t of T:

        keep = decay**every * (t / T)**power
        slow = keep * slow + (1 - keep) * fast,   fast = slow

    and after the last step fast = slow.

    Parameters
    ----------
    model : Module
        Holds the fast weights.
    total_steps : int, >= 1
        T.
    every : int, steps, >= 1
    decay : float, 0 to 1
        Per step, at the end of the training.
    power : float, >= 0
        At first the slow weights follow closely; the larger the power, the longer.

    Raises
    ------
    TypeError, ValueError
        If the model is not a Module, or a number is out of its range.

    Notes
    -----
    The velocity of the optimiser does not change.
    Sources: Zhang, Lucas, Hinton and Ba 2019, "Lookahead Optimizer: k steps forward, 1 step back", for the idea;
    ``airbench94.py`` of https://github.com/KellerJordan/cifar10-airbench for ``keep``.
    """

    _chosen = ("total_steps", "every", "decay", "power")

    def __init__(
        self, model: "Module", total_steps: int, every: int = 5, decay: float = 0.95, power: float = 3.0
    ):
        _check.integer("Lookahead", least=1, total_steps=total_steps, every=every)
        _check.number("Lookahead", least=0, most=1, decay=decay)
        _check.number("Lookahead", least=0, power=power)
        super().__init__(model)
        self.total_steps, self.every, self.decay, self.power = total_steps, every, float(decay), float(power)

    def keep(self, step: int) -> float:
        """Return the weight of the old slow weights at a step, 0 to 1; TypeError if the step is not an integer."""
        _check.integer("Lookahead", least=0, step=step)
        return self.decay**self.every * min(step / self.total_steps, 1) ** self.power

    def step(self) -> None:
        """Count a step of the optimiser; every few of them, the slow weights follow and the fast ones go back."""
        step = self.steps + 1
        if step % self.every == 0:
            self._follow(self.keep(step))
            self.finish()
        self.steps = step
