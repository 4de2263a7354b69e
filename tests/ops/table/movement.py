"""Reshaping, permuting, joining and splitting."""

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import Op, bare, normal, sample, tensor


def joined(join):
    """Let a function of a list take arrays as separate arguments."""
    return lambda *arrays, axis: join(arrays, axis)


def halves(cut, join):
    """Split, and join the parts in reverse order."""
    return lambda x, sections, axis=1: join(list(cut(x, sections, axis))[::-1], axis)


def numpy_split(x, sections, axis):
    return np.split(x, sections if isinstance(sections, int) else np.cumsum(sections)[:-1], axis)


def numpy_pad(x, padding, mode="zero", value=0.0):
    padding = [(ends, ends) if isinstance(ends, int) else ends for ends in padding]
    added = [(max(b, 0), max(a, 0)) for b, a in padding]
    modes = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x = np.pad(x, added, constant_values=value) if mode == "zero" else np.pad(x, added, modes[mode])
    return x[tuple(slice(max(-b, 0), n + min(a, 0)) for n, (b, a) in zip(x.shape, padding, strict=True))]


ROWS = {
    "reshape": Op(
        np.reshape,
        [
            sample(normal(*shape), at=(to,))
            for shape, to in (
                ((2, 6), (3, 4)),
                ((2, 6), -1),
                ((2, 6), (12,)),
                ((12,), (2, -1, 3)),
                ((2, 3, 2, 1), (3, 4)),
                ((1,), ()),
                ((), (1, 1)),
                ((0, 3), (3, 0)),
            )
        ],
        [
            *bare("reshape", 4),
            (
                lambda: ops.reshape(tensor(2, 3), 5),
                ShapeError,
                "reshape: shape - expected 6 elements like (2, 3), got (5,)",
            ),
            (lambda: ops.reshape(tensor(2, 3), "6"), TypeError, "reshape: shape - expected integers, got '6'"),
        ],
    ),
    "flatten": Op(
        lambda x, start=1: x.reshape(*x.shape[:start], -1) if x.ndim else x.reshape(1),
        [
            sample(normal(*shape), at=at)
            for shape, at in (
                ((2, 6), ()),
                ((2, 3, 4), ()),
                ((2, 3, 4, 5), ()),
                ((2, 3, 4), (0,)),
                ((2, 3, 4), (2,)),
                ((5,), (0,)),
                ((1, 1, 1, 1), ()),
                ((2, 3, 2, 2), (2,)),
            )
        ],
        [
            *bare("flatten"),
            (lambda: ops.flatten(tensor(2, 3), 2), ShapeError, "flatten: axis - expected -2 to 1 for 2 axes, got 2"),
            (lambda: ops.flatten(tensor(2, 3), "0"), TypeError, "flatten: axis - expected an integer, got '0'"),
        ],
    ),
    "transpose": Op(
        np.transpose,
        [
            sample(normal(*shape), at=at)
            for shape, at in (
                ((2, 6), ()),
                ((2, 6), ((1, 0),)),
                ((2, 3, 4), ()),
                ((2, 3, 4), ((1, 2, 0),)),
                ((2, 3, 4), ((2, 0, 1),)),
                ((2, 3, 2, 2), ((0, 2, 3, 1),)),
                ((5,), ()),
                ((), ()),
            )
        ],
        [
            *bare("transpose"),
            (
                lambda: ops.transpose(tensor(2, 3), (0, 0)),
                ShapeError,
                "transpose: axes - expected each of the 2 axes once, got (0, 0)",
            ),
            (
                lambda: ops.transpose(tensor(2, 3), (0, 2)),
                ShapeError,
                "transpose: axis - expected -2 to 1 for 2 axes, got 2",
            ),
        ],
    ),
    "concat": Op(
        joined(np.concatenate),
        [
            sample(*(normal(*shape) for shape in shapes), axis=axis)
            for shapes, axis in (
                (((2, 3), (2, 1)), 1),
                (((2, 3), (1, 3)), 0),
                (((2, 3),), 1),
                (((2, 3),) * 3, -1),
                (((2, 1, 2, 2), (2, 3, 2, 2)), 1),
                (((1, 2, 2, 2), (2, 2, 2, 2)), 0),
                (((4,), (2,)), 0),
                (((2, 0), (2, 3)), 1),
            )
        ],
        [
            (lambda: ops.concat([]), ValueError, "concat: tensors - expected at least one Tensor, got none"),
            (
                lambda: ops.concat([tensor(2, 3), np.ones((2, 3))]),
                TypeError,
                "concat: tensors[1] - expected a Tensor, got ndarray",
            ),
            (
                lambda: ops.concat([tensor(2, 3), tensor(3, 3)]),
                ShapeError,
                "tensors[1] - expected shape (2, 3) except along axis 1, got (3, 3)",
            ),
        ],
        run=joined(ops.concat),
    ),
    "stack": Op(
        joined(np.stack),
        [
            sample(*[normal(*shape)] * count, axis=axis)
            for shape, count, axis in (
                ((2, 3), 2, 0),
                ((2, 3), 2, 1),
                ((2, 3), 2, -1),
                ((2, 3), 1, 0),
                ((), 3, 0),
                ((4,), 2, 1),
                ((2, 1, 3), 3, 2),
                ((2, 0), 2, 0),
            )
        ],
        [
            (lambda: ops.stack([]), ValueError, "stack: tensors - expected at least one Tensor, got none"),
            (lambda: ops.stack([np.ones(2)]), TypeError, "stack: tensors[0] - expected a Tensor, got ndarray"),
            (
                lambda: ops.stack([tensor(2), tensor(3)]),
                ShapeError,
                "stack: tensors[1] - expected shape (2,) like the first, got (3,)",
            ),
        ],
        run=joined(ops.stack),
    ),
    "split": Op(
        halves(numpy_split, np.concatenate),
        [
            sample(normal(*shape), at=at)
            for shape, at in (
                ((2, 6), (2,)),
                ((2, 6), (3,)),
                ((2, 6), ([1, 5],)),
                ((4, 2), ([3, 1], 0)),
                ((5,), (5, 0)),
                ((2, 4, 2, 2), (2,)),
                ((2, 3, 4), ([1, 2, 1], -1)),
                ((2, 3), ([0, 3],)),
            )
        ],
        [
            *bare("split", 2),
            (
                lambda: ops.split(tensor(2, 3), 2),
                ShapeError,
                "split: sections - expected parts that add up to 3, got 2",
            ),
            (
                lambda: ops.split(tensor(2, 3), 1.5),
                TypeError,
                "split: sections - expected an integer or a sequence of integers",
            ),
        ],
        run=halves(ops.split, ops.concat),
    ),
    "broadcast_to": Op(
        np.broadcast_to,
        [
            sample(normal(*shape), at=(to,))
            for shape, to in (
                ((3,), (2, 3)),
                ((1, 3), (4, 3)),
                ((2, 1), (2, 5)),
                ((), (2, 2)),
                ((2, 3), (2, 3)),
                ((1, 3, 1, 1), (2, 3, 2, 2)),
                ((1,), (0,)),
                ((2, 1, 3), (2, 2, 4, 3)),
            )
        ],
        [
            *bare("broadcast_to", (2, 2)),
            (
                lambda: ops.broadcast_to(tensor(3), (2,)),
                ShapeError,
                "broadcast_to: shape - expected one that (3,) broadcasts to, got (2,)",
            ),
            (
                lambda: ops.broadcast_to(tensor(2, 3), (3,)),
                ShapeError,
                "broadcast_to: shape - expected one that (2, 3) broadcasts to",
            ),
        ],
    ),
    "flip": Op(
        np.flip,
        [
            sample(normal(*shape), at=(axes,))
            for shape, axes in (
                ((4,), 0),
                ((2, 3), 0),
                ((2, 3), 1),
                ((2, 3), (0, 1)),
                ((2, 3, 2, 2), (2, 3)),
                ((2, 3, 4), -1),
                ((1, 1), 1),
                ((0, 2), 0),
            )
        ],
        [
            *bare("flip", 0),
            (lambda: ops.flip(tensor(2, 3), 2), ShapeError, "flip: axis - expected -2 to 1 for 2 axes, got 2"),
            (lambda: ops.flip(tensor(2, 3), (1, 1)), ValueError, "flip: axis - expected each axis once, got (1, 1)"),
        ],
    ),
    "index": Op(
        lambda x, key: x[key],
        [
            sample(normal(3, 4), at=(key,))
            for key in (
                0,
                slice(1, 3),
                (slice(None), 2),
                (1, 2),
                ...,
                None,
                (slice(None, None, -2),),
                (np.array([0, 2, 2, 1]),),
                (slice(None), np.array([[0, 1], [1, 3]])),
                normal(3, 4) > 0,
            )
        ],
        [
            *bare("index", 0),
            (lambda: ops.index(tensor(2, 3), 2), IndexError, "index: key - expected one that fits shape (2, 3)"),
            (
                lambda: ops.index(tensor(2, 3), (0, 0, 0)),
                IndexError,
                "index: key - expected one that fits shape (2, 3)",
            ),
        ],
    ),
    "pad": Op(
        numpy_pad,
        [
            sample(normal(*shape), at=(padding,), **hyper)
            for shape, padding, hyper in (
                ((4,), ((1, 2),), {}),
                ((2, 3), ((0, 0), (1, 1)), {}),
                ((2, 3), (1, 2), {}),
                ((2, 3), ((1, 0), (0, 2)), {"value": 3.0}),
                ((4,), ((3, 1),), {"mode": "reflect"}),
                ((2, 3, 3, 4), ((0, 0), (0, 0), (2, 1), (1, 3)), {"mode": "reflect"}),
                ((1, 2, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)), {}),
                ((0, 2), (1, 0), {}),
                ((4,), ((3, 6),), {"mode": "replicate"}),
                ((1,), ((3, 1),), {"mode": "replicate"}),
                ((2, 3, 3, 4), ((0, 0), (0, 0), (2, 1), (1, 3)), {"mode": "replicate"}),
                ((4,), ((4, 1),), {"mode": "circular"}),
                ((2, 3, 3, 4), ((0, 0), (0, 0), (2, 1), (1, 3)), {"mode": "circular"}),
                ((4, 3), ((-1, 2), (0, -2)), {"value": 2.0}),
                ((4, 3), ((-1, 2), (1, -1)), {"mode": "reflect"}),
                ((4, 3), ((-2, -2), (0, 0)), {}),
            )
        ],
        [
            *bare("pad", ((1, 1),)),
            (
                lambda: ops.pad(tensor(2), ((1, 1),), mode="wrap"),
                ValueError,
                "pad: mode - expected one of zero, reflect, replicate, circular, got 'wrap'",
            ),
            (lambda: ops.pad(tensor(2), ((1, 1),), value="0"), TypeError, "pad: value - expected a number, got '0'"),
            (lambda: ops.pad(tensor(2), ((-2, -1),)), ShapeError, "pad: padding - expected to cut off at most what is"),
            (
                lambda: ops.pad(tensor(2), ((3, 0),), "circular"),
                ShapeError,
                "pad: padding - expected at most the axis (2) for mode 'circular', got (3, 0)",
            ),
            (
                lambda: ops.pad(tensor(0), ((3, 0),), "replicate"),
                ShapeError,
                "pad: padding - expected an axis with elements for mode 'replicate', got (3, 0)",
            ),
            (
                lambda: ops.pad(tensor(2), 1),
                TypeError,
                "pad: padding - expected a sequence of pairs, one per axis, got 1",
            ),
            (
                lambda: ops.pad(tensor(2, 2), ((1, 1),)),
                ShapeError,
                "pad: padding - expected 2 pairs for shape (2, 2), got 1",
            ),
        ],
    ),
}
