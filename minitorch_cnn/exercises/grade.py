"""Grade an exercise: against the textbook, for the usual mistakes, and by a gradient check."""

import importlib.util
import pathlib
import traceback
from dataclasses import dataclass

import numpy as np

from minitorch_cnn.autograd import Function
from minitorch_cnn.display import html
from minitorch_cnn.exercises.tasks import TASKS
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.testing import GradcheckError, gradcheck

_RTOL, _ATOL = 1e-6, 1e-9  # the exercise computes in float64


class ExerciseError(ValueError):
    """A file that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Report:
    """What was right, and what was not; ``passed`` is True if nothing is wrong."""

    exercise: str
    passed: bool
    lines: tuple

    def __str__(self) -> str:
        """A line a check, and below it what is wrong."""
        return "\n".join(self.lines)

    def _repr_html_(self):
        return html.text(self)


class _Wrong(Exception):
    """A case with a wrong result; its text says what is wrong."""


def check(path):
    """Grade a file that `start` made and somebody completed.

    Parameters
    ----------
    path : str or Path
        It is run, and nothing else is.

    Returns
    -------
    Report
        Forward and backward are compared with the textbook's loops in several cases; where forward is right,
        backward is compared with differences of it. A mistake of the usual ones is named.

    Raises
    ------
    ExerciseError
        If there is no such file, it cannot be run, or it lacks the name of an exercise or a function.
    """
    module = _load(pathlib.Path(path))
    task = TASKS[module.EXERCISE]
    cases = list(task.cases())
    forward, forward_wrong = _compare(cases, lambda case: _check_forward(module, task, case))
    backward, backward_wrong = _compare(cases, lambda case: _check_backward(module, task, case))
    lines = [
        f"{module.EXERCISE}: {path}",
        f"  forward         {forward} of {len(cases)} cases right",
        *forward_wrong,
        f"  backward        {backward} of {len(cases)} cases right",
        *backward_wrong,
    ]
    checked, sentence = _gradient_check(module, task, cases[0], forward == len(cases))
    passed = forward == backward == len(cases) and checked
    verdict = "all right: forward, backward and the gradient check" if passed else "not right yet"
    return Report(module.EXERCISE, passed, (*lines, f"  gradient check  {sentence}", f"  {verdict}"))


def _load(path):
    if not (path.suffix == ".py" and path.is_file()):
        raise ExerciseError(f"check: path - expected a Python file, got {path}, which is not one")
    spec = importlib.util.spec_from_file_location("exercise", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # any mistake in the user's file
        raise ExerciseError(f"check: path - expected a file that runs, got {_told(error, path)}") from error
    name = getattr(module, "EXERCISE", None)
    if name not in TASKS:
        raise ExerciseError(f"check: EXERCISE - expected one of {', '.join(TASKS)} in {path}, got {name!r}")
    for function in ("forward", "backward"):
        if not callable(getattr(module, function, None)):
            raise ExerciseError(f"check: {function} - expected a function in {path}, got none")
    return module


def _told(error, path):
    """Return an error and the line of the user's file that it came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f", line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{where}: {error}"


def _compare(cases, judge):
    """Return how many cases are right, and the lines about the first that is not."""
    right, wrong = 0, []
    for case in cases:
        try:
            judge(case)
            right += 1
        except _Wrong as error:
            wrong = wrong or [f"    in the case {case}:", *(f"    {line}" for line in str(error).splitlines())]
    return right, wrong


def _run(module, function, case, *first):
    """Call the user's function on copies, and make sure that it leaves them alone."""
    arrays = [array.copy() for array in case.arrays.values()]
    try:
        with np.errstate(all="ignore"):
            result = getattr(module, function)(*(f.copy() for f in first), *arrays, **case.hyper)
    except NotImplementedError as error:
        raise _Wrong(f"nothing is written yet ({error})") from error
    except (Exception, SystemExit) as error:  # any error of the user's function is an answer
        raise _Wrong(_told(error, pathlib.Path(module.__file__))) from error
    for (name, before), after in zip(case.arrays.items(), arrays, strict=True):
        if not np.array_equal(before, after):
            raise _Wrong(f"{function} changes {name} in place; make a new array")
    return result


def _check_forward(module, task, case):
    got = _run(module, "forward", case)
    _judge("out", got, np.asarray(task.forward(case)), task.wrong_forward(case))


def _check_backward(module, task, case):
    got = _run(module, "backward", case, case.grad_out)
    got = got if isinstance(got, tuple) else (got,)
    if len(got) != len(task.gradients):
        raise _Wrong(f"expected {len(task.gradients)} gradients, {', '.join(task.gradients)}, got {len(got)}")
    for name, gradient, right in zip(task.gradients, got, task.backward(case), strict=True):
        _judge(name, gradient, right, task.wrong_gradients.get(name, lambda case: ())(case))


def _judge(name, got, right, mistakes):
    """Raise _Wrong unless ``got`` is right; say which mistake gives the same."""
    if got is None:
        raise _Wrong(f"{name}: expected an array of shape {right.shape}, got None")
    try:
        got = np.asarray(got, np.float64)
    except (TypeError, ValueError) as error:
        raise _Wrong(f"{name}: expected an array of numbers, got {type(got).__name__}") from error
    if _same(got, right):
        return
    likely = next((sentence for sentence, wrong in mistakes if _same(got, wrong)), None)
    guess = f"\n{name} looks like this: {likely}" if likely else ""
    if got.shape != right.shape:
        raise _Wrong(f"{name}: expected shape {right.shape}, got {got.shape}{guess}")
    error = np.where(np.isnan(got), np.inf, np.abs(got - right))
    worst = np.unravel_index(np.argmax(error), error.shape)
    wrong = np.count_nonzero(~np.isclose(got, right, _RTOL, _ATOL))
    where = f"{name}{[int(i) for i in worst]}" if right.ndim else name
    raise _Wrong(f"{where}: expected {right[worst]:.6g}, got {got[worst]:.6g}; {wrong} of {got.size} differ{guess}")


def _same(got, expected):
    expected = np.asarray(expected)
    return got.shape == expected.shape and np.allclose(got, expected, _RTOL, _ATOL, equal_nan=True)


def _gradient_check(module, task, case, forward_is_right):
    """Return whether backward is the gradient of forward, and a sentence about it."""
    if not forward_is_right:
        return False, "waits until forward is right"

    class Own(Function):
        any_dtype = True

        @staticmethod
        def forward(ctx, *arrays):
            ctx.arrays = arrays
            return np.asarray(module.forward(*arrays, **case.hyper), np.float64)

        @staticmethod
        def backward(ctx, grad_out):
            grads = module.backward(grad_out, *ctx.arrays, **case.hyper)
            grads = grads if isinstance(grads, tuple) else (grads,)
            absent = (None,) * (len(ctx.arrays) - len(grads))  # labels have no gradient
            return (*(np.asarray(grad, np.float64) for grad in grads), *absent)

    try:
        report = gradcheck(Own.apply, *(Tensor(array.copy()) for array in case.arrays.values()))
    except GradcheckError as error:
        return False, str(error)
    except Exception as error:  # any error of the user's backward
        return False, _told(error, pathlib.Path(module.__file__))
    return True, f"{report.n_checked} derivatives right"
