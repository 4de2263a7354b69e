"""Random numbers by counter: the published ones, evenly spread, and one stream per sample and epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch_cnn.data.philox import Draws, philox4x32

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers that the authors publish with their library
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, expected):
    words = philox4x32([np.array([word], np.uint64) for word in counter], key)
    assert tuple(int(word[0]) for word in words) == expected


@given(seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 1000), indices=st.lists(st.integers(0, 2**40), max_size=9))
def test_a_sample_draws_the_same_in_any_company(seed, epoch, indices):
    together = Draws(seed, epoch, indices)
    rows = np.stack([together.uniform() for _ in range(3)], 1)
    assert len(together) == len(indices) and ((rows >= 0) & (rows < 1)).all()
    for index, row in zip(indices, rows, strict=True):
        alone = Draws(seed, epoch, [index])
        np.testing.assert_array_equal([alone.uniform()[0] for _ in range(3)], row)


def test_single_samples_draw_what_they_draw_together():
    together, whole = Draws(7, 2, [5, 6, 7]), Draws(7, 2, [5, 6, 7])
    for draws in (together, whole):
        draws.uniform()
    rows, singles = np.stack([together.uniform() for _ in range(2)], 1), whole.singles()
    for single, row, index in zip(singles, rows, (5, 6, 7), strict=True):
        assert len(single) == 1 and single.indices.tolist() == [index]
        first = single.uniform()
        assert first == row[0] and single.uniform() == row[1]
        first[:] = 9  # a transform may write into what it drew: the others do not see it
    assert [single.uniform()[0] for single in singles] == together.uniform().tolist()


def test_no_two_samples_epochs_or_seeds_share_a_stream():
    first = {}
    for seed in (0, 1, 2**32):
        for epoch in range(5):
            draws = Draws(seed, epoch, np.arange(2000))
            for index, pair in enumerate(zip(draws.uniform(), draws.uniform(), strict=True)):
                first.setdefault(pair, []).append((seed, epoch, index))
    assert len(first) == 3 * 5 * 2000


def test_numbers_are_evenly_spread():
    draws = Draws(0, 0, np.arange(100_000))
    counts = np.bincount((draws.uniform() * 10).astype(int), minlength=10)
    assert (abs(counts - 10_000) < 5 * np.sqrt(9000)).all()
    integers = draws.integers(-2, 3)
    assert integers.dtype == np.int64 and set(integers) == {-2, -1, 0, 1, 2}
    assert (abs(np.bincount(integers + 2) - 20_000) < 5 * np.sqrt(16_000)).all()


def test_generators_are_repeatable_and_differ_by_sample():
    first, again = ([g.random() for g in Draws(3, 1, [5, 6, 7]).generators()] for _ in range(2))
    assert first == again and len(set(first)) == 3
