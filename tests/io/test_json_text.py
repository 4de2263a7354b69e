"""JSON: what is not finite becomes null and is named next to it, so that reading gives the number back."""

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
    name = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(bad, "NaN")
    assert read == {
        "test_loss": None,
        "rows": [[None, 1.5], {"a": None, "not_finite": {"a": name}}],
        "name": "NaN",
        "not_finite": {"test_loss": name, "rows[0][0]": name},
    }
    assert json.loads(json_text.dumps([bad, {"a": bad}], told=False)) == [None, {"a": None}]
    assert json.loads(json_text.dumps({"a": 1.0, "b": None})) == {"a": 1.0, "b": None}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_was_not_finite_is_read_as_it_was(bad):
    written = {"test_loss": bad, "lr": bad, "other": None, "history": [{"train_loss": bad}]}
    read = json.loads(json_text.dumps(written), object_hook=json_text.read_losses)
    assert str(read) == str(written)  # NaN equals nothing


def test_a_loss_of_older_files_is_read_as_nan():
    read = json.loads('{"test_loss": null, "other": null}', object_hook=json_text.read_losses)
    assert math.isnan(read["test_loss"]) and read["other"] is None
    for told in ("3", '{"gone": "NaN"}', '{"a": [1]}', '{"a": "x"}', '{"b": "NaN"}'):
        odd = f'{{"a": null, "b": 1, "not_finite": {told}}}'
        assert json.loads(odd, object_hook=json_text.read_losses) == {"a": None, "b": 1}
