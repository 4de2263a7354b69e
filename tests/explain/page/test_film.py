"""The training in the explorer: what the page unpacks is what was packed, and each frame computes."""

import json

import numpy as np
import pytest

from minitorch_cnn import explain
from minitorch_cnn.explain.page import explorer, film
from minitorch_cnn.explain.page.film import bits_of, film_content
from tests.explain.page.test_explorer import classifier, opened, output, pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a classifier and the folder of a run that kept three epochs of it."""
    folder, found = tmp_path_factory.mktemp("run"), classifier("lenet5", channels=1)
    original = {name: value.copy() for name, value in found.model.state_dict().items()}
    for epoch, factor in enumerate((0.5, 0.8, 1), 1):
        found.model.load_state_dict({name: np.asarray(value * factor, value.dtype) for name, value in original.items()})
        found.save(folder / f"epoch-{epoch:04}.safetensors")
    lines = [{"epoch": epoch, "train_accuracy": 0.2 * epoch} for epoch in (1, 2, 3)]
    (folder / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return found, folder


def test_the_film_shows_every_epoch_and_then_the_finished_network(browser, tmp_path, run, monkeypatch):
    monkeypatch.setattr(explorer, "FILM_FLOAT32_LIMIT", 1000)
    found, folder = run
    made = explain.explore(found, pictures(2, channels=1), run=folder)
    assert len(made.html) < 9e6 and made.rounded
    opened(browser, tmp_path, made)
    finished = output(browser)
    for index, text in enumerate(("epoch 1: 20.0% of the training images right", "epoch 2: 40.0% of the training im")):
        browser.wait(f"await explorer.film.show({index});")
        frame = np.array(made.content["film"]["frames"][index]["outputs"][0])
        np.testing.assert_allclose(output(browser), frame, rtol=0, atol=0.3 * np.abs(frame).max())
        assert browser.run("document.querySelector('#film .hint').textContent").startswith(text)
        assert "weights of the film are rounded" in browser.run("document.getElementById('status').textContent")
    browser.wait("await explorer.film.show(3);")
    np.testing.assert_array_equal(output(browser), finished)
    browser.wait("explorer.film.show(2); explorer.changes.toggleMap('', 2, 3); await explorer.film.show(3);")
    np.testing.assert_array_equal(output(browser), finished)  # a change by hand was taken back
    assert browser.errors() == []


def test_the_page_unpacks_what_was_packed(browser, tmp_path, run, monkeypatch):
    monkeypatch.setattr(film, "LARGE", 20_000)
    found, folder = run
    made = explain.explore(found, pictures(1, channels=1), run=folder)
    opened(browser, tmp_path, made)
    browser.wait("await explorer.film.show(2);")
    bits = made.content["film"]["bits"]
    assert set(bits) == {4, 8, 32}
    names = {entry["name"]: i for i, entry in enumerate(made.content["graph"]["constants"]) if entry["name"]}
    for name in names:
        exact = found.model.state_dict()[name]
        data = browser.wait(f"return [...explorer.session.value({-names[name] - 1}).data];")
        largest = np.abs(exact.reshape(len(exact), -1)).max(1).reshape(-1, *[1] * (exact.ndim - 1))
        step = 0 if bits[names[name]] == 32 else largest / (2 ** (bits[names[name]] - 1) - 1)
        assert (np.abs(np.reshape(data, exact.shape) - exact) <= step / 2 + 1e-6).all(), name


def test_frames_are_left_out_where_they_do_not_fit(run):
    found, folder = run
    x = found.normalised(pictures(1, channels=1))
    one = len(film_content(folder, found.model, x, 10**8)["frames"][0]["weights"])
    assert [frame["title"] for frame in film_content(folder, found.model, x, 2 * one)["frames"]] == [
        "epoch 1",
        "epoch 3",
    ]
    with pytest.raises(ValueError, match="explore: run - expected weights of at most 1,000 bytes .* got 85,048"):
        film_content(folder, found.model, x, 1000)


def test_a_folder_without_weights_is_named(tmp_path, run):
    with pytest.raises(ValueError, match="explore: run - expected the folder of a run with weights of several epochs"):
        explain.explore(run[0], pictures(1, channels=1), run=tmp_path)


def test_large_arrays_get_fewer_bits():
    assert [bits_of(np.zeros(shape)) for shape in ((300,), (16, 16), (100, 100), (400, 400))] == [32, 32, 8, 4]
