"""The micro-kernel: the same sums as its NumPy twin, and its accumulators stay in registers."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import indirect_weight
from minitorch_kernels.conv.depthwise import depthwise
from minitorch_kernels.gemm import matmul
from minitorch_kernels.gemm.microkernel import (
    HALF_MR,
    MR,
    ROWS,
    PrefetchingTile,
    ReLUTile,
    ShortTile,
    Tile,
    microkernel,
    microkernel_depthwise,
    microkernel_numpy,
    microkernel_packed_a,
)
from minitorch_kernels.gemm.pack import copy_mr, copy_vector, gather_half_mr, gather_mr
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import VECTOR_BYTES, lanes, nr
from tests.kernels.assembly import MULTIPLY_ADD, compiled_loops, inner_loops, reads_x86

needs_tile = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")
DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}


# ------------------------------------------------------------------------------- sums of a tile


@pytest.fixture(scope="module")
def call_tile():
    """Return a compiled function that adds up one tile."""
    return numba.njit(
        lambda a, b, c, start, rows, c_row_offsets, k_runs, n: microkernel(
            a, b, c, start, rows, c_row_offsets, k_runs, n
        )
    )


@pytest.fixture(scope="module")
def call_packed_tile():
    """Return a compiled function that computes a tile with packed A."""

    def call(a, b, c, start, rows, c_row_offsets, k_runs, n):
        microkernel_packed_a(a, b, c, start, rows, c_row_offsets, k_runs, n)

    return numba.njit(call)


@pytest.fixture(scope="module")
def call_channel_tile():
    """Return a compiled function that adds up one tile channel by channel."""

    def call(a, b, c, start, rows, c_row_offsets, k_runs, n):
        microkernel_depthwise(a, b, c, start, rows, c_row_offsets, k_runs, n)

    return numba.njit(call)


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_tile_is_its_numpy_twin(call_tile, call_channel_tile, dtype, data):
    def integer(low, high):
        return data.draw(st.integers(low, high))

    rng, width = np.random.default_rng(integer(0, 1000)), nr(dtype, data.draw(st.sampled_from([1, None])))
    first_row, first, count, terms = integer(0, 5), integer(0, 2), integer(1, 4), integer(1, 20)
    a_step, b_step = integer(0, 7), data.draw(st.sampled_from([0, 1, width, 2 * width + 3]))
    a_offset, b_offset, c_offset, init_offset, accumulate = (integer(0, n) for n in (9, 40, 30, 50, 1))
    a_row_offsets, c_row_offsets = (
        rng.integers(0, 60, first_row + MR),
        rng.integers(0, 400, first_row + MR),
    )  # may overlap in C
    k_runs = rng.integers(0, 50, (2, first + count + 1))
    by_channel = data.draw(st.booleans())
    sizes = 60 + 9 + 50 + 20 * 7 + width, 40 + 50 + 20 * b_step + width, 400 + 30 + width, 50 + width
    a, b, c, start = (rng.standard_normal(size).astype(dtype) for size in sizes)
    numbers = (
        first_row,
        first,
        first + count,
        terms,
        a_offset,
        a_step,
        b_offset,
        b_step,
        c_offset,
        init_offset,
        accumulate,
    )
    tile = Tile(*numbers, width)
    kind = data.draw(st.sampled_from([Tile, ShortTile, PrefetchingTile, ReLUTile]))
    if kind is ShortTile:
        tile = ShortTile(*tile, integer(1, MR))
    if kind is PrefetchingTile:  # prefetching changes nothing, not even after the end
        tile = PrefetchingTile(*tile, integer(1, MR), integer(0, len(b) - 1), integer(0, 40))
    if kind is ReLUTile:
        tile = ReLUTile(*tile, integer(0, 1))
    expected = c.copy()
    (call_channel_tile if by_channel else call_tile)(a, b, c, start, a_row_offsets, c_row_offsets, k_runs, tile)
    microkernel_numpy(a, b, expected, start, a_row_offsets, c_row_offsets, k_runs, tile, by_channel)
    scale = max(np.sqrt(count * terms), np.abs(expected).max())  # a step of 0 adds the same element again and again
    np.testing.assert_allclose(c, expected, rtol=0, atol=BAR[dtype] * scale)
    untouched = np.ones(len(c), bool)
    for row in c_row_offsets[first_row:]:
        untouched[row + c_offset : row + c_offset + width] = False
    assert (c[untouched] == expected[untouched]).all()


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_packed_tile_is_the_twin_on_rows_side_by_side(call_packed_tile, dtype, data):
    def integer(low, high):
        return data.draw(st.integers(low, high))

    rng, width = np.random.default_rng(integer(0, 1000)), nr(dtype, data.draw(st.sampled_from([1, None])))
    first, count, terms = integer(0, 2), integer(1, 4), integer(1, 20)
    a_offset, b_offset, b_step, accumulate = integer(0, 9), integer(0, 40), integer(0, 2 * width), integer(0, 1)
    k_runs = rng.integers(0, 50, (2, first + count + 1))
    c_row_offsets = rng.permutation(MR) * width
    a_step = MR + integer(0, 9)
    sizes = a_offset + count * terms * a_step, b_offset + 50 + 20 * b_step + width, MR * width, width
    a, b, c, start = (rng.standard_normal(size).astype(dtype) for size in sizes)
    ends = b_offset, b_step, 0, 0, accumulate, width
    tile = ShortTile(0, first, first + count, terms, a_offset, a_step, *ends, integer(1, MR))
    nowhere = np.full(MR, 1 << 40)  # never read, so any value will do
    expected, before = c.copy(), c.copy()
    call_packed_tile(a, b, c, start, nowhere, c_row_offsets, k_runs, tile)
    k_runs[0, first : first + count] = np.arange(count) * terms * a_step
    microkernel_numpy(a, b, expected, start, np.arange(MR), c_row_offsets, k_runs, tile)
    written = next(rows for rows in ROWS if rows >= tile.rows)
    for row in c_row_offsets[written:]:
        assert (c[row : row + width] == before[row : row + width]).all()
    np.testing.assert_allclose(c, expected, rtol=0, atol=BAR[dtype] * max(1, np.abs(expected).max()))


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_write_what_they_say_and_nothing_else(dtype):
    source, offsets = np.arange(40, dtype=dtype), np.array([9, 3, 3, 0, 8, 1, 2, 7, 5, 4])
    calls = [
        (numba.njit(lambda s, o, t: copy_mr(s, 5, t, 2)), MR, source[5 : 5 + MR]),
        (numba.njit(lambda s, o, t: copy_vector(s, 3, t, 2)), lanes(dtype), source[3 : 3 + lanes(dtype)]),
        (numba.njit(lambda s, o, t: gather_mr(s, 4, o, 1, t, 2)), MR, source[4 + offsets[1 : 1 + MR]]),
        (numba.njit(lambda s, o, t: gather_half_mr(s, 4, o, 1, t, 2)), HALF_MR, source[4 + offsets[1 : 1 + HALF_MR]]),
    ]
    for call, count, expected in calls:
        target = np.full(40, -1, dtype)
        call(source, offsets, target)
        np.testing.assert_array_equal(target[2 : 2 + count], expected)
        assert (np.delete(target, np.arange(2, 2 + count)) == -1).all()


def test_the_twin_by_hand():
    """Two runs of two terms: 2*B0 + 3*B1 + 5*B2 + 7*B3 in every row, added to init or C."""
    width = nr(np.float64)
    a, b = np.array([2.0, 3, 0, 5, 7]), np.repeat([1.0, 10, 100, 1000], width)
    start, rows, k_runs = np.full(width, 0.5), np.zeros(MR, np.int64), np.array([[0, 3], [0, 2 * width]])
    c_row_offsets = np.arange(MR) * width
    for accumulate, begin in ((0, 0.5), (1, 4.0)):
        c = np.full(MR * width, 4.0)
        microkernel_numpy(
            a, b, c, start, rows, c_row_offsets, k_runs, Tile(0, 0, 2, 2, 0, 1, 0, width, 0, 0, accumulate, width)
        )
        np.testing.assert_array_equal(c, 7532 + begin)


@needs_tile
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_row_or_column(call_tile, value):
    width = nr(np.float32)
    rows, c_row_offsets, k_runs = np.arange(MR) * 3, np.arange(MR) * width, np.zeros((2, 1), np.int64)
    tile = Tile(0, 0, 1, 3, 0, 1, 0, width, 0, 0, 0, width)
    for poisoned in (0, 1):
        arrays = np.ones(MR * 3, np.float32), np.ones(3 * width, np.float32), np.zeros(MR * width, np.float32)
        arrays[poisoned][4] = value  # row 1 of A, column 4 of B
        call_tile(*arrays, np.zeros(width, np.float32), rows, c_row_offsets, k_runs, tile)
        expected = np.full((MR, width), 3.0)
        expected[np.s_[1] if poisoned == 0 else np.s_[:, 4]] = value
        np.testing.assert_array_equal(arrays[2].reshape(MR, width), expected)


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("accumulate", [0, 1])
def test_relu_replaces_negative_sums_and_keeps_nan(call_tile, dtype, accumulate):
    """One term, 0 * 0, is added to numbers that all stay what they are, but for -0.0."""
    width, rows, no_jump = nr(dtype), np.zeros(MR, np.int64), np.zeros((2, 1), np.int64)
    init = np.resize(np.array([np.nan, -np.inf, np.inf, -1, 1, -0.0, 0.0], dtype), width)
    zeros, c, c_rows = np.zeros(width, dtype), np.tile(init, MR), np.arange(MR) * width
    for relu, want in ((0, init), (1, np.where(init <= 0, 0, init))):
        got, tile = c.copy(), ReLUTile(0, 0, 1, 1, 0, 1, 0, width, 0, 0, accumulate, width, relu)
        call_tile(zeros, zeros, got, init, rows, c_rows, no_jump, tile)
        np.testing.assert_array_equal(got, np.tile(want, MR))
        assert not np.signbit(got[got == 0]).any()


# ------------------------------------------------------------------------------------ registers


@needs_tile
@reads_x86
@pytest.mark.parametrize(
    ("kernel", "dtype"),
    [
        (matmul.indirect_gemm, np.float32),
        (matmul.indirect_gemm, np.float64),
        (matmul._multiply_in_place, np.float32),
        (matmul._multiply_half_vectors, np.float32),
        (indirect_weight._chunk_product, np.float32),
        (depthwise._filter_tiles, np.float32),
        (depthwise._sum_images, np.float32),
        *[(kernel, simd.PAIR) for kernel in (matmul.indirect_gemm, indirect_weight._chunk_product) if simd.BF16],
    ],
)
def test_no_sum_leaves_its_register_inside_the_loop(kernel, dtype):
    """Between two multiply-adds no vector goes to or comes from the stack, where it would wait for memory."""
    f, s, i = *map(numba.from_dtype, (np.dtype(dtype), np.dtype(simd.sum_dtype(dtype)))), numba.int64
    tables = i[::1], i[::1], i[:, ::1], i[::1], i[:, ::1], i[:, ::1], i[:, ::1]
    offsets = numba.types.NamedTuple((i[::1], i[::1], i[:, ::1], i[:, ::1]), matmul.Offsets)
    signatures = {
        matmul.indirect_gemm: (
            *(f[::1], f[:, :, ::1], s[::1], s[::1], offsets, i[:, ::1], i, numba.boolean, numba.boolean),
        ),
        matmul._multiply_in_place: (f[::1], f[:, ::1], s[:, ::1], s[::1], offsets, s[:, :, ::1]),
        matmul._multiply_half_vectors: (f[::1], f[:, :, ::1], s[::1], s[::1], offsets),
        indirect_weight._chunk_product: (
            *(f[::1], f[::1], s[:, :, :, ::1], s[::1], numba.types.NamedTuple(tables, indirect_weight.Tables)),
            *(numba.types.NamedUniTuple(i, 6, indirect_weight.Product), numba.boolean[::1], i),
        ),
        depthwise._filter_tiles: (
            *(f[::1], f[::1], f[::1], f[::1], i[::1], i[::1], i[:, ::1], i[:, ::1], i[::1]),
            *(numba.types.NamedUniTuple(i, 4, depthwise.Images), i),
        ),
        depthwise._sum_images: (
            *(f[::1], f[::1], f[:, :, :, ::1], f[::1], i[::1], i[::1], i[:, ::1], i[:, ::1], i[::1], i[::1]),
            *(numba.types.NamedUniTuple(i, 4, depthwise.Images), i),
        ),
    }
    loops = compiled_loops(kernel, signatures[kernel])
    assert loops
    for loop in loops:
        assert any(len(re.findall(MULTIPLY_ADD, loop)) % rows == 0 for rows in ROWS)
        vectors = [line for line in loop.splitlines() if re.search(r"%[xyz]mm\d", line)]
        assert not [line for line in vectors if re.search(r"\(%rsp", line)]
        if kernel in (matmul.indirect_gemm, indirect_weight._chunk_product):  # channel by channel, memory is slower
            stored = re.findall(r"\tmov\w*\s+%\w+, -?\d*\(%rsp", loop)
            # One pointer per row would be spilled to the stack; with AVX-512 the compiler may put a counter there.
            assert len(stored) <= (0 if VECTOR_BYTES == 32 else MR // 2)


def test_the_search_for_spilled_registers_finds_them():
    spilled = ".LBB1_2:\n\tvfmadd231ps\t%zmm1, %zmm2, %zmm3\n\tvmovups\t%zmm3, 64(%rsp)\n\tjne\t.LBB1_2\n"
    (loop,) = inner_loops(".LBB1_1:\n\tmovq\t%rax, %rbx\n" + spilled)
    assert re.search(r"%zmm3, 64\(%rsp", loop)
