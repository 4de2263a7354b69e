"""JSON that every program can read: the standard has no NaN and no infinity, which Python would write all the same."""

import json
import math
from typing import Any


def dumps(value: Any, **options: Any) -> str:
    """Return ``value`` as JSON, with null for NaN and infinities; ``options`` are those of `json.dumps`."""
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_losses(record: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with NaN for each loss that `dumps` wrote as null; the ``object_hook`` of `json.loads`."""
    return {key: math.nan if value is None and key.endswith("_loss") else value for key, value in record.items()}
