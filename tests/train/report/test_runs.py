"""The list of runs, and what differs between some of them."""

import dataclasses
import json
import os
import shutil

import pytest

from minitorch_cnn import train
from minitorch_cnn.train.report import runs as module

MADE = []  # the folder below, after the first test has made it


@pytest.fixture
def folder(start, recipe, test_set, tmp_path, tmp_path_factory):
    """Return a folder with a finished run, one with held-out images, and one that was stopped after an epoch."""
    if not MADE:
        short = dataclasses.replace(recipe, epochs=1)
        finished = start("runs/a", short)
        finished.fit()
        finished.final_eval(test_set)
        other = start("runs/b", dataclasses.replace(short, peak_lr=0.02), holdout=20)
        other.fit()
        other.final_eval()
        stopped = start("runs/sweep/c", on_epoch=_stop)
        with pytest.raises(KeyboardInterrupt):
            stopped.fit()
        MADE.append(tmp_path_factory.mktemp("made") / "runs")
        shutil.move(tmp_path / "runs", MADE[0])
    return shutil.copytree(MADE[0], tmp_path / "runs")


def _stop(trainer, record):
    raise KeyboardInterrupt


def test_what_a_run_was_and_reached(folder):
    found = train.runs(folder)
    first, second, third = found.runs
    assert [run.path.name for run in found.runs] == ["a", "b", "c"] and found.broken == []
    result = json.loads((folder / "a" / "result.json").read_text())
    assert (first.model, first.dataset, first.epochs, first.finished) == ("conftest.py:Small", "colours", 1, True)
    assert (first.accuracy, first.judged_by, first.seconds) == (result["test_accuracy"], "test", result["seconds"])
    assert second.judged_by == "holdout" and second.accuracy == second.history[-1]["holdout_accuracy"]
    assert (third.epochs, third.planned, third.judged_by, third.finished) == (1, 3, "training", False)
    lines = str(found).splitlines()
    assert lines[0].split() == ["run", "model", "dataset", "epochs", "accuracy", "judged", "by", "time", "date"]
    assert len(lines) == 4 and f"{first.accuracy:.2%}" in lines[1] and "1 of 3" in lines[3]
    assert len(train.runs(folder / "a").runs) == 1  # the folder of a run itself
    assert "<table>" in found._repr_html_()


def test_the_settings_that_differ(folder, tmp_path):
    two = train.compare(folder / "a", folder / "b")
    rows = [line.split() for line in two.differences().splitlines()]
    assert rows[0] == ["setting", "a", "b"]
    assert ["peak_lr", "0.01", "0.02"] in rows and ["holdout", "0", "20"] in rows and len(rows) == 3
    two.save(tmp_path / "both.png")
    accuracy = two.chart().axes[1]
    assert [line.get_label() for line in accuracy.lines] == ["a (training)", "b"]
    assert accuracy.lines[1].get_ydata()[-1] == two.runs[1].accuracy
    shutil.copytree(folder / "a", folder / "d" / "a")
    same = train.compare(folder / "a", folder / "d" / "a")
    assert same.differences() == "all settings are the same" and "d/a" in str(same)


def altered(run, change):
    """Change settings in a result, but not its date, by which runs are ordered."""
    path = run / "result.json"
    result, date = json.loads(path.read_text()), path.stat()
    change(result["settings"])
    path.write_text(json.dumps(result))
    os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))


def test_runs_whose_images_or_code_differ_under_one_name_are_named(folder):
    def other_images(settings):
        settings["data_sha256"] = "0" * 64

    def other_code(settings):
        settings["architecture"]["factory"]["source"] = "0" * 64

    assert "not the same" not in str(train.runs(folder))
    altered(folder / "a", other_images)
    images = "not the same in all runs: the images of colours, so that their accuracies do not compare: a / b, c"
    assert str(train.runs(folder)).splitlines()[-1] == images
    altered(folder / "b", other_code)
    code = "not the same in all runs: the code of conftest.py:Small, so that their accuracies do not compare: "
    lines = str(train.runs(folder)).splitlines()[-2:]
    assert lines == [images, code + "a, c / b"]
    assert images in train.runs(folder)._repr_html_()


def test_images_of_another_size_are_another_dataset(folder):
    def larger(settings):
        settings["data_sha256"], settings["input_size"] = "0" * 64, [16, 16]

    altered(folder / "a", larger)
    assert "not the same" not in str(train.runs(folder))


def damage_result(run):
    (run / "result.json").write_text("{")


def empty_result(run):
    (run / "result.json").write_text("[1]")


def wrong_settings(run):
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {"settings": [3]}))


def damage_history(run):
    (run / "run.jsonl").write_text('{"epoch": 1}\n')


def wrong_history(run):
    line = json.loads((run / "run.jsonl").read_text().splitlines()[0])
    (run / "run.jsonl").write_text(json.dumps(line | {"holdout_accuracy": "high"}) + "\n")


def bytes_as_history(run):
    (run / "run.jsonl").write_bytes(b"\xff\xfe")


def cut_checkpoints(run):
    (run / "result.json").unlink()
    for path in run.glob("checkpoint-*"):
        path.write_bytes(path.read_bytes()[:100])


def no_checkpoints(run):
    (run / "result.json").unlink()
    for path in run.glob("checkpoint-*"):
        path.unlink()


DAMAGES = (
    damage_result,
    empty_result,
    wrong_settings,
    damage_history,
    wrong_history,
    bytes_as_history,
    cut_checkpoints,
    no_checkpoints,
)


def test_broken_and_foreign_folders_are_named(folder):
    (folder / "photos").mkdir()
    for damage in DAMAGES:
        shutil.copytree(folder / "a", folder / damage.__name__)
        damage(folder / damage.__name__)
    found = train.runs(folder)
    assert [run.path.name for run in found.runs] == ["a", "b", "c"]
    assert len(found.broken) == len(DAMAGES) + 1
    for name in ("photos", *(damage.__name__ for damage in DAMAGES)):
        (told,) = [sentence for sentence in found.broken if str(folder / name) in sentence]
        assert " - expected " in told and ", got " in told
    with pytest.raises(train.RunFolderError, match="photos - expected the folder of a run"):
        train.compare(folder / "a", folder / "photos")


def test_records_of_older_versions_are_read(folder):
    path = folder / "a" / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in result.items() if name not in ("settings", "model")}))
    found = train.compare(folder / "a", folder / "b")
    assert found.runs[0].model == "small" and found.differences() == "a: no settings are recorded"


def test_no_runs(tmp_path):
    assert str(train.runs(tmp_path)) == "no runs"
    train.runs(tmp_path).chart()
    with pytest.raises(train.RunFolderError, match="expected the folder of an earlier run, got no folder"):
        train.runs(tmp_path / "none")
    with pytest.raises(TypeError, match="runs: folder - expected a string or a Path, got 3"):
        train.runs(3)
    with pytest.raises(ValueError, match="compare: folders - expected two different runs or more"):
        train.compare("a", "a")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(train.RunFolderError, match="loop - expected the folder of an earlier run"):
        train.compare(tmp_path / "loop", tmp_path / "a")
    with pytest.raises(TypeError, match="compare: folder - expected a string or a Path, got 3"):
        train.compare("a", 3)


def test_long_settings_are_cut():
    assert module._shown(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11..."
    assert (module._shown(None), module._shown(0.00133043), module._shown(2)) == ("-", "0.00133043", "2")


def test_a_shorter_last_epoch_is_not_more_than_was_planned(folder):
    (run,) = train.runs(folder / "sweep" / "c").runs
    last = dataclasses.replace(run, epochs=4, planned=3.5)
    assert "  3.5 of 3.5  " in str(module.Runs([last], []))
