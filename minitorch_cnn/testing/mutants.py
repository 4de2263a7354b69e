"""A test of the tester: classic mistakes of backward, planted for a moment, and which check sees them.

for result in mutants.trial("conv"):
    print(result.mutant.name, result.says["full"])
"""

from typing import Any, NamedTuple

from minitorch_cnn.tensor import Tensor
from minitorch_cnn.testing.gradcheck import gradcheck
from minitorch_cnn.testing.mutant import Mutant
from minitorch_cnn.testing.mutants_of_functions import FUNCTIONS
from minitorch_cnn.testing.mutants_of_layers import LAYERS
from minitorch_cnn.testing.mutants_of_resize import RESIZE
from minitorch_cnn.testing.report import GradcheckError

_MUTANTS = (*LAYERS, *FUNCTIONS, *RESIZE)
CHECKS = {
    "full": {"mode": "full"},
    "random": {"mode": "random"},
    "projection": {"mode": "projection"},
    # The check of many courses: one element, right to a tenth.
    "one element": {"mode": "random", "samples": 1, "atol": 1e-2, "rtol": 0.1},
}


class Result(NamedTuple):
    """What each check said of a mutant, by its name in `CHECKS`; nothing where it passed."""

    mutant: Mutant
    says: dict[str, Any]


def families():
    """Return the families of operations that there are mutants of."""
    return tuple(dict.fromkeys(mutant.family for mutant in _MUTANTS))


def select(family=None):
    """Return the mutants of one family, or all.

    Raises
    ------
    ValueError
        If there is no such family.
    """
    if family is not None and family not in families():
        raise ValueError(f"mutants: family - expected one of {', '.join(families())}, got {family!r}")
    return [mutant for mutant in _MUTANTS if family in (None, mutant.family)]


def check(case, **keywords):
    """Run `gradcheck` on a case.

    Returns
    -------
    GradcheckReport
    """
    function, *arrays = case
    return gradcheck(function, *map(Tensor, arrays), **keywords)


def trial(family=None, checks=tuple(CHECKS)):
    """Plant every mutant of a family and yield the `Result` of each."""
    for mutant in select(family):
        says = {}
        with mutant.planted():
            for name in checks:
                says[name] = ""
                try:
                    check(mutant.case, **CHECKS[name])
                except GradcheckError as error:
                    says[name] = str(error)
        yield Result(mutant, says)
