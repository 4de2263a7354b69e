"""Turns uint8 images into the float batch that a network reads, in one pass."""

from minitorch_kernels.runtime.threads import parallel_kernel


@parallel_kernel(tasks=lambda out: len(out))
def gather_normalize(first_task, end_task, images, indices, rows, columns, boxes, table, out):
    """Select images, rows and columns of pixels, black out a box, and look up the normalised values.

    out[n, i, j, c] = table[c, images[indices[n], rows[n, i], columns[n, j], c]],
    table[c, 0] where a row or a column is -1 or (i, j) lies in the box

    Parameters
    ----------
    images : uint8 ndarray, shape (M, H, W, C)
    indices : int64 ndarray, shape (N,)
    rows, columns : int64 ndarray, shapes (N, OH) and (N, OW)
    boxes : int64 ndarray, shape (N, 4)
        top, bottom, left, right, the ends excluded.
    table : ndarray, shape (C, 256)
        The normalised value of every byte.
    out : ndarray, shape (N, OH, OW, C), the dtype of ``table``

    Notes
    -----
    Parallel over images.
    """
    batch, out_height, out_width, channels = out.shape
    for n in range(first_task, end_task):
        image = images[indices[n]]
        top, bottom, left, right = boxes[n]
        for i in range(out_height):
            h = rows[n, i]
            for j in range(out_width):
                w = columns[n, j]
                dark = h < 0 or w < 0 or (top <= i < bottom and left <= j < right)
                for c in range(channels):
                    value = 0 if dark else image[h, w, c]
                    out[n, i, j, c] = table[c, value]
