"""The chart that grows in a notebook, and the event files of TensorBoard."""

import dataclasses
import sys
import types

import pytest

from minitorch_cnn import train


def test_each_epoch_replaces_the_chart(start, monkeypatch):
    shown = []
    handle = types.SimpleNamespace(update=shown.append)
    display = types.SimpleNamespace(display=lambda figure, display_id: shown.append(figure) or handle)
    asked_by_matplotlib = {"version_info": (9, 0), "get_ipython": lambda: None}
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=display, **asked_by_matplotlib))
    chart = train.LiveChart()
    start(on_epoch=chart).fit()
    titles = [f"conftest.py:Small by small, epoch {i} of 3" for i in (1, 2, 3)]
    assert [figure.get_suptitle() for figure in shown] == titles
    assert [len(figure.axes[0].lines[0].get_xdata()) for figure in shown] == [1, 2, 3]
    display.display = lambda figure, display_id: shown.append("a new chart") or handle
    start("other", on_epoch=chart).fit()
    assert shown[3] == "a new chart" and len(shown) == 6


def test_without_the_packages_the_error_says_what_to_install(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"need the package tensorboardX: pip install 'minitorch-cnn\[tensorboard\]'"):
        train.TensorBoard()
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(ImportError, match="run it in a notebook, or install IPython"):
        train.LiveChart()(start(), {"epoch": 1})


def test_the_curves_of_tensorboard(start, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder, purge_step, flush_secs):
            written.append((folder, purge_step))

        def add_scalar(self, tag, value, step):
            written.append((tag, value, step))

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    trainer = start(on_epoch=train.TensorBoard(), holdout=12)
    trainer.fit()
    assert written[0] == (str(trainer.folder.path), 1)
    for i, record in enumerate(trainer.progress.history, 1):
        assert ("loss/training", record["train_loss"], i) in written
        assert ("accuracy/held out", record["holdout_accuracy"], i) in written
    assert len(written) == 1 + 3 * 6


def test_each_of_two_runs_has_the_curves_of_its_own(start, recipe, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder, purge_step, flush_secs):
            self.folder = folder

        def add_scalar(self, tag, value, step):
            written.append(self.folder)

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    board = train.TensorBoard()
    folders = []
    for name in ("one", "two"):
        trainer = start(name, dataclasses.replace(recipe, epochs=1), on_epoch=board)
        trainer.fit()
        folders.append(str(trainer.folder.path))
    assert written == [folders[0]] * 4 + [folders[1]] * 4


def test_event_files_are_written(start):
    pytest.importorskip("tensorboardX")
    trainer = start(on_epoch=train.TensorBoard())
    trainer.fit()
    (file,) = trainer.folder.path.glob("events.out.tfevents.*")
    assert b"loss/training" in file.read_bytes()
