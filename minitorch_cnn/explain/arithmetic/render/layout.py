"""A worked example laid out on a slide: rectangles and texts, which `png` and `svg` draw.

Orange is the window, blue the kernel, green the result. The tint of a cell shows the sign: blue below zero, orange
above. Dashed cells are padding; no window reads hatched ones.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitorch_cnn.display import figures
from minitorch_cnn.explain.arithmetic.text import short

WIDTH, MARGIN = 1600, 40  # pixels
EDGES = {"left": figures.ORANGE, "right": figures.BLUE, "result": figures.GREEN}
PALE, FAINT = "#F4F4F4", "#777777"
_LARGEST_CELL, _ROOM = 84, 540  # of a cell, and the height of the grids
_SMALLEST_NUMBER = 22  # pixels; smaller cells show their colour alone
_LINES = 3  # of an equation
_GAP = 0.4  # cells between planes
_BETWEEN = 100  # pixels between grids
_HEADING = 24


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


def scene(example, number=None, *, equation=True):
    """Lay out a worked example.

    Parameters
    ----------
    example : WorkedExample
    number : int or None
        The step to show, with the results up to it; None shows all results and marks no step.
    equation : bool
        False leaves out the line of the equation.

    Returns
    -------
    Scene
    """
    parts, y = [], 45
    parts.append(Text(MARGIN, y, example.title, 34, middle=False, bold=True))
    for line in [example.rule, *(line for text in example.sizes for line in textwrap.wrap(text, 125))]:
        y += 38
        parts.append(Text(MARGIN, y, line, 23, middle=False))
    y += 90
    step = None if number is None else example.steps[number]
    marked = _marked(example, step)
    shown = len(example.steps) if number is None else number + 1
    known = {s.place for s in example.steps[:shown]}
    cell, widths, height = _cell(example)
    x = (WIDTH - sum(widths) - _BETWEEN * (len(widths) - 1)) / 2
    for (name, grid), width, sign in zip(grids(example).items(), widths, (*example.signs, ""), strict=False):
        parts.append(Text(x + width / 2, y - 30, _heading(grid), _HEADING, bold=True, colour=EDGES[name]))
        corner = x + (width - _columns(grid) * cell) / 2, y + (height - _rows(grid)) * cell / 2
        parts += sorted(_cells(name, grid, *corner, cell, marked, known), key=_layer)
        x += width + _BETWEEN
        parts.append(Text(x - _BETWEEN / 2, y + height * cell / 2, sign, 40))
    y += height * cell + 20
    for line in _legend(example):
        y += 30
        parts.append(Text(WIDTH / 2, y, line, 20, colour=FAINT))
    if equation and example.steps:
        lines = _wrapped(step.equation) if step else []
        for i, line in enumerate(lines):
            parts.append(Text(WIDTH / 2, y + 50 + 38 * i, line, 25, bold=True))
        y += 38 * max(len(_wrapped(s.equation)) for s in example.steps) + 20 if number is not None else 0
    return Scene(WIDTH, int(y + 40), parts)


def _layer(part):
    """Return what is painted first: thin edges, thick edges, numbers."""
    return part.width if isinstance(part, Rect) else 100


def _wrapped(equation):
    lines = textwrap.wrap(equation, 96)
    if len(lines) <= _LINES:
        return lines
    return [*lines[: _LINES - 1], f"... {equation.rpartition(' = ')[0][-60:]} = {equation.rpartition(' = ')[2]}"]


def _rows(grid):
    """Return the height of a grid in cells, its planes one below the other."""
    count = len(grid.values) // grid.columns
    return count * (grid.values.shape[1] + sum(grid.padding[:2])) + _GAP * (count - 1)


def _columns(grid):
    return grid.columns * (grid.values.shape[2] + sum(grid.padding[2:])) + _GAP * (grid.columns - 1)


def _heading(grid):
    return f"{grid.name} {grid.letter}"


def _cell(example):
    """Return (pixels of a cell, pixels across each grid and its heading, rows of the highest)."""
    every = list(grids(example).values())
    height = max(map(_rows, every))
    room = WIDTH - 2 * MARGIN - _BETWEEN * (len(every) - 1)
    cell = min(_LARGEST_CELL, _ROOM / height)
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


def _cells(name, grid, x, y, side, marked, known):
    """Yield the cells of a grid and the numbers in them."""
    planes, rows, columns = grid.values.shape
    top, bottom, left, right = grid.padding
    finite = np.abs(grid.values[np.isfinite(grid.values)])
    largest = finite.max(initial=0) or 1
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
                if visible and side >= _SMALLEST_NUMBER:
                    text = short(value).replace("inf", "\N{INFINITY}").replace("-", "\N{MINUS SIGN}")
                    size = side * min(0.42, 1.45 / max(len(text), 1))
                    yield Text(at[0] + side / 2, at[1] + side / 2, text, size, "black" if inside else FAINT, cell=cell)


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
