"""Command lines in messages can be pasted."""

import shlex

import pytest

from minitorch_cnn.display import shell


@pytest.mark.parametrize("path", ["runs/mlp-1", "my runs/mlp-1", "o'clock", "$HOME", "a;b", "*", "ä"])
def test_a_shell_reads_the_same_words(path):
    words = ["mcnn", "train", "--resume", path]
    assert shlex.split(shell.line(*words)) == words
    assert shell.line("mcnn", "runs/mlp-1") == "mcnn runs/mlp-1"


def test_windows_has_other_quotes(monkeypatch):
    monkeypatch.setattr(shell.os, "name", "nt")
    assert shell.line("mcnn", "my runs") == 'mcnn "my runs"'
