"""From the pattern of wrong numbers to the mistake that usually makes it.

Every suspect takes two Jacobians of shape (outputs, *shape of the tensor) and the shape of the output, and returns a
remark if the analytic one is the numeric one with its mistake, else None. The first remark wins.
"""

import itertools

import numpy as np


def looks_like(analytic, numeric, out_shape):
    """Return what a wrong Jacobian looks like.

    Parameters
    ----------
    analytic, numeric : ndarray, shape (outputs, *shape)
        From backward, and from differences; equal where nothing was compared.
    out_shape : tuple
        Its product is ``outputs``.

    Returns
    -------
    str
        Such as "the wrong sign", or "no known mistake".
    """
    suspects = (_not_a_number, _nothing, _offset, _factor, _one_image, _kernel, _border, _shift, _mean, _some)
    return next(filter(None, (suspect(analytic, numeric, out_shape) for suspect in suspects)), "no known mistake")


def factor(analytic, numeric, batch=0):
    """Return a remark if all of ``analytic`` is ``numeric`` times one number, else None."""
    c = np.vdot(numeric, analytic) / max(np.vdot(numeric, numeric), np.finfo(float).tiny)
    if not _same(analytic, c * numeric):
        return None
    if c < 0:
        return "the wrong sign" if np.isclose(c, -1, rtol=1e-3) else f"the wrong sign and a factor {-c:.6g}"
    if abs(c - 1) < 0.02:
        return f"a constant that is slightly wrong: all is multiplied by {c:.6g}"
    if np.isclose(c, 2, rtol=1e-3):
        return "a factor 2: counted twice, or a missing factor 1/2"
    if np.isclose(c, 0.5, rtol=1e-3):
        return "a factor 1/2: half of the terms, or a missing factor 2"
    if batch > 1 and np.isclose(c, [batch, 1 / batch], rtol=1e-3).any():
        words = ("a sum over the batch where its mean belongs", "a mean over the batch where its sum belongs")
        return f"{words[int(c < 1)]}: a factor {'' if c > 1 else '1/'}{batch}"
    for what, value in (("a forgotten division by", c), ("a needless division by", 1 / c)):
        if value > 1 and np.isclose(value, round(value), rtol=1e-4):
            return f"{what} {round(value)}, such as a number of elements"
    return f"a constant factor {c:.6g}"


def _same(a, b):
    size = np.linalg.norm(b)
    return size > 0 and np.linalg.norm(a - b) <= 1e-4 * size


def _not_a_number(analytic, numeric, out_shape):
    if not np.isfinite(numeric).all():
        return "a function that is not finite there: move the input into its domain"
    if not np.isfinite(analytic).all():
        return "a division by zero or the logarithm of nothing: NaN in the gradient"
    return None


def _nothing(analytic, numeric, out_shape):
    return None if analytic.any() else "a path that was cut, as by detach: the gradient is 0 everywhere"


def _offset(analytic, numeric, out_shape):
    difference = analytic - numeric
    if difference.size > 1 and _same(difference, np.full_like(difference, difference.mean())):
        return f"a constant offset: {difference.mean():.6g} is added to every element"
    return None


def _factor(analytic, numeric, out_shape):
    return factor(analytic, numeric, out_shape[0] if out_shape else 0)


def _one_image(analytic, numeric, out_shape):
    """Rows of all images but some are zero."""
    for axis, length in enumerate(out_shape):
        a, n = (np.moveaxis(jacobian.reshape(*out_shape, -1), axis, 0) for jacobian in (analytic, numeric))
        right = [k for k in range(length) if _same(a[k], n[k])]
        if right and len(right) < length and not any(a[k].any() for k in range(length) if k not in right):
            what = "batch" if axis == 0 else f"output's axis {axis}"
            return f"a missing sum over the {what}: of {length} entries only {', '.join(map(str, right))} counts"
    return None


def _windows(analytic, numeric):
    """Cut every row to the pixels that its output depends on; return those whose window is the largest."""
    cuts = []
    for a, n in zip(analytic, numeric, strict=True):
        seen = np.argwhere(np.abs(n) > 1e-6 * np.abs(numeric).max())[:, -2:]
        if len(seen):
            window = (..., *(slice(low, high + 1) for low, high in zip(seen.min(0), seen.max(0), strict=True)))
            cuts.append((a[window], n[window]))
    largest = max((n.size for _, n in cuts), default=0)
    first = next((n.shape for _, n in cuts if n.size == largest), None)
    whole = [(a, n) for a, n in cuts if n.shape == first]
    return (np.stack([pair[i] for pair in whole]) for i in (0, 1)) if whole else (analytic, numeric)


def _kernel(analytic, numeric, out_shape):
    """The right numbers in the wrong order, inside the window of each output."""
    if analytic.ndim >= 4:
        a, n = _windows(analytic, numeric)
        if not _same(a, n) and _same(a, n[..., ::-1, ::-1]):
            return "an unflipped kernel, or one that was flipped once too often"
        if n.shape[-2] == n.shape[-1] and not _same(a, n) and _same(a, n.swapaxes(-1, -2)):
            return "a transposed kernel: its two axes are swapped"
    for i, j in itertools.combinations(range(1, analytic.ndim), 2):
        if analytic.shape[i] == analytic.shape[j] and _same(analytic, numeric.swapaxes(i, j)):
            return f"a transposed array: its axes {i - 1} and {j - 1} are swapped"
    flat = analytic.reshape(len(analytic), -1), numeric.reshape(len(numeric), -1)
    if flat[0].shape[0] == flat[0].shape[1] and _same(flat[0], flat[1].T):
        return "a transposed factor: the Jacobian is the transpose of the right one"
    return None


def _shift(analytic, numeric, out_shape):
    """The right numbers, one element beside."""
    axes = range(max(1, analytic.ndim - 2), analytic.ndim)
    for steps in itertools.product((-1, 0, 1), repeat=len(axes)):
        to, source = [slice(None)] * analytic.ndim, [slice(None)] * analytic.ndim
        for axis, step in zip(axes, steps, strict=True):
            to[axis] = slice(max(step, 0), analytic.shape[axis] + min(step, 0))
            source[axis] = slice(max(-step, 0), analytic.shape[axis] + min(-step, 0))
        if any(steps) and _same(analytic[tuple(to)], numeric[tuple(source)]):
            return f"off by one in the padding or an index: all lies {list(steps)} beside its place"
    return None


def _mean(analytic, numeric, out_shape):
    """A mean or a sum over some axes that was to be subtracted."""
    ndim = analytic.ndim
    channels = tuple(i for i in range(1, ndim) if i != 2)
    for axes in dict.fromkeys((channels, (ndim - 1,), (1,), tuple(range(1, ndim)))):
        zero, left = (np.linalg.norm(jacobian.sum(axes)) for jacobian in (numeric, analytic))
        several = np.prod([analytic.shape[i] for i in axes]) > 1
        if several and zero < 1e-6 * np.linalg.norm(numeric) and left > 1e-3 * np.linalg.norm(analytic):
            over = [i - 1 for i in axes]
            return f"a dropped mean term: over the axes {over} the gradient has to sum up to 0, and does not"
    if ndim >= 3:
        difference = np.moveaxis(analytic - numeric, 2, 0).reshape(analytic.shape[2], len(analytic), -1)
        sizes = np.linalg.svd(difference, compute_uv=False)  # (channels, min(outputs, elements))
        if sizes.shape[1] > 2 and (sizes[:, 1] < 1e-4 * sizes[:, 0]).all():
            return (
                "a dropped mean term: in every channel the difference is one vector times another, as a projection is"
            )
    return None


def _wrong(analytic, numeric):
    return np.abs(analytic - numeric) > 1e-5 + 1e-3 * np.abs(numeric)


def _border(analytic, numeric, out_shape):
    if analytic.ndim < 4 or min(analytic.shape[-2:]) < 3:
        return None
    wrong = _wrong(analytic, numeric)
    if wrong.any() and not wrong[..., 1:-1, 1:-1].any():
        return "a mistake in the padding: only pixels at the border are wrong"
    return None


def _some(analytic, numeric, out_shape):
    """One factor at some elements, the rest being right."""
    wrong = _wrong(analytic, numeric)
    a, n = analytic[wrong], numeric[wrong]
    if not a.size:
        return None
    of = f"{a.size} of {wrong.size} elements"
    nothing = np.abs(n) < 1e-7
    if nothing.all():
        return f"a missing mask: a gradient passes at {of} where none should"
    if not a.any():
        return f"terms that were left out: the gradient is 0 at {of}"
    if not nothing.any() and _same(a / n, np.full_like(a, c := float((a / n).mean()))):
        words = {2: ": counted twice, as at ties or overlaps", -1: ": the wrong sign there"}
        return f"a factor {c:.6g} at {of} alone{words.get(round(c, 3), '')}"
    return None
