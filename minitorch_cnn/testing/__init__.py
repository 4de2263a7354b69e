"""For users' tests: the gradient checker, its proof by mutants, and inputs for it."""

import importlib
from typing import TYPE_CHECKING

from minitorch_cnn.testing.against import ComparisonError, compare
from minitorch_cnn.testing.gradcheck import InputCountError, gradcheck
from minitorch_cnn.testing.own import from_file
from minitorch_cnn.testing.report import CheckedTensor, GradcheckError, GradcheckReport

__all__ = [
    "CheckedTensor",
    "ComparisonError",
    "GradcheckError",
    "GradcheckReport",
    "InputCountError",
    "compare",
    "from_file",
    "gradcheck",
    "mutants",
    "strategies",
]

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from minitorch_cnn.testing import mutants, strategies
else:  # a type checker would believe that it finds every misspelt name

    def __getattr__(name):
        if name in ("mutants", "strategies"):  # strategies needs hypothesis, which only tests have
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
