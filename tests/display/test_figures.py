"""Pictures: the same bytes for the same figure, whole files or none."""

import subprocess
import sys

import pytest

from minitorch_cnn.display import figures
from minitorch_cnn.processes import module_environment


def line():
    figure = figures.blank()
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def test_a_slide_of_1280_by_720_pixels(tmp_path):
    from PIL import Image

    figures.save(line(), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1280, 720)


def test_the_same_picture_has_the_same_bytes():
    for kind in ("png", "svg", "pdf"):
        assert figures.encoded(line(), kind) == figures.encoded(line(), kind)


def test_text_stays_text_in_svg_and_fonts_are_in_the_pdf():
    figure = figures.blank("Receptive field")
    assert b">Receptive field</text>" in figures.encoded(figure, "svg")
    pdf = figures.encoded(figure, "pdf")
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"/Type3" not in pdf


def test_the_style_ends_with_the_drawing():
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.encoded(line(), "png")
    assert dict(matplotlib.rcParams) == before


def test_a_notebook_shows_a_figure():
    assert line()._repr_png_() == figures.encoded(line(), "png")


def test_other_files(tmp_path):
    with pytest.raises(
        ValueError, match=r"figures.save: path - expected the extension .png or .svg or .pdf, got '.*a.jpg'"
    ):
        figures.save(line(), tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError):
        figures.save(line(), tmp_path / "nowhere" / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings, variables, told",
    [
        (b"font.size: 12\n\xff\n", {}, "mend or remove the file matplotlibrc"),
        (b"", {"MPLBACKEND": "nonsense"}, "unset MPLBACKEND, or set it to a backend of matplotlib: it is 'nonsense'"),
    ],
    ids=["not text", "backend"],
)
def test_settings_with_which_matplotlib_cannot_be_imported_are_named(tmp_path, settings, variables, told):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    program = """
from minitorch_cnn.display import figures
try:
    figures.blank()
except OSError as error:
    print(error)
"""
    options = {"cwd": tmp_path, "env": module_environment(**variables), "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", program], **options)
    assert done.stdout.startswith(told) and done.returncode == 0, done.stderr
