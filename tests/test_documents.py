"""Documents hold what they say: links lead somewhere, programs print what is shown, commands are accepted."""

import contextlib
import io
import pathlib
import re
import shlex

import pytest
from PIL import Image

import minitorch_cnn
from minitorch_cnn import explain, models, train
from minitorch_cnn.cli import main

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
DOCUMENTS = [
    path for path in sorted(ROOT.rglob("*.md")) if not any(p.startswith(".") for p in path.relative_to(ROOT).parts)
]
README = ROOT / "README.md"


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def blocks(path, *languages):
    """Return (language, text) of the fenced blocks in these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    return [(language, text) for language, text in found if language in languages]


def commands(path):
    """Return the words of every `mcnn` command of the bash blocks."""
    lines = [line for _, text in blocks(path, "bash") for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("#")[0].split("&&")]
    return [shlex.split(part)[1:] for part in parts if re.match(r"(\S*/)?mcnn ", part)]


PROGRAMS = [path for path in DOCUMENTS if blocks(path, "python")]
COMMANDS = [(path, words) for path in DOCUMENTS for words in commands(path)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_relative_links_lead_to_files(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    inside = [target.split("#")[0] for target in targets if not re.match(r"https?:|#", target)]
    assert [target for target in inside if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", PROGRAMS, ids=names(PROGRAMS))
def test_programs_print_what_is_shown(path):
    pairs = blocks(path, "python", "text")
    assert [language for language, _ in pairs] == ["python", "text"] * (len(pairs) // 2)
    variables = {}
    for (_, program), (_, shown) in zip(pairs[::2], pairs[1::2], strict=True):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(program, path.name, "exec"), variables)
        for got, expected in zip(out.getvalue().splitlines(), shown.splitlines(), strict=True):
            if re.fullmatch(r"\d+\.\d+", expected):  # a loss: other processors round differently
                assert float(got) == pytest.approx(float(expected), abs=0.002)
            else:
                assert got == expected


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Work in a folder with what the documents take for granted: pictures, a trained network, a lecture's text."""
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "pets" / name / "a.png")
    (tmp_path / "runs" / "mlp-1").mkdir(parents=True)
    architecture = {"name": "mlp", "num_classes": 2, "image_size": 8}
    metadata = {"architecture": architecture, "classes": ["cat", "dog"], "mean": [0.5] * 3, "std": [0.25] * 3}
    model = models.create("mlp", num_classes=2, image_size=8)
    train.Classifier(model, metadata).save(tmp_path / "runs" / "mlp-1" / "model.safetensors")
    explain.copy_lecture(tmp_path / "my-lecture")
    for path in DOCUMENTS:
        for _, text in blocks(path, "py"):  # files of the user's own
            (tmp_path / re.match(r"# (\w+\.py)\n", text)[1]).write_text(text)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("path", "words"), COMMANDS, ids=[f"{p.name} {' '.join(w)}" for p, w in COMMANDS])
def test_commands_are_accepted(desk, path, words, capsys):
    assert main([*words, "--show-code"]) == 0
    assert "minitorch_cnn" in capsys.readouterr().out


def test_all_kinds_of_documents_are_looked_at():
    assert {"README.md", "CONTRIBUTING.md", "examples/docs/commands.md"} <= set(names(DOCUMENTS))
    assert len(PROGRAMS) >= 3 and len(COMMANDS) >= 8


def test_the_table_of_commands_names_every_command():
    told = (ROOT / "examples/docs/commands.md").read_text()
    with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
        main(["--help"])
    listed = re.findall(r"^    (\w+)\b", out.getvalue(), re.MULTILINE)
    assert len(listed) > 10
    assert [name for name in listed if f"`mcnn {name}" not in told] == []
