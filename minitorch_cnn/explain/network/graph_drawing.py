"""The graph of autograd as a picture: boxes in the order in which they ran, in rows from left to right."""

from dataclasses import dataclass

from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.network.boxes import layers, longest_path, single

_TITLE = "The graph of operations, forward along the arrows"
_LETTERS = 100  # below all boxes of a row
_WIDTH, _LINE, _MARGIN = 0.44, 0.06, 0.05  # half a box, half a line in it, half its margins; boxes are 1 apart


@dataclass(frozen=True)
class _Grid:
    """Where boxes lie."""

    columns: int
    rows: int  # of a slide
    top: float = 0.17  # half the height of the highest box

    def place(self, number):
        """Return (x, y) of a box."""
        row, column = divmod(number, self.columns)
        return column, -row


_SHORT = _Grid(7, 4)  # a box for each operation
_LONG = _Grid(8, 3, _MARGIN + 3 * _LINE)  # a box for each layer


def draw(graph):
    """Draw a `Graph`.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    matplotlib.figure.Figure
        Operations as boxes, parameters as labels below; arrows in the direction of the forward pass. Those off
        the longest path, as at a shortcut, have another colour. If a graph has more than four rows, a layer is one box,
        and blocks that repeat are drawn once with their count; what is still longer is higher than a slide.
    """
    boxes, frames, grid = _laid_out(graph)
    rows = -(-len(boxes) // grid.columns)
    slides = max(1, (rows + 0.8) / (grid.rows + 0.8))
    return _drawn(boxes, frames, grid, figures.blank(_TITLE, slides=slides), range(rows), 0.45 - max(rows, 2))


def draw_slides(graph):
    """Draw a `Graph` as `draw` does, its rows divided among as many slides as they need; return the list of them."""
    boxes, frames, grid = _laid_out(graph)
    rows = -(-len(boxes) // grid.columns)
    if rows <= grid.rows:
        return [draw(graph)]
    count = -(-rows // grid.rows)
    slides = []
    for first in range(0, rows, grid.rows):
        title = f"{_TITLE} ({len(slides) + 1} of {count})"
        shown = range(first, min(first + grid.rows, rows))
        slides.append(_drawn(boxes, frames, grid, figures.blank(title), shown, 0.5 - grid.rows - first))
    return slides


def _laid_out(graph):
    """Return the boxes, the frames around those that repeat, and the grid on which they stand."""
    boxes = single(graph)
    if len(boxes) <= _SHORT.columns * _SHORT.rows:
        return boxes, [], _SHORT
    return *layers(graph), _LONG


@figures.style()
def _drawn(boxes, frames, grid, figure, rows, bottom):
    """Draw these rows into a figure, down to a height; arrows lead out of it to the boxes of other rows."""
    axes = figure.subplots()
    path = longest_path([box.inputs for box in boxes])
    main, branches = set(zip(path, path[1:], strict=False)), False
    for number, box in enumerate(boxes):
        if -grid.place(number)[1] in rows:
            _box(axes, grid, number, box, last=number == len(boxes) - 1)
        for i in box.inputs:
            branches |= (i, number) not in main
            _arrow(axes, grid, (boxes, i, number), main=(i, number) in main)
    for frame in frames:
        _frame(axes, grid, frame, boxes[frame.last], rows)
    axes.set_xlim(-0.5, grid.columns - 0.42)
    axes.set_ylim(bottom, 0.28 + grid.top - rows[0])
    axes.axis("off")
    _legend(figure, branches, frames)
    return figure


def _half(box):
    """Return half the height of a box."""
    return max(_SHORT.top, _MARGIN + _LINE * len(box.operations))


def _frame(axes, grid, frame, last, rows):
    """Draw the ground of a block that stands for several, in each of its rows, and their count at its last box."""
    from matplotlib.patches import FancyBboxPatch

    places = [grid.place(number) for number in range(frame.first, frame.last + 1)]
    for row in sorted({y for _, y in places if -y in rows}, reverse=True):
        columns = [x for x, y in places if y == row]
        corner, width = (min(columns) - 0.47, row - 0.5), max(columns) - min(columns) + 0.94
        style = {"boxstyle": "round,pad=0,rounding_size=0.06", "fc": figures.GROUND, "ec": "none", "zorder": 0}
        axes.add_patch(FancyBboxPatch(corner, width, 0.5 + grid.top + 0.06, **style))
    (x, y), text = places[-1], f"{signs.TIMES} {frame.count}"
    if -y not in rows:
        return
    below = y - _half(last) - 0.03 - 0.12 * len(last.label)
    axes.text(x, below, text, ha="center", va="top", fontsize=figures.LABEL, weight="bold", zorder=4)


def _colour(box, last):
    if last:
        return figures.ORANGE
    return figures.BLUE if box.label else figures.SOFT


def _box(axes, grid, number, box, last):
    from matplotlib.patches import FancyBboxPatch

    (x, y), half = grid.place(number), _half(box)
    style = {"boxstyle": "round,pad=0,rounding_size=0.06", "ec": "none", "zorder": 3}
    axes.add_patch(FancyBboxPatch((x - _WIDTH, y - half), 2 * _WIDTH, 2 * half, fc=_colour(box, last), **style))
    text = {"ha": "center", "fontsize": figures.SMALL, "zorder": 4, "linespacing": 1.1}
    axes.text(x, y, "\n".join(box.names), va="center", color="white", **text)
    below = "\n".join(_shortened(line, _LETTERS // grid.columns) for line in box.label)
    axes.text(x, y - half - 0.03, below, va="top", color=figures.BLUE, **text)


def _shortened(path, widest):
    """Return a path as far as it fits below a box: its last parts."""
    if len(path) <= widest:
        return path
    left = path[1 - widest :]
    whole = left if path[-len(left) - 1] == "." else left.partition(".")[2]  # parts, if one fits
    return f"{signs.ELLIPSIS}{whole or left}"


def _arrow(axes, grid, link, main):
    """Draw the arrow of a link: (boxes, index of the one that is read, index of the one that reads)."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    boxes, first, second = link
    (x0, y0), (x1, y1) = grid.place(first), grid.place(second)
    top = y1 + _half(boxes[second])
    line = {"arrowstyle": "-|>", "mutation_scale": 13, "lw": 2, "zorder": 2}
    line |= {"ec": figures.SOFT} if main else {"ec": figures.YELLOW, "zorder": 5}
    line["fc"] = line["ec"]  # of the head
    if y0 == y1 and second - first == 1:
        axes.add_patch(FancyArrowPatch((x0 + _WIDTH, y0), (x1 - _WIDTH, y1), shrinkA=0, shrinkB=0, **line))
        return
    if y0 == y1:  # over the boxes between
        high = y0 + grid.top + 0.22
        x0, x1 = x0 + 0.2, x1 - 0.2
        points = [(x0, y0 + _half(boxes[first])), (x0, high), (x1, high), (x1, top)]
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    else:  # to a lower row: along the gap above it
        shift = 0.04 if main else -0.04
        right, gap = x0 + 0.5 + shift, y1 + grid.top + 0.2 + shift
        start, end = (x0 + _WIDTH, y0 + shift), (x1 + shift, top)
        path = Path([start, (right, start[1]), (right, gap), (end[0], gap), end])
    axes.add_patch(FancyArrowPatch(path=path, **line))


def _legend(figure, branches, frames):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Patch(fc=figures.ORANGE, label="the result, where backward starts"),
        Patch(fc=figures.BLUE, label="reads parameters (their names below)"),
        Patch(fc=figures.SOFT, label="other operations"),
    ]
    if frames:
        marks.insert(2, Patch(fc=figures.GROUND, label="a block that repeats, and how often"))
    if branches:
        marks.append(Line2D([], [], color=figures.YELLOW, label="shortcut or side branch"))
    figure.legend(handles=marks, loc="outside lower center", ncols=3, fontsize=figures.SMALL)
