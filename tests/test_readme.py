"""The README is short, and what it promises a reader holds."""

import pathlib
import re

import minitorch_cnn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def marked(name):
    """Return the text between two comments."""
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", TEXT, re.DOTALL)[1]


def test_it_is_short():
    assert len(TEXT.encode()) <= 7000


def test_the_reading_path_is_as_short_as_it_says():
    paths = [ROOT / target for target in re.findall(r"\]\(([^)]+)\)", marked("reading path"))]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.glob("[!_]*.py")))]
    assert len(paths) == 7
    assert all(path.exists() for path in paths)
    assert sum(len(file.read_text().splitlines()) for file in files) <= 1600


def test_the_commands_to_train_and_to_test_can_be_found():
    for name in ("train", "test"):
        command = re.search(rf"<!-- {name} command -->\n```bash\n([^`]+)```", TEXT)[1]
        assert command.startswith("python3 -m venv") and command.count("\n") == 1
