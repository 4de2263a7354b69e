"""Batches from uint8 images: every pixel equals that of a loop over the formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import augment

DTYPES = [np.float32, np.float64]


def slow(images, indices, rows, columns, boxes, table, out_shape):
    """Return the batch, pixel by pixel."""
    out = np.empty(out_shape, table.dtype)
    for n, i, j, c in np.ndindex(*out_shape):
        h, w = rows[n, i], columns[n, j]
        top, bottom, left, right = boxes[n]
        dark = h == -1 or w == -1 or (top <= i < bottom and left <= j < right)
        out[n, i, j, c] = table[c, 0 if dark else images[indices[n], h, w, c]]
    return out


def choices(rng, batch, size, out_size, channels, dtype):
    """Return random arguments: images, indices, rows, columns, boxes, table."""
    images = rng.integers(0, 256, (5, *size, channels), np.uint8)
    rows = rng.integers(-1, size[0], (batch, out_size[0]))
    columns = rng.integers(-1, size[1], (batch, out_size[1]))
    boxes = rng.integers(-3, max(out_size) + 4, (batch, 4))  # beyond the edge; or the end before the start: empty
    return images, rng.integers(0, 5, batch), rows, columns, boxes, rng.standard_normal((channels, 256)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(0, 4),
    size=st.tuples(*[st.integers(1, 8)] * 2),
    out_size=st.tuples(*[st.integers(1, 8)] * 2),
    channels=st.sampled_from([1, 3, 4]),
    seed=st.integers(0, 999),
)
def test_any_choice_is_as_the_loops_have_it(dtype, batch, size, out_size, channels, seed):
    arguments = choices(np.random.default_rng(seed), batch, size, out_size, channels, dtype)
    out = np.full((batch, *out_size, channels), np.nan, dtype)
    augment.gather_normalize(*arguments, out)
    np.testing.assert_array_equal(out, slow(*arguments, out.shape))


def test_by_hand():
    """Image 1, mirrored, one pixel to the right, the lower left corner blacked out."""
    images = np.array([[[9, 9], [9, 9]], [[1, 2], [3, 4]]], np.uint8)[..., None]
    table = np.arange(256.0)[None] * 10 - 5
    rows, columns = np.array([[0, 1]]), np.array([[-1, 1, 0]])
    out = np.empty((1, 2, 3, 1))
    augment.gather_normalize(images, np.array([1]), rows, columns, np.array([[1, 2, 0, 2]]), table, out)
    np.testing.assert_array_equal(out[0, :, :, 0], [[-5, 15, 5], [-5, -5, 25]])


def test_every_byte_of_every_channel_has_its_own_value():
    images = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    table = np.random.default_rng(0).standard_normal((3, 256)).astype(np.float32)
    steps, none = np.arange(16)[None], np.zeros((1, 4), np.int64)
    out = np.empty((1, 16, 16, 3), np.float32)
    augment.gather_normalize(images, np.array([0]), steps, steps, none, table, out)
    np.testing.assert_array_equal(out.reshape(256, 3), table.T)


def test_nan_and_infinity_in_the_table_come_out():
    table = np.full((1, 256), np.inf)
    table[0, 0] = np.nan
    out, zeros = np.zeros((1, 1, 2, 1)), np.zeros((1, 4), np.int64)
    columns = np.array([[0, -1]])
    augment.gather_normalize(np.ones((1, 1, 1, 1), np.uint8), np.array([0]), columns[:, :1], columns, zeros, table, out)
    np.testing.assert_array_equal(out.reshape(-1), [np.inf, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_read_or_written_outside_the_arrays(guarded, dtype):
    arguments = choices(np.random.default_rng(0), 7, (5, 6), (9, 4), 3, dtype)
    out = guarded.empty((7, 9, 4, 3), dtype)
    augment.gather_normalize(*(guarded.hold(a) for a in arguments), out)
    np.testing.assert_array_equal(out, slow(*arguments, out.shape))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    arguments = choices(np.random.default_rng(0), 9, (8, 8), (8, 8), 3, np.float32)

    def call():
        out = np.empty((9, 8, 8, 3), np.float32)
        augment.gather_normalize(*arguments, out)
        return [out]

    same_bits_for_any_threads(call)
