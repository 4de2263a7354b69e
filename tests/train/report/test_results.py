"""What a run writes: its pictures, its folder, and what it says about the machine."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import train
from minitorch_cnn.display import figures
from minitorch_cnn.train import machine
from minitorch_cnn.train.report import plots

HISTORY = [
    {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.3, "holdout_loss": 2.1, "holdout_accuracy": 0.28},
    {"epoch": 2, "train_loss": 1.0, "train_accuracy": 0.6, "holdout_loss": 1.2, "holdout_accuracy": 0.55},
]


def lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_curves_show_the_history():
    loss, accuracy = plots.curves(HISTORY, "a run", test_accuracy=0.5).axes
    assert loss.xaxis.label.get_size() == figures.LABEL  # readable on a slide
    np.testing.assert_array_equal(lines(loss)["training"], [2.0, 1.0])
    np.testing.assert_array_equal(lines(loss)["held-out images"], [2.1, 1.2])
    np.testing.assert_array_equal(lines(accuracy)["training"], [0.3, 0.6])
    assert lines(accuracy)["test, at the end: 50.00%"][0] == 0.5


def test_curves_of_a_single_epoch():
    loss, _ = plots.curves(HISTORY[:1], "a run").axes
    assert list(lines(loss)["training"]) == [2.0]


def test_confusion_gives_percent_of_the_true_class():
    figure = plots.confusion(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1]), ["cat", "dog"])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[75, 25], [0, 100]])
    assert [text.get_text() for text in axes.texts] == ["75", "25", "100"]
    assert "80.00% of 5 images are right" in axes.get_title()


def test_confusion_does_not_round_one_image_away():
    labels, predictions = np.zeros(300, int), np.zeros(300, int)
    predictions[0] = 1
    axes = plots.confusion(labels, predictions, ["cat", "dog"]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["99.7", "0.3"]


def test_mistakes_show_the_surest_first():
    images = np.zeros((4, 2, 2, 3), np.uint8)
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]])
    figure = plots.mistakes(images, np.array([0, 0, 0, 1]), probabilities, ["cat", "dog"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["true cat\ndog 90%", "true cat\ndog 70%"]


def test_no_mistakes_at_all():
    probabilities = np.array([[0.999, 0.001], [0.6, 0.4]])
    figure = plots.mistakes(np.zeros((2, 2, 2, 3), np.uint8), np.array([0, 0]), probabilities, ["cat", "dog"])
    assert "No mistakes among 2 images" in figure.get_suptitle()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["true cat\ncat 60%", "true cat\ncat > 99%"]


def test_an_image_without_an_answer_is_in_no_column_and_a_mistake():
    labels, probabilities = np.array([0, 0, 1]), np.array([[np.nan, np.nan], [0.9, 0.1], [0.2, 0.8]])
    axes = plots.confusion(labels, np.array([-1, 0, 1]), ["cat", "dog"]).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["100", "50"]
    assert axes.get_title() == "66.67% of 3 images are right"
    figure = plots.mistakes(np.zeros((3, 2, 2, 3), np.uint8), labels, probabilities, ["cat", "dog"])
    assert figure.axes[0].get_title() == "true cat\nno answer" and figure.axes[1].get_title() == ""


def test_labels_of_the_accuracy_are_equally_far_apart():
    history = [record | {"train_accuracy": 0.14 + 0.02 * i} for i, record in enumerate(HISTORY * 3)]
    _, accuracy = plots.curves(history, "a run").axes
    accuracy.figure.canvas.draw()
    shown = [float(label.get_text().rstrip("%")) for label in accuracy.get_yticklabels() if label.get_text()]
    np.testing.assert_allclose(np.diff(shown), np.diff(shown)[0])


def test_the_curves_name_a_network_that_is_not_that_of_the_recipe(start, test_set, monkeypatch):
    titles = []
    curves = plots.curves
    monkeypatch.setattr(plots, "curves", lambda history, title, *rest: titles.append(title) or curves(history, title))
    trainer = start()
    trainer.fit()
    trainer.final_eval(test_set)
    assert len(titles) == 1 and titles[0].startswith("conftest.py:Small by small on ")
    assert plots.trained_by("small", "mlp", "mlp") == plots.trained_by("small", None, "mlp") == "small"
    assert plots.trained_by("mlp", "mlp", None) == "mlp"


def test_pictures_have_the_size_of_a_slide(start, test_set):
    trainer = start()
    trainer.fit()
    trainer.final_eval(test_set)
    for path in (trainer.folder.curves, trainer.folder.confusion, trainer.folder.mistakes):
        with Image.open(path) as image:
            assert image.size == (1280, 720) and len(image.convert("RGB").getcolors(1 << 20)) > 10


def test_other_ranks_have_the_result_before_the_pictures_are_drawn(start, test_set, monkeypatch):
    events = []

    class Noting(train.SingleProcess):
        def exchange(self, fact):
            events.extend(["result"] * (isinstance(fact, dict) and "test_accuracy" in fact))
            return [fact]

    monkeypatch.setattr(figures, "save", lambda *_: events.append("picture"))
    trainer = start(ranks=Noting())
    trainer.fit()
    trainer.final_eval(test_set)
    assert events == ["result", "picture", "picture", "picture"]


RESULT = {"recipe": "mlp", "dataset": "shapes10", "verified": True, "epochs": 1, "seed": 0, "seconds": 1.5}
RESULT |= {"test_reads": 1, "test_accuracy": 0.5, "test_loss": 1.2}


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    folder = train.RunFolder.create(tmp_path / "a" / "b")
    assert folder.path.is_dir() and folder.read_result() is None
    train.RunFolder.create(folder.path)  # empty still
    folder.write_result(RESULT)
    assert folder.read_result() == RESULT
    with pytest.raises(train.RunFolderError, match="expected a new or empty folder, got one with files"):
        train.RunFolder.create(folder.path)
    with pytest.raises(train.RunFolderError, match="expected a new or empty folder"):
        train.RunFolder.create(folder.result)


def test_history_is_written_anew(tmp_path):
    folder = train.RunFolder.create(tmp_path)
    folder.write_history([{"epoch": 1}, {"epoch": 2}])
    folder.write_history([{"epoch": 1}])
    assert folder.history.read_text() == '{"epoch": 1}\n'
    with pytest.raises(TypeError, match=r"write_history: records\[1\] - expected an object of dict, got int"):
        folder.write_history([{"epoch": 1}, 3])
    with pytest.raises(TypeError, match="write_history: records - expected a sequence, got 3"):
        folder.write_history(3)
    with pytest.raises(TypeError, match="write_result: result - expected an object of dict, got int"):
        folder.write_result(3)
    assert folder.history.read_text() == '{"epoch": 1}\n' and not folder.result.exists()


def test_the_machine_is_described():
    found = train.environment()
    assert found["versions"]["numpy"] == np.__version__ and "minitorch-cnn" in found["versions"]
    assert found["threads"] >= 1 and found["cpu"]
    assert set(found["blas"]) == {"library", "version", "core", "threads"}


def test_the_blas_is_that_of_numpy_where_scipy_has_another(monkeypatch):
    def blas(version, folder):
        path = str(pathlib.Path(np.__file__).parents[1] / folder / "libscipy_openblas.so")
        return {"user_api": "blas", "internal_api": "openblas", "version": version, "num_threads": 2, "filepath": path}

    others = [{"user_api": "openmp"}, blas("0.3.30", "scipy.libs")]
    for folder in ("numpy.libs", "numpy/.dylibs"):
        found = [*others, blas("0.3.31", folder)]
        monkeypatch.setattr(machine.threadpoolctl, "threadpool_info", lambda found=found: found)
        assert machine.blas()["version"] == "0.3.31"
    monkeypatch.setattr(machine.threadpoolctl, "threadpool_info", lambda: others)  # a NumPy of the system
    assert machine.blas()["version"] == "0.3.30"


def test_without_cpuinfo_and_metadata_nothing_fails(monkeypatch):
    def missing(*arguments, **options):
        raise OSError

    monkeypatch.setattr(machine.pathlib.Path, "read_text", missing)
    assert machine.cpu()["name"] and machine.cpu()["avx512"] is None
    monkeypatch.setattr(machine, "PACKAGES", ("no-such-package",))
    assert machine.versions()["no-such-package"] is None
    monkeypatch.setattr(machine.threadpoolctl, "threadpool_info", list)
    assert machine.blas()["library"] is None
