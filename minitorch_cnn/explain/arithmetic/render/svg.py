"""Scenes as SVG."""

from html import escape

from minitorch_cnn.explain.arithmetic.render.layout import Rect, scene

_HATCH = (
    '<defs><pattern id="hatch" width="9" height="9" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line x1="0" y1="0" x2="0" y2="9" stroke="#888888"/></pattern></defs>'
)


def svg(example, number=None):
    """Return a worked example as an SVG document; ``number`` is the step that is marked, None shows all results."""
    return drawing(scene(example, number))


def drawing(drawn):
    """Return a `Scene` as SVG; each cell and its number carry ``data-cell``, such as "left-0-1-2"."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawn.width} {drawn.height}" '
        'font-family="DejaVu Sans, Verdana, sans-serif">',
        _HATCH,
        f'<rect width="{drawn.width}" height="{drawn.height}" fill="white"/>',
    ]
    for part in drawn.parts:
        lines += _cell(part) if isinstance(part, Rect) else [_text(part)]
    return "\n".join([*lines, "</svg>"])


def _cell(rect):
    place = f'x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.side:.1f}" height="{rect.side:.1f}"'
    dashes = ' stroke-dasharray="4 4"' if rect.dashed else ""
    stroke = f'stroke="{rect.edge}" stroke-width="{rect.width}"{dashes}'
    yield f'<rect {place} fill="{rect.fill}" {stroke} data-cell="{escape(rect.cell)}"/>'
    if rect.hatched:
        yield f'<rect {place} fill="url(#hatch)" pointer-events="none"/>'


def _text(text):
    look = f' font-weight="{"bold" if text.bold else "normal"}" fill="{text.colour}"'
    anchor = ' text-anchor="middle"' if text.middle else ""
    cell = f' data-cell="{escape(text.cell)}"' if text.cell else ""
    at = f'x="{text.x:.1f}" y="{text.y:.1f}" font-size="{text.size:.1f}" dominant-baseline="central"'
    return f"<text {at}{anchor}{look}{cell}>{escape(text.text)}</text>"
