"""Bad command lines, drawn at random: never a traceback; see tests/campaigns/command_line.py."""

import pytest

pytest.importorskip("resource", reason="the campaign forks processes and limits their memory")

from tests.campaigns import command_line


def test_no_traceback_for_any_line():
    records = command_line.campaign(tries=5, seed=1)
    assert [record["faults"] for record in records if record["faults"]] == []
    assert sum(record["tries"] for record in records) == 5 * len(list(command_line.commands()))


def test_a_log_spares_what_is_done(tmp_path):
    first = command_line.campaign(tries=3, seed=2, only="list", log=tmp_path / "log")
    with open(tmp_path / "log") as log:
        assert len(log.readlines()) == 1
    assert (
        command_line.campaign(tries=3, seed=2, only="list", log=tmp_path / "log")[0]["seconds"] == first[0]["seconds"]
    )
    with open(tmp_path / "log") as log:
        assert len(log.readlines()) == 1


def wrong(monkeypatch, answer, *words):
    monkeypatch.setattr(command_line, "main", answer)
    return command_line.attempt(list(words))[2]


def says(text, code):
    return lambda words: print(text, file=command_line.sys.stderr) or code


def test_the_campaign_notices_a_traceback_and_a_silent_or_endless_failure(monkeypatch):
    assert "ZeroDivisionError" in wrong(monkeypatch, lambda words: 1 / 0, "train")
    assert "exit code 2 without a sentence" in wrong(monkeypatch, lambda words: 2, "train")
    assert wrong(monkeypatch, lambda words: 7, "train") == "exit code 7"
    assert "an error of 40 lines" in wrong(monkeypatch, says("mcnn train: a" + "\n b" * 39, 2), "train")
    assert "no sentence for a user" in wrong(monkeypatch, says("mcnn train: KeyError: 'x'", 2), "train")
    assert wrong(monkeypatch, says("mcnn train: give --data", 2), "train") is None


def test_the_campaign_notices_wrong_output(monkeypatch):
    assert "JSONDecodeError" in wrong(monkeypatch, lambda words: print('{"a"') or 0, "eval", "--json")
    assert "ValueError" in wrong(monkeypatch, lambda words: print('{"a": NaN}') or 0, "eval", "--json")
    assert "SyntaxError" in wrong(monkeypatch, lambda words: print("a b") or 0, "eval", "--show-code")


def test_the_campaign_notices_what_is_left_behind():
    before = {"a.png": (1, 1), "run": (0, 0), "run/x": (1, 1)}
    check = command_line.left_behind
    assert "half-written" in check(0, ["train"], before, before | {".a.png.1.tmp": (1, 1)})
    assert "changed or removed: ['a.png']" in check(0, ["train"], before, before | {"a.png": (2, 2)})
    assert "left behind after bad input: ['new']" in check(2, ["train"], before, before | {"new": (0, 0)})
    assert check(0, ["train", "--resume", "run/"], before, before | {"run/x": (2, 2)}) is None
