"""The graph of autograd as a picture: boxes in the order in which they ran, in rows from left to right."""

import dataclasses

from minitorch_cnn.display import figures
from minitorch_cnn.explain.network.repeats import Step, fold

_ROW, _ROWS = 7, 4  # boxes in a row, rows of a slide
_WIDEST = 15  # characters below a box
_HALF = 0.17  # height of half a box; rows are 1 apart


@figures.style()
def draw(graph):
    """Draw a `Graph`.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    matplotlib.figure.Figure
        Operations as boxes, parameters as labels below; arrows in the direction of the forward pass. Those off
        the longest path, as at a shortcut, have another colour. If a graph has more than four rows, blocks that
        repeat are drawn once with their count; what is still longer is higher than a slide.
    """
    frames = []
    if len(graph.operations) > _ROW * _ROWS:
        graph, frames = _folded(graph)
    count = len(graph.operations)
    rows = -(-count // _ROW)
    figure = figures.blank(
        "The graph of operations, forward along the arrows", slides=max(1, (rows + 0.8) / (_ROWS + 0.8))
    )
    axes = figure.subplots()
    places = [_place(number) for number in range(count)]
    path = graph.main_path
    main, branches = set(zip(path, path[1:], strict=False)), False
    for number, operation in enumerate(graph.operations):
        _box(axes, *places[number], operation, last=number == count - 1)
        for i in operation.inputs:
            branches |= (i, number) not in main
            _arrow(axes, places[i], places[number], main=(i, number) in main, neighbours=number - i == 1)
    for frame in frames:
        _frame(axes, frame, graph.operations[frame.last])
    axes.set_xlim(-0.6, _ROW - 0.4)
    axes.set_ylim(0.35 - max(rows, 2), 0.55)
    axes.axis("off")
    _legend(figure, branches, frames)
    return figure


def _folded(graph):
    """Return a graph in which one block stands for all that repeat it, and the frames around these."""
    steps = []
    for operation in graph.operations:
        names = tuple(leaf.rpartition(".")[2] for leaf in operation.leaves)
        steps.append(Step((operation.op, names), operation.inputs, operation.path))
    kept, inputs, frames = fold(steps)
    operations = [dataclasses.replace(graph.operations[i], inputs=reads) for i, reads in zip(kept, inputs, strict=True)]
    return dataclasses.replace(graph, operations=operations), frames


def _frame(axes, frame, last):
    """Draw the ground of a block that stands for several, in each of its rows, and their count at its last box."""
    from matplotlib.patches import FancyBboxPatch

    places = [_place(number) for number in range(frame.first, frame.last + 1)]
    for row in sorted({y for _, y in places}, reverse=True):
        columns = [x for x, y in places if y == row]
        corner, width = (min(columns) - 0.47, row - 0.5), max(columns) - min(columns) + 0.94
        style = {"boxstyle": "round,pad=0,rounding_size=0.06", "fc": "#E3E8EE", "ec": "none", "zorder": 0}
        axes.add_patch(FancyBboxPatch(corner, width, 0.5 + _HALF + 0.06, **style))
    (x, y), text = places[-1], f"\N{MULTIPLICATION SIGN} {frame.count}"
    lines = 2 if last.leaves else 0  # below the names of what the box reads
    below = y - _HALF - 0.03 - 0.12 * lines
    axes.text(x, below, text, ha="center", va="top", fontsize=figures.LABEL, weight="bold", zorder=4)


def _place(number):
    """Return (x, y) of a box."""
    row, column = divmod(number, _ROW)
    return column, -row


def _colour(operation, last):
    if last:
        return figures.ORANGE
    if operation.leaves:
        return figures.BLUE
    return figures.SOFT


def _box(axes, x, y, operation, last):
    from matplotlib.patches import FancyBboxPatch

    style = {"boxstyle": "round,pad=0,rounding_size=0.06", "ec": "none", "zorder": 3}
    fill = _colour(operation, last)
    axes.add_patch(FancyBboxPatch((x - 0.42, y - _HALF), 0.84, 2 * _HALF, fc=fill, **style))
    text = {"ha": "center", "fontsize": figures.SMALL, "zorder": 4}
    axes.text(x, y, operation.op, va="center", color="white", **text)
    inside = f"{operation.path}." if operation.path else ""
    names = ", ".join(leaf.removeprefix(inside) for leaf in operation.leaves)
    below = "\n".join(filter(None, [_shortened(operation.path), names])) if names else ""
    axes.text(x, y - _HALF - 0.03, below, va="top", color=figures.BLUE, linespacing=1.1, **text)


def _shortened(path):
    """Return a path as far as it fits below a box: its end."""
    return path if len(path) <= _WIDEST else f"\N{HORIZONTAL ELLIPSIS}{path[1 - _WIDEST :]}"


def _arrow(axes, start, end, main, neighbours):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    line = {"arrowstyle": "-|>", "mutation_scale": 16, "lw": 2, "zorder": 2}
    line |= {"color": figures.SOFT} if main else {"color": figures.YELLOW, "zorder": 5}
    if y0 == y1 and neighbours:
        axes.add_patch(FancyArrowPatch((x0 + 0.42, y0), (x1 - 0.42, y1), shrinkA=0, shrinkB=0, **line))
        return
    if y0 == y1:  # over the boxes between
        points = [(x0, y0 + _HALF), (x0, y0 + 0.5), (x1, y1 + 0.5), (x1, y1 + _HALF)]
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    else:  # to a lower row: along the gap above it
        shift = 0.05 if main else -0.05
        right, gap = x0 + 0.5 + shift, y1 + 0.33 + shift
        path = Path(
            [(x0 + 0.42, y0 + shift), (right, y0 + shift), (right, gap), (x1 + shift, gap), (x1 + shift, y1 + _HALF)]
        )
    axes.add_patch(FancyArrowPatch(path=path, fc="none", **line))


def _legend(figure, branches, frames):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Patch(fc=figures.ORANGE, label="the result, where backward starts"),
        Patch(fc=figures.BLUE, label="reads parameters (their names below)"),
        Patch(fc=figures.SOFT, label="other operations"),
    ]
    if branches:
        marks.append(Line2D([], [], color=figures.YELLOW, label="shortcut or side branch"))
    if frames:
        marks.append(Patch(fc="#E3E8EE", label="a block that repeats, and how often"))
    figure.legend(handles=marks, loc="outside lower center", ncols=2, fontsize=figures.LABEL)
