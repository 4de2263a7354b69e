"""`--show-code` of every command: a program that compiles and, where that is quick, prints what the command prints."""

import pytest

from minitorch_cnn.cli.main import all_commands
from tests.campaigns.typed_lines import commands

TRAINED = ("--model", "run")
TRAINED_RUN = ("--run", "run")
LINES = {  # words of a command: (its arguments, whether the program is run too)
    "doctor": ((), False),
    "data get": (("--from", "archive.tar.gz"), False),
    "data check": (("folder",), False),
    "data show": (("shapes10",), True),
    "train": (("--data", "shapes10"), False),
    "transfer": (("--weights", "run", "--data", "shapes10"), False),
    "predict": ((*TRAINED, "image.png"), False),
    "eval": (TRAINED, True),
    "race": (("conv", "--batch", 2), False),
    "list": ((), True),
    "topology": (("lenet5",), True),
    "summary": (("lenet5",), True),
    "explain conv": (("--input", 3, "--kernel", 2), True),
    "explain pool": (
        (
            "--input",
            4,
        ),
        True,
    ),
    "explain xcorr": ((), True),
    "explain matrix": (("--input", 4), True),
    "explain field": (("lenet5", "conv2", 1, 1, "--images", 0), True),
    "explain growth": (("lenet5",), True),
    "explain graph": (("lenet5",), True),
    "explain shift": (("--pixels", 1), False),
    "explain shortcuts": (("--depths", 8), False),
    "explain filters": ((*TRAINED, "--layer", "0"), False),
    "explain maps": (TRAINED, False),
    "explain patches": (("0", *TRAINED), False),
    "explain saliency": ((*TRAINED, "--count", 2), True),
    "explain occlusion": ((*TRAINED, "--count", 1), True),
    "explain gradcam": (("--layer", "0", *TRAINED), False),
    "explore": ((*TRAINED, "-o", "page.html"), False),
    "lecture new": (("my-lecture",), False),
    "lecture build": ((".", *TRAINED_RUN), False),
    "chapters": (("--no-run",), False),
    "export": ((*TRAINED, "-o", "model.onnx"), False),
    "gradcheck": (("pool",), False),
    "exercise start": (("relu",), False),
    "exercise check": (("relu.py",), False),
    "completion": (("bash",), False),
    "runs": ((), False),
    "sweep": (("--lr", "0.1,0.2"), False),
    "launch": (("--", "train", "--data", "shapes10"), False),
}


def test_every_command_is_in_the_table():
    assert {" ".join(words) for words, _ in commands(all_commands())} == set(LINES)


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_the_shown_program(name, mcnn, request, capsys):
    arguments, runs = LINES[name]
    if "run" in arguments:
        request.getfixturevalue("trained")
    words = (*name.split(), *arguments)
    code, shown, err = mcnn(*words, "--show-code")
    assert code == 0, err
    program = compile(shown, "shown", "exec")
    if runs:
        code, out, err = mcnn(*words)
        assert code == 0 and out, err
        exec(program, {})
        assert capsys.readouterr().out == out
