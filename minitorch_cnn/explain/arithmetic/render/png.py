"""Scenes as pixels: a PNG, and a GIF with one frame for each step."""

import functools
import io
import pathlib

from minitorch_cnn.explain.arithmetic.render.layout import Rect, scene

_MOST_FRAMES = 200
_MILLISECONDS, _LAST = 900, 3000  # for which a frame is shown
_HATCH = 9  # pixels between the lines


def png(example, number=None):
    """Return a worked example as the bytes of a PNG file; ``number``: the step to mark, None shows all results."""
    buffer = io.BytesIO()
    paint(scene(example, number)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def gif(example):
    """Return a worked example as the bytes of a GIF file, which shows one result after the other.

    Raises
    ------
    ValueError
        If that would be more than 200 frames.
    """
    if len(example.steps) > _MOST_FRAMES:
        raise ValueError(f"save: path - expected a .gif of at most {_MOST_FRAMES} results, got {len(example.steps)}")
    from PIL import Image

    frames = [paint(scene(example, number)) for number in range(len(example.steps))]
    palette = frames[-1].quantize(128, method=Image.Quantize.MAXCOVERAGE)
    frames = [frame.quantize(palette=palette, dither=0) for frame in frames]
    durations = [_MILLISECONDS] * (len(frames) - 1) + [_LAST]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=1)
    return buffer.getvalue()


def paint(drawn):
    """Return a `Scene` as a Pillow image."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (drawn.width, drawn.height), "white")
    draw = ImageDraw.Draw(image)
    for part in drawn.parts:
        if isinstance(part, Rect):
            _rectangle(draw, part)
        else:
            anchor = "mm" if part.middle else "lm"
            draw.text((part.x, part.y), part.text, part.colour, _font(round(part.size, 1), part.bold), anchor=anchor)
    return image


@functools.lru_cache(maxsize=64)
def _font(size, bold):
    """Return matplotlib's own font, which has minus signs and infinities."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _rectangle(draw, rect):
    x0, y0, x1, y1 = rect.x, rect.y, rect.x + rect.side, rect.y + rect.side
    draw.rectangle((x0, y0, x1, y1), rect.fill)
    if rect.hatched:
        for c in range(_HATCH, int(2 * rect.side), _HATCH):  # lines x + y = c, cut at the edges
            low, high = max(0, c - rect.side), min(c, rect.side)
            draw.line((x0 + low, y0 + c - low, x0 + high, y0 + c - high), "#888888", 1)
    if rect.dashed:
        for a in range(0, int(rect.side), 8):
            b = min(a + 4, rect.side)
            for line in ((x0 + a, y0, x0 + b, y0), (x0 + a, y1, x0 + b, y1)):
                draw.line(line, rect.edge)
            for line in ((x0, y0 + a, x0, y0 + b), (x1, y0 + a, x1, y0 + b)):
                draw.line(line, rect.edge)
        return
    draw.rectangle((x0, y0, x1, y1), None, rect.edge, rect.width)
