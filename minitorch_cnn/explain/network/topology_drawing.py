"""Topologies as pictures: a bar for each layer, and an arc for each shortcut."""

import dataclasses
import math

from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.network.repeats import Step, fold

COLOURS = {
    "input": figures.GREY,
    "conv": figures.BLUE,
    "pool": figures.ORANGE,
    "full": figures.GREEN,
    "resize": figures.PINK,
    "add": figures.YELLOW,
    "product": figures.YELLOW,
    "concat": figures.YELLOW,
    "": "white",
}
NAMES = {
    "conv": "convolution",
    "pool": "pooling",
    "full": "fully connected layer",
    "resize": "resize",
    "add": "sum",
    "product": "product",
    "concat": "concatenation",
    "": "not known",
}
_SIGNS = {"add": "+", "product": signs.TIMES, "concat": "||"}
_ROW = 44  # columns; longer networks continue in the next row
_ROWS = 4  # of a slide
_LABELLED = 32  # columns; of longer networks repeated blocks are drawn once, then only the first of a size is labelled


def bar_height(node, largest):
    """Return the height of a layer, 0.12 to 1: the square root of its side, so that small maps are visible."""
    return max(0.12, math.sqrt(node.side / largest))


@figures.style()
def draw(topology):
    """Draw a topology.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    matplotlib.figure.Figure
        Of a long network, blocks that repeat are drawn once, in a frame with their count. What is still long is cut
        into rows where only one output is still needed.
    """
    frames = []
    if max(topology.columns) > _LABELLED:
        topology, frames = _folded(topology)
    columns = topology.columns
    rows = _rows(topology.nodes, columns, frames)
    widest = max(last - first + 1 for first, last in rows)
    labelled = max(columns) <= _LABELLED
    figure = figures.blank(topology.name, slides=max(1, len(rows) / _ROWS))
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for (first, last), row in zip(rows, axes, strict=True):
        places = _places(topology.nodes, columns, first, last)
        _draw_row(row, topology, places, labelled, below=1.0 if frames else 0.6)
        for frame in frames:
            _draw_frame(row, [places[i] for i in range(frame.first, frame.last + 1) if i in places], frame.count)
        row.set_xlim(-1.2, widest - 0.2)
    _legend(figure, {node.kind for node in topology.nodes})
    return figure


def _folded(topology):
    """Return a topology in which one block stands for all that repeat it, and the frames around these."""
    steps = []
    for node in topology.nodes:
        channels = () if node.kind == "concat" else node.shape[:1]  # those of concatenations grow in every block
        steps.append(Step((node.kind, node.text, node.notes, node.side, channels), tuple(node.inputs), node.path))
    kept, inputs, frames = fold(steps)
    nodes = [
        dataclasses.replace(topology.nodes[i], inputs=list(reads)) for i, reads in zip(kept, inputs, strict=True)
    ]
    return dataclasses.replace(topology, nodes=nodes), frames


def _rows(nodes, columns, frames):
    """Return (first column, last column) of each row; no row ends inside a frame that fits into one."""
    end = max(columns)
    sources = [set() for _ in range(end + 1)]  # whose output is needed after a column
    for number, node in enumerate(nodes):
        for i in node.inputs:
            for column in range(columns[i], columns[number]):
                sources[column].add(i)
    inside = [range(columns[frame.first], columns[frame.last]) for frame in frames]
    whole = {column for columns_of in inside if len(columns_of) < _ROW for column in columns_of}
    rows, first = [], 0
    while end - first + 1 > _ROW:
        cuts = [column for column in range(first, end) if len(sources[column]) == 1 and column not in whole]
        near = [column for column in cuts if column - first < _ROW] or cuts[:1]
        if not near:
            break
        rows.append((first, near[-1]))
        first = near[-1] + 1
    return [*rows, (first, end)]


def _places(nodes, columns, first, last):
    """Return {number: (x, y)}: the column, and 0 or a level below for what runs beside the main path."""
    places, level, reader = {}, {}, {}
    for number, node in enumerate(nodes):
        for i in node.inputs:
            reader[i] = min(reader.get(i, columns[number]), columns[number])
    inside = [n for n, column in enumerate(columns) if first <= column <= last]
    # What is read in the next column is on the longest path; a shortcut waits for it.
    for number in sorted(inside, key=lambda n: (columns[n], reader.get(n, 0), n)):
        column = columns[number]
        places[number] = (column - first, -1.0 * level.get(column, 0))
        level[column] = level.get(column, 0) + 1
    return places


def _draw_frame(axes, places, count):
    """Draw a frame around a block that stands for several, with their count; nothing if it is in another row."""
    from matplotlib.patches import FancyBboxPatch

    if not places:
        return
    (left, right), lowest = (edge(x for x, _ in places) for edge in (min, max)), min(y for _, y in places)
    style = {"boxstyle": "round,pad=0,rounding_size=0.2", "fc": figures.GROUND, "ec": "none", "zorder": 0}
    axes.add_patch(FancyBboxPatch((left - 0.45, lowest - 0.95), right - left + 0.9, 1.9 - lowest, **style))
    text = {"ha": "center", "va": "bottom", "fontsize": figures.LABEL, "weight": "bold", "zorder": 5}
    axes.text((left + right) / 2, lowest - 0.92, f"{signs.TIMES} {count}", **text)


def _draw_row(axes, topology, places, labelled, below):
    """Draw the layers of a row; their sizes stand ``below`` the lowest one."""
    nodes, lowest = topology.nodes, min(y for _, y in places.values())
    largest = max(node.side for node in nodes)
    arcs = any(len(node.inputs) > 1 for node in nodes)
    shown = None
    for number, (x, y) in places.items():
        node = nodes[number]
        height = bar_height(node, largest)
        _draw_node(axes, node, x, y, height)
        size = _size(node)
        if y == 0 and (size != shown if labelled else shown is None or size.split()[-1] != shown.split()[-1]):
            shown = size
            slanted = {"ha": "right", "va": "top", "rotation": 45, "rotation_mode": "anchor", "fontsize": figures.SMALL}
            axes.text(x + 0.2, lowest - below, size, **slanted)
        if labelled:
            _label(axes, node, x, y, max(height / 2, 0.7 if arcs else 0))
        for i in node.inputs:
            outside = (-1.0, 0.0)  # in the row before
            start = places.get(i, outside)
            start_height = bar_height(nodes[i], largest) if nodes[i].kind not in _SIGNS else 0.1
            resized = node.kind == "add" and nodes[i].shape != node.shape
            _connect(axes, start, (x, y), start_height, dashed=resized)
    axes.set_ylim(lowest - below, 1.0 if arcs else 0.6)  # words stand outside
    axes.axis("off")


def _label(axes, node, x, y, top):
    """Write what a layer does above its bar, or beside it on a branch; the label of a sum is what follows it."""
    parts = node.notes if node.kind in _SIGNS else [node.text, *node.notes]
    text = " ".join(filter(None, parts))
    if y == 0:
        above = {"ha": "left", "va": "bottom", "rotation": 45, "rotation_mode": "anchor", "fontsize": figures.SMALL}
        axes.text(x, top + 0.08, text, **above)
    else:
        axes.text(x + 0.45, y - 0.3, text, ha="left", va="center", fontsize=figures.SMALL)


def _draw_node(axes, node, x, y, height):
    from matplotlib.patches import FancyBboxPatch

    if node.kind in _SIGNS:
        axes.plot(x, y, "o", ms=18, mfc=COLOURS[node.kind], mec="black", zorder=4)
        axes.text(x, y, _SIGNS[node.kind], ha="center", va="center", fontsize=figures.SMALL, zorder=5)
        return
    style = {"boxstyle": "round,pad=0,rounding_size=0.05", "fc": COLOURS[node.kind], "ec": "black", "zorder": 3}
    axes.add_patch(FancyBboxPatch((x - 0.3, y - height / 2), 0.6, height, **style))


def _connect(axes, start, end, height, dashed):
    """Draw an arrow to the neighbour, or an arc over the layers that a shortcut skips.

    ``height`` is that of the start; a shortcut that changes the shape, such as option A of ResNet, is dashed.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    (x0, y0), (x1, y1) = start, end
    line = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "#333333", "lw": 1.3, "ls": "--" if dashed else "-"}
    if x1 - x0 <= 1 or y0 != y1:
        axes.add_patch(FancyArrowPatch((x0 + 0.3, y0), (x1 - 0.3, y1), shrinkA=0, shrinkB=0, zorder=2, **line))
        return
    top = 0.85 + 0.01 * (x1 - x0)
    points = [(x0, y0 + height / 2), (x0 + 0.2, y0 + top), (x1 - 0.2, y1 + top), (x1, y1 + 0.14)]
    path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    axes.add_patch(FancyArrowPatch(path=path, fc="none", zorder=6, **line))


def _size(node):
    """Return the shape of a map as "64 × 56²", or the length of a vector."""
    if len(node.shape) == 3 and node.shape[1] == node.shape[2]:
        return f"{node.shape[0]} × {node.shape[1]}²" if node.shape[1] > 1 else str(node.shape[0])
    return " × ".join(map(str, node.shape))


def _legend(figure, kinds):
    from matplotlib.patches import Patch

    shown = [kind for kind in NAMES if kind in kinds]
    patches = [Patch(fc=COLOURS[kind], ec="black", label=NAMES[kind]) for kind in shown]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), 5))
