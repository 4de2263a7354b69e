"""Filters, and the film of a training: the pictures show the weights of the network."""

import io

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import explain, models, nn, weights
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.filters import mosaic, tile
from tests.explain.networks import small


def test_the_96_filters_of_alexnet(undrawn_weights):
    model = models.create("alexnet_2012")
    first = next(iter(model.parameters()))
    first.data[...] = np.random.default_rng(0).standard_normal(first.shape)
    grid = explain.filters(model)
    assert grid.weight.shape == (96, 3, 11, 11) and "96 filters of 11 x 11 x 3 = 34,848 weights" in str(grid)


def test_a_filter_in_colour_is_grey_where_it_is_zero():
    weight = np.zeros((2, 3, 2, 2))
    weight[0, 0, 0, 0], weight[0, 2, 1, 1] = 4, -2
    sheet = tile(weight)
    assert sheet.shape == (2, 5, 3) and np.isnan(sheet[:, 2]).all()
    np.testing.assert_array_equal(sheet[0, 0], [1, 0.5, 0.5])
    np.testing.assert_array_equal(sheet[1, 1], [0.5, 0.5, 0.25])
    np.testing.assert_array_equal(sheet[:, 3:], np.full((2, 2, 3), 0.5))
    np.testing.assert_array_equal(tile(weight, 8.0)[0, 0], [0.75, 0.5, 0.5])


def test_other_filters_are_rows_of_signed_tiles():
    weight = np.random.default_rng(0).standard_normal((3, 2, 2, 2))
    sheet = tile(weight)
    assert sheet.shape == (8, 5)
    np.testing.assert_allclose(sheet[3:5, 3:5], weight[1, 1] / np.abs(weight[1]).max())
    assert mosaic(np.ones((5, 2, 2, 1)), 2).shape == (8, 5, 1)


def test_the_text_has_the_strongest_filter_first():
    model = small()
    model[0].weight.data[2] *= 100
    assert str(explain.filters(model)).splitlines()[2].split()[0] == "2"


@pytest.mark.parametrize("layer", ["0", "4"])
def test_the_grid_is_drawn(layer):
    drawing = explain.filters(small(), layer).figure()
    assert Image.open(io.BytesIO(figures.encoded(drawing, "png"))).size == (1280, 720)


def test_a_film_from_a_run(tmp_path):
    model = small()
    for step in (10, 20):
        model[0].weight.data[...] = step
        arrays = {f"model/{key}": array for key, array in model.state_dict().items()}
        weights.save(tmp_path / f"checkpoint-{step:09d}.safetensors", arrays, {})
    model[0].weight.data[...] = 21
    weights.save(tmp_path / "model.safetensors", model.state_dict(), {})
    film = explain.filter_film("0", folder=tmp_path)
    assert "train with --save-epochs for a frame of each epoch" in str(film)
    assert [title for title, _ in film.frames] == ["step 10", "step 20", "finished"]
    assert [weight.flat[0] for _, weight in film.frames] == [10, 20, 21]
    assert f"step 20: norm {20 * 108**0.5:.4f}, moved by {10 * 108**0.5:.4f}" in str(film)
    film.save(tmp_path / "film.gif")
    assert Image.open(io.BytesIO((tmp_path / "film.gif").read_bytes())).n_frames == 3
    assert film._repr_html_().startswith('<img alt="0" src="data:image/gif;base64,')
    for epoch in (0, 1):  # where epochs were kept, they are the frames
        model[0].weight.data[...] = epoch
        weights.save(tmp_path / f"epoch-{epoch:03d}.safetensors", model.state_dict(), {})
    kept = explain.filter_film("0", folder=tmp_path)
    assert "--save-epochs" not in str(kept)
    assert [(title, weight.flat[0]) for title, weight in kept.frames] == [("epoch 0", 0), ("epoch 1", 1)]
    with pytest.raises(ValueError, match="path - expected the extension .gif, got 'film.png'"):
        film.save("film.png")


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="filters: layer - expected one of 0, 4, got '1'"):
        explain.filters(small(), "1")
    with pytest.raises(ValueError, match="filters: layer - expected a model with a Conv2d, got None"):
        explain.filters(nn.Sequential(nn.Flatten()))
    for options in ({"folder": tmp_path}, {}, {"frames": [("first", np.ones(3))]}):
        with pytest.raises(ValueError, match="filter_film: layer - expected a convolution with weights in"):
            explain.filter_film("0", **options)


def test_frames_may_be_a_generator_of_titles_and_weights():
    frames = [("a", np.zeros((4, 3, 3, 3))), ("b", np.ones((4, 3, 3, 3)))]
    assert str(explain.filter_film("0", frames=iter(frames))) == str(explain.filter_film("0", frames=frames))
    with pytest.raises(TypeError, match=r"filter_film: frames - expected pairs .*, got \(0, 1\)"):
        explain.filter_film("0", frames=[(0, 1)])
    with pytest.raises(TypeError, match="filter_film: layer - expected an object of str, got int"):
        explain.filter_film(0, frames=frames)
