"""Docstrings, comments, messages and documents are written in plain English: words to avoid, with better ones."""

import io
import pathlib
import re
import tokenize

import pytest

import minitorch_cnn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
WORDS = {  # pattern: what to write instead
    r"(?<!left )(?<!leave it )(?<!hidden )\bbehind\b": "after, below, past",
    r"\bfull connections?\b": "fully connected layer",
    r"\bmeans? (a|of each) map\b": "global average pooling",
    r"\bmaps get more\b": "more channels",
    r"\bso many\b": "the number itself, or what it counts",
    r"\bshall\b": "should, must, is to",
    r"\ban own\b": "its own, a separate",
    r"\bbesides\b": "also, as well, in addition",
    r"\bwhatever\b": "any, every, for all",
    r"\b(?<!there )(is|are|were) none\b(?! of)|\bis none of\b": "is not a ..., there is no ...",
    r"\bspoilt\b": "wrong, corrupted",
    r"\bnumber by number\b": "product by product, element by element",
    r"\bdraws? the like\b": "draws something similar",
    r"\bgo(es)? on by\b": "continue with",
    r"\b(go(es)?|gone|went) on\b(?! (to|with the))": "continue",
    r"(?<![Tt]here )\b(is|are) no (?!longer\b|more\b|fewer\b|less\b|better\b|worse\b|doubt\b)\w+": "is not a, does not",
    r"\b(pixels|rows|columns) a side\b": "pixels per side",
    r"\bfor want of\b": "because there is no",
    r"\bwhole or not\b": "complete or absent, all or nothing",
    r"\bof one's own\b": "its own, your own",
    r"\b(house rules?|rooms of|(this|which|other|each) room)\b": "package, module",
    r"\b(a|one|per) floor\b|\bfloor (below|above)\b|\bthe floors\b": "level",
}
FOLDERS = ("", "benchmarks", "examples", "kernels", "minitorch_cnn", "tests")


def files(folder):
    """Return the programs and documents of a folder; of the root, those directly in it."""
    found = ROOT.glob("*.md") if not folder else [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md")]
    return sorted(path for path in found if path != pathlib.Path(__file__))


def prose(path):
    """Yield (line number, text) of the comments and strings of a program, or of a whole document."""
    text = path.read_text()
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            yield from enumerate(token.string.splitlines(), token.start[0])


def hits(path):
    """Return a line for every word to avoid in a file."""
    name = path.relative_to(ROOT)
    return [
        f"{name}:{line}: {found[0]!r} - write: {better}"
        for line, text in prose(path)
        for pattern, better in WORDS.items()
        if (found := re.search(pattern, text, re.IGNORECASE if "none" not in pattern else 0))
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder or "root")
def test_no_word_to_avoid_is_used(folder):
    found = [hit for path in files(folder) for hit in hits(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    ['"""The layer behind it."""', "# an own one", 'f"{n} full connections, {n}"', 'x = """a\nso many\n"""'],
)
def test_words_are_found_in_docstrings_comments_and_messages(text, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(text + "\n")
    assert len(hits(tmp_path / "a.py")) == 1


def test_good_words_and_names_are_not_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    program = 'behind = 1  # left behind, floor(x / 2), there is room for more, None\nx = "after"\n'
    (tmp_path / "a.py").write_text(program)
    assert hits(tmp_path / "a.py") == []
