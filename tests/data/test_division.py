"""hold_out: which samples, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch_cnn import data


def make(count=6):
    images = np.arange(count, dtype=np.uint8).repeat(3).reshape(count, 1, 1, 3)
    return data.ArrayDataset(images, np.zeros(count, int), ["a"], [0.5] * 3, [0.25] * 3)


@given(count=st.integers(1, 19), seed=st.integers(0, 5))
def test_held_out_samples_and_the_others_are_all_of_them(count, seed):
    kept, held = data.hold_out(make(20), count, seed)
    assert (len(kept), len(held)) == (20 - count, count)
    numbers = [part.images[:, 0, 0, 0].tolist() for part in (kept, held)]
    assert sorted(sum(numbers, [])) == list(range(20)) and all(n == sorted(n) for n in numbers)


@pytest.mark.parametrize("count", [0, 6, -1, 7])
def test_a_hold_out_that_leaves_nothing(count):
    with pytest.raises(ValueError, match=f"hold_out: count - expected 1 to 5, got {count}"):
        data.hold_out(make(), count)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1.5,), TypeError, "count - expected an integer, got 1.5"),
        ((True,), TypeError, "count - expected an integer, got True"),
        ((2, -1), ValueError, "seed - expected at least 0, got -1"),
        ((2, 0.5), TypeError, "seed - expected an integer, got 0.5"),
    ],
)
def test_arguments_of_a_hold_out(arguments, error, message):
    with pytest.raises(error, match=f"hold_out: {message}"):
        data.hold_out(make(), *arguments)


def test_a_list_of_samples_is_divided():
    kept, held = data.hold_out([(np.full((2, 2), i, np.uint8), i % 2) for i in range(9)], 3)
    assert (len(kept), len(held)) == (6, 3) and kept.classes == ("0", "1")
