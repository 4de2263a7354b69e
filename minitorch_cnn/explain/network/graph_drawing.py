"""The graph of autograd as a picture: boxes in the order in which they ran, in rows that turn at their ends."""

from minitorch_cnn.display import figures

_ROW = 7  # boxes in a row


def draw(graph):
    """Draw a `Graph`.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    matplotlib.figure.Figure
        Operations as boxes, parameters as labels below; arrows in the direction of the forward pass. Those off
        the longest path, as at a shortcut, have another colour.
    """
    count = len(graph.operations)
    rows = -(-count // _ROW)
    figure = figures.blank((figures.SLIDE[0], max(4.0, 1.5 * rows + 1.2)))
    axes = figure.subplots()
    places = [_place(number) for number in range(count)]
    path = graph.main_path
    main, branches = set(zip(path, path[1:], strict=False)), False
    for number, operation in enumerate(graph.operations):
        _box(axes, *places[number], operation, last=number == count - 1)
        for i in operation.inputs:
            branches |= (i, number) not in main
            _arrow(axes, places[i], places[number], main=(i, number) in main, neighbours=number - i == 1)
    axes.set_xlim(-0.6, _ROW - 0.4)
    axes.set_ylim(-rows + 0.35, 0.6)
    axes.axis("off")
    _legend(figure, branches)
    return figure


def _place(number):
    """Return (x, y); every second row runs from right to left, so that neighbours stay neighbours."""
    row, column = divmod(number, _ROW)
    return (column if row % 2 == 0 else _ROW - 1 - column), -row


def _colour(operation, last):
    if last:
        return figures.ORANGE
    if operation.leaves:
        return figures.BLUE
    return figures.GREY


def _box(axes, x, y, operation, last):
    from matplotlib.patches import FancyBboxPatch

    style = {"boxstyle": "round,pad=0,rounding_size=0.06", "ec": "black", "zorder": 3}
    axes.add_patch(FancyBboxPatch((x - 0.4, y - 0.16), 0.8, 0.32, fc=_colour(operation, last), **style))
    axes.text(x, y, operation.op, ha="center", va="center", fontsize=11.5, color="white", weight="bold", zorder=4)
    inside = f"{operation.path}." if operation.path else ""
    names = ", ".join(leaf.removeprefix(inside) for leaf in operation.leaves)
    below = "\n".join(filter(None, [operation.path, names])) if names else ""
    axes.text(x, y - 0.2, below, ha="center", va="top", fontsize=9, color=figures.BLUE, zorder=4)


def _arrow(axes, start, end, main, neighbours):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    line = {"arrowstyle": "-|>", "mutation_scale": 13, "lw": 1.6 if main else 2.2, "zorder": 2}
    line |= {"color": "#333333"} if main else {"color": figures.YELLOW, "zorder": 5}
    if not neighbours:
        if y0 == y1:
            points = [(x0, y0 + 0.16), (x0, y0 + 0.55), (x1, y1 + 0.55), (x1, y1 + 0.16)]
        else:
            points = [(x0, y0 - 0.16), (x0, y0 - 0.5), (x1, y1 + 0.5), (x1, y1 + 0.16)]
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
        axes.add_patch(FancyArrowPatch(path=path, fc="none", **line))
        return
    if y0 == y1:
        side = 0.4 if x1 > x0 else -0.4
        points = (x0 + side, y0), (x1 - side, y1)
    else:  # down to the next row, beside the names of the parameters
        points = (x0 + 0.36, y0 - 0.16), (x1 + 0.36, y1 + 0.16)
    axes.add_patch(FancyArrowPatch(*points, shrinkA=0, shrinkB=0, **line))


def _legend(figure, branches):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Patch(fc=figures.ORANGE, label="the result, where backward starts"),
        Patch(fc=figures.BLUE, label="reads parameters (their names below)"),
        Patch(fc=figures.GREY, label="other operations"),
    ]
    if branches:
        marks.append(Line2D([], [], color=figures.YELLOW, lw=3, label="shortcut or side branch"))
    figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=11)
