"""Pictures: the same bytes for the same figure, whole files or none."""

import pytest

from minitorch_cnn.display import figures


def line():
    figure = figures.blank()
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def test_a_slide_of_1600_by_900_pixels(tmp_path):
    from PIL import Image

    figures.save(line(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1600, 900)


def test_the_same_picture_has_the_same_bytes():
    for kind in ("png", "svg"):
        assert figures.encoded(line(), kind) == figures.encoded(line(), kind)
    assert b"<svg" in figures.encoded(line(), "svg")


def test_a_notebook_shows_a_figure():
    assert line()._repr_png_() == figures.encoded(line(), "png")


def test_other_files(tmp_path):
    with pytest.raises(ValueError, match=r"figures.save: path - expected the extension .png or .svg, got '.*a.jpg'"):
        figures.save(line(), tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError):
        figures.save(line(), tmp_path / "nowhere" / "a.png")
    assert not list(tmp_path.iterdir())
