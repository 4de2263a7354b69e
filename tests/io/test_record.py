import pytest

from minitorch_cnn.io import record

FORM = {"name": record.text, "inner": {"shares": [record.share]}, "size": record.count, "loss": record.loss}
GOOD = {"name": "a", "inner": {"shares": [0, 0.5, 1]}, "size": 3, "loss": float("nan"), "more": None}


def test_a_record_of_the_form_passes_with_further_entries():
    record.check(GOOD, FORM)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, r"record/name - expected a string, got 3"),
        ({"inner": []}, r"record/inner - expected a dict, got \[\]"),
        ({"inner": {}}, r"record/inner - expected an entry 'shares', got \[\]"),
        ({"inner": {"shares": 0.5}}, r"record/inner/shares - expected a list, got 0.5"),
        ({"inner": {"shares": [0.5, 1.5]}}, r"record/inner/shares/1 - expected a number from 0 to 1, got 1.5"),
        ({"size": True}, r"record/size - expected an integer of 0 or more, got True"),
        ({"size": -1}, r"record/size - expected an integer of 0 or more, got -1"),
        ({"loss": "x"}, r"record/loss - expected a number, which may be infinite or NaN, got 'x'"),
    ],
)
def test_what_differs_is_named(changes, message):
    with pytest.raises(record.RecordError, match=message):
        record.check(GOOD | changes, FORM)


def test_numbers_that_are_not_finite_and_truth_values():
    assert not record.real(float("inf")) and not record.real(True) and record.real(2)
    assert record.truth(False) and not record.truth(0)
    for form in (record.real, record.share, record.loss, record.count):
        assert not form(10**400)  # no float holds it
