"""Scenes as figures of matplotlib, which writes them as PDF."""

from minitorch_cnn.display import figures
from minitorch_cnn.explain.arithmetic.render.layout import HEIGHT, WIDTH, Rect, scene


def pdf(example, number=None):
    """Return a worked example as the bytes of a PDF file; ``number``: the step to mark, None shows all results."""
    return figures.encoded(figure(scene(example, number)), "pdf")


@figures.style()
def figure(drawn):
    """Return a `Scene` as a matplotlib Figure of the same size, its parts at the same places."""
    from matplotlib.patches import Rectangle

    made = figures.blank()
    made.set_layout_engine("none")
    axes = made.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0), autoscale_on=False)
    axes.axis("off")
    point = 72 * figures.SLIDE[1] / HEIGHT  # points of a pixel
    for order, part in enumerate(drawn.parts):
        if isinstance(part, Rect):
            look = {"fc": part.fill, "ec": part.edge, "lw": part.width * point, "ls": "--" if part.dashed else "-"}
            axes.add_patch(Rectangle((part.x, part.y), part.side, part.side, zorder=order, **look))
            if part.hatched:
                hatch = {"fill": False, "ec": figures.GREY, "lw": 0, "hatch": "//"}
                axes.add_patch(Rectangle((part.x, part.y), part.side, part.side, zorder=order, **hatch))
            continue
        look = {"color": part.colour, "weight": "bold" if part.bold else "normal", "fontsize": part.size * point}
        place = {"ha": "center" if part.middle else "left", "va": "center_baseline", "zorder": order}
        axes.text(part.x, part.y, part.text, parse_math=False, **look, **place)
    return made
