"""JSON that every program can read: the standard has no NaN and no infinity, which Python would write all the same."""

import json
import math
from typing import Any

NOT_FINITE = "not_finite"  # the entry of an object that tells which of its numbers became null, and what they were
_NAMES = "NaN", "Infinity", "-Infinity"


def dumps(value: Any, *, told: bool = True, **options: Any) -> str:
    """Return ``value`` as JSON, with null for NaN and infinities.

    Parameters
    ----------
    value : what JSON can hold
    told : bool
        Whether an object with such a number says so in an entry of its own:
        ``{"loss": null, "not_finite": {"loss": "NaN"}}``; one in a list inside is named as in ``"losses[3]"``.
    options
        As for `json.dumps`.
    """
    return json.dumps(_finite(value, told), allow_nan=False, **options)


def _finite(value, told, where="", absent=None):
    """Return ``value`` with None for what is not finite, and note it in ``absent``, of the object around it."""
    if isinstance(value, dict):
        own = {}
        made = {key: _finite(item, told, str(key), own) for key, item in value.items()}
        return {**made, NOT_FINITE: own} if own and told else made
    if isinstance(value, (list, tuple)):
        return [_finite(item, told, f"{where}[{i}]", absent) for i, item in enumerate(value)]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if absent is not None:
        absent[where] = _NAMES[0] if math.isnan(value) else _NAMES[1 if value > 0 else 2]
    return None


def read_losses(record: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with its numbers that `dumps` wrote as null; the ``object_hook`` of `json.loads`.

    Older files do not tell what was null: a loss is NaN then.
    """
    told = record.pop(NOT_FINITE, {})
    absent = [key for key, value in record.items() if value is None]
    losses = {key: math.nan for key in absent if key.endswith("_loss")}
    known = {key: float(told[key]) for key in absent if isinstance(told, dict) and told.get(key) in _NAMES}
    return {**record, **losses, **known}
