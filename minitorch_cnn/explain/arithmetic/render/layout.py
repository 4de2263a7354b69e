"""A worked example laid out on a slide: rectangles and texts, which `png` and `svg` draw.

Green is the window on the input, purple the kernel, orange the result. The tint of a cell shows the sign: blue below
zero, orange above. Dashed cells are padding; no window reads hatched ones.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.arithmetic.text import short

WIDTH, HEIGHT, MARGIN = 1280, 720, 36  # pixels of a slide
EDGES = {"left": figures.INPUT, "right": figures.KERNEL, "result": figures.OUTPUT}
PALE, FAINT = "#F4F4F4", figures.SOFT
_LARGEST_CELL = 72
_TITLE, _TEXT, _EQUATION, _SMALLEST = 30, 19, 21, 18  # pixels of letters; numbers that would be smaller are left out
_LINES = 3  # of an equation
_DIGITS = 4  # of a number in a cell, fewer where they do not fit
_GAP = 0.4  # cells between planes
_WIDTHS = {".": 0.32, signs.MINUS: 0.84, "+": 0.84, signs.INFINITY: 0.84}  # of letters, in ems; digits have 0.64
_BETWEEN = 76  # pixels between grids
_HEADING = 22


@dataclass(frozen=True)
class Rect:
    """A cell."""

    x: float
    y: float
    side: float
    fill: str
    edge: str = "#555555"
    width: int = 1
    dashed: bool = False
    hatched: bool = False
    cell: str = ""  # such as "left-0-1-2": grid, plane, row and column


@dataclass(frozen=True)
class Text:
    """A line of text around its middle, or from its left end."""

    x: float
    y: float
    text: str
    size: float
    colour: str = "black"
    middle: bool = True
    bold: bool = False
    cell: str = ""


@dataclass(frozen=True)
class Scene:
    """What to paint, in this order."""

    width: int
    height: int
    parts: list[Any]


def grids(example):
    """Return {"left": grid, "right": grid, "result": grid} of the grids that there are."""
    every = {"left": example.left, "right": example.right, "result": example.result}
    return {key: grid for key, grid in every.items() if grid is not None}


def key(grid, place):
    """Return the name of a cell: "left-0--1-2" is row -1, in the padding."""
    return "-".join([grid, *(str(int(i)) for i in place)])


def scene(example, number=None, *, equation=True, smallest=_SMALLEST):
    """Lay out a worked example.

    Parameters
    ----------
    example : WorkedExample
    number : int or None
        The step to show, with the results up to it; None shows all results and marks no step.
    equation : bool
        False leaves out the line of the equation.
    smallest : float
        Pixels of the smallest number in a cell; where numbers would be smaller, the colour of the cell stands alone.

    Returns
    -------
    Scene
    """
    parts, y = [], 8
    for line in textwrap.wrap(example.title, 62):
        y += 36
        parts.append(Text(MARGIN, y, line, _TITLE, middle=False, bold=True))
    y += 6
    for line in [line for text in (example.rule, *example.sizes) for line in textwrap.wrap(text, 105)]:
        y += 29
        parts.append(Text(MARGIN, y, line, _TEXT, middle=False))
    y += 70
    step = None if number is None else example.steps[number]
    marked = _marked(example, step)
    known = {s.place for s in example.steps[: len(example.steps) if number is None else number + 1]}
    legend, lines = list(_legend(example)), _wrapped(step.equation) if equation and step else []
    below = 34 * len(legend) + (30 * max(len(_wrapped(s.equation)) for s in example.steps) + 14 if lines else 0)
    room = HEIGHT - MARGIN - y - below
    cell, widths, height = _cell(example, room)
    x, y = (WIDTH - sum(widths) - _BETWEEN * (len(widths) - 1)) / 2, y + (room - height * cell) / 3
    for (name, grid), width, sign in zip(grids(example).items(), widths, (*example.signs, ""), strict=False):
        parts.append(Text(x + width / 2, y - 26, _heading(grid), _HEADING, bold=True, colour=EDGES[name]))
        corner = x + (width - _columns(grid) * cell) / 2, y + (height - _rows(grid)) * cell / 2
        parts += sorted(_cells(name, grid, *corner, cell, marked, known, smallest), key=_layer)
        x += width + _BETWEEN
        parts.append(Text(x - _BETWEEN / 2, y + height * cell / 2, sign, 34))
    y += height * cell
    for line in legend:
        y += 34
        parts.append(Text(WIDTH / 2, y, line, _TEXT, colour=FAINT))
    for line in lines:
        y += 30
        parts.append(Text(WIDTH / 2, y + 14, line, _EQUATION, bold=True))
    return Scene(WIDTH, HEIGHT, parts)


def _layer(part):
    """Return what is painted first: thin edges, thick edges, numbers."""
    return part.width if isinstance(part, Rect) else 100


def _wrapped(equation):
    lines = textwrap.wrap(equation, 86)
    if len(lines) <= _LINES:
        return lines
    return [*lines[: _LINES - 1], f"... {equation.rpartition(' = ')[0][-50:]} = {equation.rpartition(' = ')[2]}"]


def _rows(grid):
    """Return the height of a grid in cells, its planes one below the other."""
    count = len(grid.values) // grid.columns
    return count * (grid.values.shape[1] + sum(grid.padding[:2])) + _GAP * (count - 1)


def _columns(grid):
    return grid.columns * (grid.values.shape[2] + sum(grid.padding[2:])) + _GAP * (grid.columns - 1)


def _heading(grid):
    return f"{grid.name} {grid.letter}"


def _cell(example, space):
    """Return (pixels of a cell, pixels across each grid and its heading, rows of the highest)."""
    every = list(grids(example).values())
    height = max(map(_rows, every))
    room = WIDTH - 2 * MARGIN - _BETWEEN * (len(every) - 1)
    cell = min(_LARGEST_CELL, space / height)
    while True:
        widths = [max(_columns(grid) * cell, 0.7 * _HEADING * len(_heading(grid))) for grid in every]
        if sum(widths) <= room:
            return cell, widths, height
        cell *= 0.97


def _marked(example, step):
    """Return {name of a cell: colour of its edge}, and the place that won."""
    if step is None:
        return {}
    marked = {key("left", place): EDGES["left"] for place in step.left}
    marked |= {key("right", place): EDGES["right"] for place in step.right}
    marked[key("result", step.place)] = EDGES["result"]
    if step.chosen:
        marked[key("left", step.chosen)] = EDGES["result"]
    return marked


def _cells(name, grid, x, y, side, marked, known, smallest):
    """Yield the cells of a grid and the numbers in them."""
    planes, rows, columns = grid.values.shape
    top, bottom, left, right = grid.padding
    finite = np.abs(grid.values[np.isfinite(grid.values)])
    largest = finite.max(initial=0) or 1
    digits, size = _digits(grid, side, smallest)
    for plane in range(planes):
        along, down = divmod(plane, planes // grid.columns)  # the channels of a filter, one below the other
        x0 = x + along * (columns + left + right + _GAP) * side
        y0 = y + down * (rows + top + bottom + _GAP) * side
        for h in range(-top, rows + bottom):
            for w in range(-left, columns + right):
                place, inside = (plane, h, w), grid.inside((plane, h, w))
                cell, value = key(name, place), grid.at(place)
                visible = name != "result" or place in known
                edge = marked.get(cell)
                at = x0 + (w + left) * side, y0 + (h + top) * side
                yield Rect(
                    *at,
                    side,
                    fill=tint(value / largest) if inside and visible else PALE if not inside else "#FFFFFF",
                    edge=edge or ("#555555" if inside else "#AAAAAA"),
                    width=max(2, round(side / 14)) if edge else 1,
                    dashed=not inside and not edge,
                    hatched=bool(inside and grid.unread is not None and grid.unread[h, w]),
                    cell=cell,
                )
                if visible and size >= smallest:
                    text = _number(value, digits)
                    yield Text(at[0] + side / 2, at[1] + side / 2, text, size, "black" if inside else FAINT, cell=cell)


def _number(value, digits):
    """Return a number as it stands in a cell."""
    text = short(value) if digits == _DIGITS else f"{value:.{digits}g}"
    return text.replace("inf", signs.INFINITY).replace("-", signs.MINUS)


def _digits(grid, side, smallest):
    """Return (digits of the numbers in a grid, pixels of their letters): as many digits as can be read."""
    values = {*grid.values.ravel().tolist(), *([grid.fill] if any(grid.padding) else [])}
    for digits in range(_DIGITS, 0, -1):
        widest = max(sum(_WIDTHS.get(letter, 0.64) for letter in _number(value, digits)) for value in values)
        size = side * min(0.5, 0.82 / widest)  # with a margin to the edges of the cell
        if size >= smallest:
            break
    return digits, size


def tint(share):
    """Return a colour between white and blue for -1 to 0, white and orange for 0 to 1, pale enough for black text."""
    if not np.isfinite(share):
        return PALE
    full = np.array([213, 94, 0] if share > 0 else [0, 114, 178])
    mixed = 255 + (full - 255) * min(abs(share), 1) * 0.55
    return "#{:02X}{:02X}{:02X}".format(*(round(c) for c in mixed))


def _legend(example):
    """Yield what those edges and hatches mean that occur."""
    words = []
    if any(any(grid.padding) for grid in grids(example).values()):
        words.append("dashed: padding")
    if any(grid.unread is not None and grid.unread.any() for grid in grids(example).values()):
        words.append("hatched: no window reads it")
    if words:
        yield "     ".join(words)
