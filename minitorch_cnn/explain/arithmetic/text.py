"""Worked examples as text: numbers, and the formula of the output size with its numbers filled in."""

import numpy as np


def short(value):
    """Return a number in at most four digits: 2, -0.5, 0.3333."""
    text = f"{value:.4g}"
    return "0" if text == "-0" else text


def factor(value):
    """Return a number as a factor; a negative one is in brackets."""
    text = short(value)
    return f"({text})" if text.startswith("-") else text


def size_sentence(size, kernel, stride, before, after, dilation, lines="rows"):
    """Return the formula of an output size with its numbers, and which ``lines`` no window reads.

    Parameters
    ----------
    size, kernel, stride, before, after, dilation : int
        Along one axis; as `shapes.conv_output_size`.
    lines : str
        What an index along this axis selects, in the plural: "rows", "columns", "samples".

    Returns
    -------
    (str, list of int)
        The sentence, and the indices of the input that are never read.
    """
    padded = f"{size} + 2*{before}" if before == after else f"{size} + {before} + {after}"
    extent = f"{kernel}" if dilation == 1 else f"{dilation}*({kernel} - 1) - 1"
    quotient = (size + before + after - dilation * (kernel - 1) - 1) / stride
    count = int(quotient) + 1
    text = f"floor(({padded} - {extent})/{stride}) + 1 = floor({quotient:.6g}) + 1 = {count}"
    read = {i * stride + u * dilation - before for i in range(count) for u in range(kernel)}
    unread = [i for i in range(size) if i not in read]
    last = max(read)
    dropped = [i for i in unread if i > last]
    between = len(unread) - len(dropped)
    if dropped:
        text += f"; the last {_count(len(dropped), lines)} of the input {_verb(len(dropped))} never read"
    elif last < size + after - 1:
        unseen = size + after - 1 - last
        text += f"; the last {_count(unseen, lines)} of the padding {_verb(unseen)} never read"
    if between:
        text += f"; {_count(between, lines)} between the windows {_verb(between)} never read"
    return text, unread


def _count(number, lines):
    names = lines.split("/")
    return f"{number} {'/'.join(name.removesuffix('s') for name in names) if number == 1 else lines}"


def _verb(number):
    return "is" if number == 1 else "are"


def sizes(size, kernel, stride, padding, dilation, signal):
    """Return (sentences about the output size, (H, W) mask of what no window reads) for a sliding window."""
    top, bottom, left, right = padding
    down = (size[0], kernel[0], stride[0], top, bottom, dilation[0])
    along = (size[1], kernel[1], stride[1], left, right, dilation[1])
    rows, columns = size_sentence(*down)[1], size_sentence(*along)[1]
    unread = np.zeros(size, bool)
    unread[rows, :], unread[:, columns] = True, True
    if signal:
        return (f"length: {size_sentence(*along, 'samples')[0]}",), unread
    if down == along:
        return (f"height and width: {size_sentence(*along, 'rows/columns')[0]}",), unread
    return (f"height: {size_sentence(*down)[0]}", f"width: {size_sentence(*along, 'columns')[0]}"), unread


def of_output(sentences):
    """Return the sentences about the output size of a forward pass, for the page of its gradient."""
    return tuple(f"output of the forward pass, {sentence}" for sentence in sentences)


def matrix(rows):
    """Return lines of text with the elements of ``rows`` in columns of one width."""
    cells = [[short(value) for value in row] for row in rows]
    width = max(len(cell) for row in cells for cell in row)
    return [" ".join(cell.rjust(width) for cell in row) for row in cells]


def to_text(example):
    """Return a `WorkedExample` as text: the rule, the sizes, the grids, and every result with its products."""
    lines = [example.title, example.rule, *example.sizes, *filter(None, [example.computed_by])]
    for grid in filter(None, (example.left, example.right, example.result)):
        lines += ["", f"{grid.name} {grid.letter}, {' x '.join(map(str, grid.shape))}"]
        for number, plane in enumerate(grid.values):
            lines += [""] * (number > 0) + [f"  {line}" for line in matrix(plane)]
    lines += [] if example.windows else [""]
    for step in example.steps:
        lines += ["", step.equation, *_window(example, step)] if example.windows else [step.equation]
    if example.left.letter == "dS":
        lines += ["", "where each gradient goes"]
        for place in np.ndindex(example.left.values.shape):
            receivers = ", ".join(example.result.label(step.place) for step in example.goes_to(place))
            lines.append(f"{example.left.label(place)} = {short(example.left.at(place))} goes to {receivers}")
    return "\n".join(lines)


def _window(example, step):
    """Return window, kernel and products side by side, a block for each channel."""
    taps = np.array(step.right)
    rows, columns = len(set(taps[:, 1])), len(set(taps[:, 2]))
    window = np.array([example.left.at(place) for place in step.left]).reshape(-1, rows, columns)
    kernel = np.array([example.right.at(place) for place in step.right]).reshape(-1, rows, columns)
    lines = []
    for number, (a, b) in enumerate(zip(window, kernel, strict=True)):
        lines += [""] * (number > 0)
        for row, parts in enumerate(zip(matrix(a), matrix(b), matrix(a * b), strict=True)):
            signs = (" * ", " = ") if row == rows // 2 else ("   ", "   ")
            lines.append(f"  {parts[0]} {signs[0]} {parts[1]} {signs[1]} {parts[2]}")
    return lines
