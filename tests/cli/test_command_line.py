"""Bad command lines, drawn at random: never a traceback; see tests/campaigns/command_line.py."""

from tests.campaigns import command_line


def test_no_traceback_whatever_is_typed():
    assert command_line.campaign(tries=6, seed=1) == []


def test_the_campaign_notices_a_traceback_and_a_silent_failure(monkeypatch):
    monkeypatch.setattr(command_line, "main", lambda words: 1 / 0)
    assert "ZeroDivisionError" in command_line.attempt(["train"])
    monkeypatch.setattr(command_line, "main", lambda words: 2)
    assert "exit code 2" in command_line.attempt(["train"])
