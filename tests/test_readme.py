"""The README's Python runs in the order written and prints what the README says it prints."""

import contextlib
import io
import pathlib
import re

import pytest

import minitorch_cnn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_every_program_is_followed_by_its_output():
    assert [language for language, _ in BLOCKS] == ["python", "text"] * (len(BLOCKS) // 2)
    assert len(BLOCKS) >= 6


def test_programs_print_what_is_shown():
    names = {}
    for (_, program), (_, shown) in zip(BLOCKS[::2], BLOCKS[1::2], strict=True):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(program, "README.md", "exec"), names)
        for got, expected in zip(out.getvalue().splitlines(), shown.splitlines(), strict=True):
            if re.fullmatch(r"\d+\.\d+", expected):  # a loss: other processors round differently
                assert float(got) == pytest.approx(float(expected), abs=0.002)
            else:
                assert got == expected
