"""Pictures beside what a network sees of them: the pixels it gets, the part that is used, the answers."""

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import data, explain


def row(*values):
    return {f"class {k}": value for k, value in enumerate(values)}


@pytest.fixture
def pictures(tmp_path):
    """Write pictures of several shapes; return their paths."""
    rng, paths = np.random.default_rng(0), []
    for i, (height, width) in enumerate([(6, 6), (12, 6), (6, 15), (8, 9), (7, 7)]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def seen(paths, size=4, channels=3):
    images = np.stack([data.read_picture(path, size, channels) for path in paths])
    return explain.seen(paths, [row(0.25, 0.7, 0.01, 0.04)] * len(paths), size, channels), images


@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_is_drawn_as_it_is_and_as_it_is_seen(pictures, channels):
    view, images = seen(pictures[:3], channels=channels)
    axes = view.figure().axes
    for i, path in enumerate(pictures[:3]):
        whole, small, bars = axes[i], axes[3 + i], axes[6 + i]
        assert np.array_equal(whole.images[0].get_array(), data.read_picture(path, channels=channels).squeeze())
        assert np.array_equal(small.images[0].get_array(), images[i].squeeze())
        assert [bar.get_width() for bar in bars.patches] == [0.04, 0.25, 0.7]  # from below
        assert [label.get_text() for label in bars.get_yticklabels()] == ["class 3", "class 0", "class 1"]


def test_the_frame_is_the_part_that_is_used(pictures):
    view, images = seen(pictures[1:3])
    for axes, path, image in zip(view.figure().axes, pictures[1:3], images, strict=False):
        (frame,) = axes.patches
        left, top, width, height = *frame.get_xy(), frame.get_width(), frame.get_height()
        assert width == height == 6
        with Image.open(path) as picture:
            cut = picture.resize((4, 4), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
        assert np.array_equal(np.asarray(cut), image)


def test_the_text_has_the_most_probable_classes(pictures):
    view, _ = seen(pictures[:1])
    assert str(view) == f"{pictures[0]}: class 1 70.0%, class 0 25.0%, class 3 4.0%"


def test_a_pdf_has_all_pictures_and_a_drawing_the_first(pictures):
    view, _ = seen(pictures * 3)
    assert [len(slide.axes) for slide in view.slides()] == [12, 12, 12, 9]
    assert len(view.figure().axes) == 36 and "1 to 12 of 15" in view.figure().get_suptitle()
    assert "13 to 15 of 15" in view.slides()[-1].get_suptitle()


def test_long_names_end_in_an_ellipsis(pictures, tmp_path):
    path = pictures[0].rename(tmp_path / f"{'$' * 30}.png")
    view, _ = seen([path])
    assert view.figure().axes[0].get_title().splitlines() == [f"{'$' * 19}\N{HORIZONTAL ELLIPSIS}", "6 x 6"]
    view.figure().savefig(tmp_path / "drawn.png")  # a $ begins no formula


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (("a.png", [row(1.0)], 2), TypeError, "files - expected a sequence, got 'a.png'"),
        (((), [], 2), ValueError, "files - expected at least one picture, got none"),
        ((["a.png"], [], 2), ValueError, "probabilities - expected 1, one for each"),
        ((["a.png"], [row(1.0)] * 2, 2), ValueError, "probabilities - expected 1, one for each file, got 2"),
        ((["a.png"], [0.5], 2), TypeError, r"probabilities\[0\] - expected an object"),
        ((["a.png"], [row(1.0)], 0), ValueError, "seen: size"),
        ((["a.png"], [row(1.0)], "2"), TypeError, "seen: size"),
        ((["a.png"], [row(1.0)], 2, 4), ValueError, "channels - expected 3 or 1, got 4"),
    ],
)
def test_wrong_arguments_are_named(arguments, kind, told):
    with pytest.raises(kind, match=told):
        explain.seen(*arguments)
