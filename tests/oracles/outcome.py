"""One case of an oracle, and how our result compares with the published one."""

import contextlib
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-9  # of float64 results, relative and absolute


class NoCounterpartError(Exception):
    """The case needs an argument or an output that we do not have."""


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    ``verdict`` is "same", or how we differ: "no counterpart", "we refuse", "we accept", "other shape", "other value",
    "other gradient".
    ``detail`` says more: our error, or where the values differ.
    """

    case: str
    verdict: str
    detail: str = ""
    refused: bool = False  # by us; the detail is then our error

    def __str__(self):
        return f"{self.case}: {self.verdict}: {self.detail}"


def outcome(case, ours, theirs, tolerance=TOLERANCE):
    """Run both sides of a case and compare.

    Parameters
    ----------
    case : str
        Oracle, name and arguments, for messages and for the table of differences.
    ours, theirs : callable
        Return (outputs, gradients), two lists of ndarrays, or raise.

    Returns
    -------
    Outcome
    """
    got = refusal = expected = None
    try:
        with np.errstate(all="ignore"):  # an infinite result is a result
            got = ours()
    except NoCounterpartError as error:
        return Outcome(case, "no counterpart", str(error))
    except Exception as error:
        refusal = f"{type(error).__name__}: {error}"
    with contextlib.suppress(Exception):  # every error of PyTorch means: it refuses
        expected = theirs()
    if refusal:
        return Outcome(case, "same" if expected is None else "we refuse", refusal, refused=True)
    if expected is None:
        return Outcome(case, "we accept")
    for verdict, mine, other in zip(("other value", "other gradient"), got, expected, strict=True):
        if [a.shape for a in mine] != [np.shape(b) for b in other]:
            shapes = [a.shape for a in mine], [np.shape(b) for b in other]
            return Outcome(case, "other shape", f"got {shapes[0]}, expected {shapes[1]}")
        for i, (a, b) in enumerate(zip(mine, other, strict=True)):
            wrong = ~np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
            if wrong.any():
                first = tuple(int(k) for k in np.argwhere(wrong)[0])
                return Outcome(case, verdict, f"array {i} at {first}: got {a[first]}, expected {np.asarray(b)[first]}")
    return Outcome(case, "same")


def mixed(shape):
    """Return a gradient for an output of this shape with no two elements alike."""
    return np.cos(np.arange(np.prod(shape, dtype=int), dtype=np.float64)).reshape(shape)
