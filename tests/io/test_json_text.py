"""JSON: what is not finite becomes null, and a loss that was null is NaN again."""

import json
import math

import pytest

from minitorch_cnn.io import json_text


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_every_program_can_read_what_is_written(bad):
    def refuse(constant):
        raise AssertionError(f"no JSON: {constant}")

    text = json_text.dumps({"test_loss": bad, "rows": [(bad, 1.5), {"a": bad}], "name": "NaN"}, indent=2)
    read = json.loads(text, parse_constant=refuse)
    assert read == {"test_loss": None, "rows": [[None, 1.5], {"a": None}], "name": "NaN"}


def test_a_loss_that_was_not_finite_is_read_as_nan():
    read = json.loads(json_text.dumps({"test_loss": math.inf, "other": None}), object_hook=json_text.read_losses)
    assert math.isnan(read["test_loss"]) and read["other"] is None
