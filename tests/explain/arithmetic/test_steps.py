"""What a told computation can be saved as: pictures, films, drawings, text."""

import io
import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import explain
from minitorch_cnn.explain.arithmetic.render import png, svg
from minitorch_cnn.explain.arithmetic.render.layout import Rect, Text, scene, tint

X = np.arange(36).reshape(6, 6) % 7
SOBEL = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
STORIES = {
    "conv": lambda: explain.conv(X, SOBEL, stride=2, padding=(1, 0, 0, 1)),
    "signal": lambda: explain.conv(np.ones((2, 9)), np.ones((3, 2, 2)), dilation=2),
    "wide": lambda: explain.conv(np.ones((32, 32)), np.ones((5, 5)), stride=2),
    "input": lambda: explain.conv_gradient(X, SOBEL, stride=2),
    "weight": lambda: explain.conv_gradient(X, SOBEL, "weight"),
    "max": lambda: explain.pool(X, 3, stride=2, padding=1),
    "avg": lambda: explain.pool_gradient(X, 2, "avg"),
    "deep": lambda: explain.conv(np.ones((5, 7, 7)), np.ones((2, 5, 3, 3))),
}


def numbers(drawn, grid):
    """Return {cell: its number as drawn} of a grid."""
    texts = (part for part in drawn.parts if isinstance(part, Text) and part.cell.startswith(grid))
    return {part.cell: float(part.text.replace("\N{MINUS SIGN}", "-").replace("\N{INFINITY}", "inf")) for part in texts}


@pytest.mark.parametrize("name", STORIES)
def test_everything_lies_on_the_slide_and_cells_do_not_overlap(name):
    drawn = scene(STORIES[name](), 1)
    assert (drawn.width, drawn.height) == (1280, 720)
    rects = [part for part in drawn.parts if isinstance(part, Rect)]
    for rect in rects:
        assert rect.x >= 0 and rect.x + rect.side <= drawn.width and rect.y >= 0 and rect.y + rect.side < drawn.height
    for a, b in itertools.combinations(rects[:300], 2):
        assert max(abs(a.x - b.x), abs(a.y - b.y)) >= a.side - 0.01, (a.cell, b.cell)


@pytest.mark.parametrize("name", STORIES)
def test_no_line_is_wider_than_the_slide(name):
    image = png.paint(scene(STORIES[name](), 0))
    edges = np.asarray(image)[:, [0, 1, 2, -3, -2, -1]]
    assert (edges == 255).all()


def test_a_step_marks_its_window_and_hides_the_results_behind_it():
    story = STORIES["conv"]()
    drawn = scene(story, 2)
    thick = {part.cell for part in drawn.parts if isinstance(part, Rect) and part.width > 1}
    assert thick == {
        *(f"left-0-{h}-{w}" for h in (-1, 0, 1) for w in (4, 5, 6)),
        *(f"right-0-{u}-{v}" for u in range(3) for v in range(3)),
        "result-0-0-2",
    }
    assert list(numbers(drawn, "result").values()) == story.result.values.ravel()[:3].tolist()
    assert list(numbers(scene(story), "result").values()) == story.result.values.ravel().tolist()


def test_the_maximum_stands_out_and_its_padding_is_minus_infinity():
    story = STORIES["max"]()
    drawn = scene(story, 0)
    edges = {part.cell: part.edge for part in drawn.parts if isinstance(part, Rect) and part.width > 1}
    assert edges.pop("left-0-1-0") == edges.pop("result-0-0-0")
    assert set(edges) == {"left-0-0-0", "left-0-0-1", "left-0-1-1"}
    assert numbers(drawn, "left")["left-0--1--1"] == -np.inf


def test_hatches_cover_what_no_window_reads():
    hatched = {part.cell for part in scene(STORIES["input"]()).parts if isinstance(part, Rect) and part.hatched}
    assert hatched == {f"result-0-{h}-{w}" for h in range(6) for w in range(6) if h == 5 or w == 5}


def test_filters_stand_side_by_side_and_their_channels_below_one_another():
    at = {part.cell: (part.x, part.y) for part in scene(STORIES["deep"]()).parts if isinstance(part, Rect)}
    assert at["right-0-0-0"][0] == at["right-4-0-0"][0] < at["right-5-0-0"][0]  # planes 0 to 4: the first filter
    assert at["right-0-0-0"][1] == at["right-5-0-0"][1] < at["right-1-0-0"][1]


def test_tints_tell_signs_apart_and_leave_black_text_readable():
    assert tint(0) == "#FFFFFF" and tint(1) != tint(-1) and tint(float("nan")) == "#F4F4F4"
    for share in (-1, 1):
        red, green, blue = (int(tint(share)[i : i + 2], 16) / 255 for i in (1, 3, 5))
        luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        assert (luminance + 0.05) / 0.05 > 7  # the contrast that WCAG asks for at its highest level


def test_a_film_has_a_frame_for_every_result(tmp_path):
    story = STORIES["conv"]()
    story.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == len(story.steps) == 9
        durations = []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
            expected = np.asarray(png.paint(scene(story, number)), int)
            assert np.abs(np.asarray(film.convert("RGB"), int) - expected).mean() < 2
    assert durations == [900] * 8 + [3000]


def test_pictures_by_step(tmp_path):
    story = STORIES["conv"]()
    story.save(tmp_path / "a.png", step=3)
    with Image.open(tmp_path / "a.png") as image, Image.open(io.BytesIO(png.png(story, 3))) as same:
        assert image.size == (1280, 720) and image.tobytes() == same.tobytes()
    assert png.png(story) != png.png(story, 3)
    story.save(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == f"{story}\n"


@pytest.mark.parametrize("name", STORIES)
def test_svg_is_whole_and_holds_the_numbers(name):
    story = STORIES[name]()
    root = ET.fromstring(story._repr_svg_())
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert story.title in texts
    cells = [e.get("data-cell") for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("data-cell")]
    assert len(cells) == len(set(cells)) and len([c for c in cells if c.startswith("result")]) == len(story.steps)
    assert re.sub(r"\s", "", svg.svg(story, 0)) != re.sub(r"\s", "", svg.svg(story))


@pytest.mark.parametrize(
    "name, path, options, message",
    [
        (
            "conv",
            "a.jpg",
            {},
            "save: path - expected the extension .png or .svg or .pdf or .gif or .html or .txt, got '.*a.jpg'",
        ),
        ("conv", "a.png", {"step": 9}, "save: step - expected 0 to 8, got 9"),
        ("conv", "a.png", {"step": -1}, "save: step - expected 0 to 8, got -1"),
    ],
)
def test_bad_files(tmp_path, name, path, options, message):
    with pytest.raises(ValueError, match=message):
        STORIES[name]().save(tmp_path / path, **options)


def test_a_film_is_not_endless(tmp_path):
    story = explain.conv(np.ones((15, 15)), [[1]])
    with pytest.raises(ValueError, match=r"save: path - expected a .gif of at most 200 results, got 225"):
        story.save(tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
