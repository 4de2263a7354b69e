"""What a misspelt name was meant to be."""

import pytest

from minitorch_cnn.hints import hint


@pytest.mark.parametrize(
    ("name", "known", "cutoff", "expected"),
    [
        ("convv", ("conv", "pool"), 0.5, "; did you mean 'conv'?"),
        ("zzz", ("conv", "pool"), 0.5, ""),
        ("5", ("parts.5", "head"), 0.0, "; did you mean 'parts.5'?"),
        (3, ("3",), 0.5, ""),
        ("30", (3, 300), 0.5, ""),
        ("conv", (), 0.0, ""),
    ],
)
def test_the_nearest_name_is_told(name, known, cutoff, expected):
    assert hint(name, known, cutoff) == expected
