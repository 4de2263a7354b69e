"""What a gradient check found, as a sentence, as text and as a table in a notebook."""

import html
from dataclasses import dataclass


class GradcheckError(AssertionError):
    """Backward does not give the gradient of forward; the message says where, by how much, and what it looks like.

    ``report`` holds the `GradcheckReport` if the check came as far as comparing numbers, else None.
    """

    def __init__(self, message: str, report: "GradcheckReport | None" = None):
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class CheckedTensor:
    """One input or parameter: what was compared of it, and what is wrong with it, nothing being an empty text."""

    name: str
    training: str  # "train", "eval", or nothing where there is no module
    shape: tuple[int, ...]
    n_checked: int
    n_total: int
    n_kinks: int
    largest_error: float
    failure: str


@dataclass(frozen=True)
class GradcheckReport:
    """What was checked.

    ``n_checked`` numbers were compared, of ``n_total`` elements that the Jacobians have; ``n_kinks`` steps were
    left out because an operation chose differently at their two ends; ``largest_error`` is the largest distance
    between an analytic and a numeric number. ``names`` are the inputs and parameters, ``tensors`` has a row for each.
    """

    mode: str
    tensors: tuple["CheckedTensor", ...]

    @property
    def passed(self) -> bool:
        return not any(t.failure for t in self.tensors)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(t.name for t in self.tensors))

    @property
    def n_checked(self) -> int:
        return sum(t.n_checked for t in self.tensors)

    @property
    def n_total(self) -> int:
        return sum(t.n_total for t in self.tensors)

    @property
    def n_kinks(self) -> int:
        return sum(t.n_kinks for t in self.tensors)

    @property
    def largest_error(self) -> float:
        return max((t.largest_error for t in self.tensors), default=0.0)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        kinks = f", {self.n_kinks} steps left out at kinks" if self.n_kinks else ""
        return (
            f"gradcheck {verdict}: {self.n_checked} of {self.n_total} checked ({self.mode}){kinks}, "
            f"largest error {self.largest_error:.2g}"
        )

    def _repr_html_(self):
        heads = ("", "mode", "shape", "checked", "of", "kinks", "largest error", "verdict")
        rows = [
            (
                t.name,
                t.training,
                t.shape,
                t.n_checked,
                t.n_total,
                t.n_kinks,
                f"{t.largest_error:.2g}",
                t.failure or "right",
            )
            for t in self.tensors
        ]
        lines = [
            "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row) + "</tr>"
            for tag, row in [("th", heads), *(("td", row) for row in rows)]
        ]
        return f"<table><caption>{html.escape(str(self))}</caption>{''.join(lines)}</table>"
