"""Markdown into slides, and messages that name file and line."""

import base64
import re

import pytest
from PIL import Image

from minitorch_cnn.explain import lecture
from minitorch_cnn.explain.lecture import blocks
from minitorch_cnn.explain.lecture.settings import known_words
from minitorch_cnn.explain.lecture.text import read_slides

pytest.importorskip("markdown_it")


@pytest.fixture
def read(tmp_path):
    def write(text, name="02.md"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_slides(tmp_path / name)

    return write


def test_slides_end_at_a_rule_and_have_notes_and_figures(read):
    first, second = read(
        "# One & two\n\nText *here*.\n\n```notes\nSay **this**.\n```\n\n---\n\n## Next\n\n"
        '```figure window\nstride = 2\noperation = "convolution"\n```\n\n+ a\n+ b\n'
    )
    assert first.title == "One & two" and "<em>here</em>" in first.body and first.figures == []
    assert first.notes == "<p>Say <strong>this</strong>.</p>\n" and "Say" not in first.body
    (figure,) = second.figures
    assert (figure.name, figure.arguments) == ("window", {"stride": 2, "operation": "convolution"})
    assert figure.place() == "02.md:13" and figure.place("operation") == "02.md:15"
    assert '<ul class="steps">' in second.body and "window" not in second.body


def test_a_picture_is_no_text(tmp_path):
    (tmp_path / "02.md").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(lecture.LectureError, match="^02.md:1: text - expected UTF-8, got .*: byte 0x89"):
        read_slides(tmp_path / "02.md")
    (tmp_path / "02.md").write_text("# One")
    (tmp_path / "deck.toml").write_bytes("# ä\ntitle = 'Größe'\n".encode("latin-1").replace(b"\xe4", b"a"))
    with pytest.raises(lecture.LectureError, match="^deck.toml:2: text - expected UTF-8, got .*: byte 0xf6"):
        lecture.lecture_runs(tmp_path)


def test_a_formula_keeps_its_lines_and_html_is_text(read):
    (slide,) = read("# F\n\n```formula\na < b\nc\n```\n\n<script>x</script>\n")
    assert '<p class="formula">a &lt; b<br>c</p>' in slide.body and "<script>" not in slide.body


def test_a_program_is_shown(read):
    (slide,) = read("# P\n\n```python\nx < 1\n```\n")
    assert '<pre><code class="language-python">x &lt; 1\n</code></pre>' in slide.body


def test_a_program_that_is_higher_than_a_slide_is_refused_with_its_line(read):
    lines, wide = "x = 1\n" * 22, "x = 1  # " + 30 * "a" + "\n"
    assert read(f"# P\n\n```python\n{lines}```\n\n---\n\n# Q\n\n```python\n{wide * 22}```\n")
    for text, line, told in (
        (f"# P\n\n```python\n{lines}y\n```\n", 3, "22 lines of 105 characters, got 23"),
        ("# P\n\n" + "    x = 1\n" * 30, 3, "22 lines of 105 characters, got 30"),
        (f"# P\n\n```figure window\n```\n\n```text\n{wide * 12}```\n", 6, "22 lines of 32 characters, got 24"),
    ):
        with pytest.raises(lecture.LectureError, match=f"^02.md:{line}: program - expected at most {told}; divide it"):
            read(text)


def test_pictures_travel_in_the_page(read, tmp_path):
    for name, kind in {"dot.png": "png", "Größe 1%.JPG": "jpeg", "a b.webp": "webp"}.items():
        Image.new("RGB", (2, 2)).save(tmp_path / name)
        (slide,) = read(f"# P\n\n![a dot](<{name}>)\n")
        sent = base64.b64encode((tmp_path / name).read_bytes()).decode()
        assert f'src="data:image/{kind};base64,{sent}"' in slide.body
    (slide,) = read("# P\n\n![a dot](a%20b.webp) ![Größe](Größe%201%25.JPG)\n")
    assert slide.body.count("data:image/") == 2
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    assert "data:image/svg+xml;base64," in read("# P\n\n![x](a.svg)\n")[0].body


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.png", b"text", "got another or a damaged file, 'a.png'"),
        ("a.svg", b"<svg", "got another or a damaged file, 'a.svg'"),
        ("a.svg", b"<html/>", "got another or a damaged file, 'a.svg'"),
        ("a.tiff", None, "got another or a damaged file, 'a.tiff'"),  # Pillow reads it, browsers do not
        ("half.png", None, "got another or a damaged file, 'half.png'"),
        ("a b.png", None, "expected a name with spaces in angle brackets, <a b.png>, got 'a b.png'"),
    ],
)
def test_what_browsers_do_not_show_is_refused(read, tmp_path, name, content, says):
    if content is None:
        Image.effect_noise((40, 40), 50).save(tmp_path / name)
    if name == "half.png":
        content = (tmp_path / name).read_bytes()[:700]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(lecture.LectureError, match=rf"^02.md:3: picture - .*{says}"):
        read(f"# P\n\n![x]({name})\n")


def test_a_mark_before_the_text_and_ends_of_lines_of_windows(tmp_path):
    (tmp_path / "02.md").write_bytes("\ufeff# Größe\r\n\r\n```figure window\r\nstride = 2\r\n```\r\n".encode())
    (slide,) = read_slides(tmp_path / "02.md")
    assert slide.title == "Größe" and slide.figures[0].arguments == {"stride": 2}
    (tmp_path / "deck.toml").write_bytes("\ufefftitle = 'x'\r\n[networks]\r\n".encode())
    assert lecture.lecture_runs(tmp_path) == {}


MISTAKES = {
    "window stride": (
        "# A\n\n---\n\n# B\n\n```figure window\n\nstride = 0\n```\n",
        "02.md:9: figure window: stride - expected an integer of 1 to 4, got 0",
    ),
    "unknown argument": (
        "# A\n\n```figure window\nstrides = 1\n```\n",
        "02.md:4: figure window: argument - expected one of input, kernel, stride, padding, operation, "
        "got 'strides'; did you mean 'stride'?",
    ),
    "no arguments": (
        "# A\n\n```figure costs\nx = 1\n```\n",
        "02.md:4: figure costs: argument - expected no arguments, got 'x'",
    ),
    "unknown figure": (
        "# A\n\n```figure windw\n```\n",
        "02.md:3: figure - expected one of window, impulse, .*, got 'windw'; did you mean 'window'?",
    ),
    "missing": (
        "# A\n\n```figure ladder\n```\n",
        "02.md:3: figure ladder: steps - expected a list of tables with name, accuracy, minutes, command, "
        'such as [{ name = "six layers", accuracy = 91.2, minutes = 3, command = "mcnn train" }], got nothing',
    ),
    "text for a number": (
        '# A\n\n```figure transfer\n[[results]]\nname = "a"\naccuracy = "91 %"\nminutes = 1\n```\n',
        "02.md:4: figure transfer: results - expected a list of tables with name, accuracy, minutes, such as",
    ),
    "negative time": (
        '# A\n\n```figure transfer\nresults = [{ name = "a", accuracy = 91, minutes = -1 }]\n```\n',
        "02.md:4: figure transfer: results - expected a list of tables with name, accuracy, minutes, such as",
    ),
    "one network": (
        '# A\n\n```figure transfer\nnetwork = "resnet18"\n```\n',
        '02.md:4: figure transfer: network - expected a list of one name of `mcnn list`, such as ["resnet18"], got',
    ),
    "grid": (
        "# A\n\n```figure window\ninput = [[1], [1, 2]]\n```\n",
        "02.md:4: figure window: input - expected at most 6 rows of equal length of at most 6 numbers below 1000",
    ),
    "word": (
        '# A\n\n```figure window\noperation = "convoluton"\n```\n',
        "02.md:4: figure window: operation - expected one of cross-correlation, convolution, "
        "got 'convoluton'; did you mean 'convolution'?",
    ),
    "network": (
        '# A\n\n```figure field\nnetwork = "mine"\n```\n',
        "02.md:4: figure field: network - expected one of yours, lenet5, got 'mine'",
    ),
    "registry": (
        '# A\n\n```figure layers\nnetworks = ["vgg_z"]\n```\n',
        "02.md:4: figure layers: networks - expected a list of 1 to 6 names of `mcnn list`, "
        "got ['vgg_z']; did you mean 'vgg_e'?",
    ),
    "toml": (
        "# A\n\n```figure window\nkernel = 3\nstride =\n```\n",
        "02.md:5: figure window: TOML - .*, got 'stride ='",
    ),
    "no quotes": (
        "# A\n\n```figure network\n\nnetwork = yours\n```\n",
        '02.md:5: figure network: TOML - expected name = value, each name once, texts in "quotes" and lists in '
        "[brackets], got 'network = yours' (Invalid value",
    ),
    "twice": (
        "# A\n\n```figure window\nstride = 1\nstride = 2\n```\n",
        "02.md:5: figure window: TOML - expected name = value, each name once, .*, got 'stride = 2'",
    ),
    "open list": (
        "# A\n\n```figure window\ninput = [[1, 2],\n```\n",
        "02.md:4: figure window: TOML - .*, got 'input = [[1, 2],'",
    ),
    "kernel too large": (
        "# A\n\n```figure window\npadding = 1\ninput = [[1, 2], [3, 4]]\n```\n",
        "02.md:3: figure window: kernel - expected at most the 2 rows and 2 columns of the input, got [[1, 0, -1], ",
    ),
    "window too large": (
        "# A\n\n```figure pooling\nkernel_size = 5\n```\n",
        "02.md:4: figure pooling: kernel_size - expected at most 4, for an input of 4 x 4, got 5",
    ),
    "even kernel": (
        "# A\n\n```figure impulse\nkernel = [[1, 2], [3, 4]]\n```\n",
        "02.md:4: figure impulse: kernel - expected 1 or 3 rows and columns, .*, got [[1, 2], [3, 4]]",
    ),
    "block without end": (
        "# A\n\n```figure window\nstride = 1\n\n---\n\n# B\n",
        "02.md:3: block figure window - expected a line ``` that ends it, got the end of the file",
    ),
    "block that takes the next": (
        "# A\n\n```notes\nSay it.\n\n---\n\n# B\n\n```figure window\n```\n",
        "02.md:3: block notes - expected a line ``` that ends it, got another block in line 10",
    ),
    "two figures": (
        "# A\n\n```figure window\n```\n\n```figure impulse\n```\n",
        "02.md:6: figure - expected one figure on a slide, got two: window and impulse",
    ),
    "second heading": (
        "# A\n\nx\n\n# B\n",
        "02.md:5: slide - expected a line --- between empty lines before the next slide, got a second heading",
    ),
    "rule below text": (
        "# A\n\nx\n---\n# B\n",
        "02.md:4: slide - expected an empty line before ---, which ends a slide, got text above it",
    ),
    "two names": ("# A\n\n```figure a b\n```\n", '02.md:3: figure - expected one name, as in "figure window", got'),
    "block": (
        "# A\n\n```figur\n```\n",
        "02.md:3: block - expected figure, formula, notes, or a program in .*, got 'figur'; did you mean 'figure'?",
    ),
    "heading": (
        "# A\n\n---\n\ntext\n",
        '02.md:5: slide - expected a heading such as "# Pooling" at the beginning, got',
    ),
    "picture": (
        "# A\n\n![x](http://a.org/x.png)\n",
        "02.md:3: picture - expected a file, its path seen from .*, got 'http://a.org/x.png'",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line(read, text, message):
    escaped = message.replace("?", "\\?").replace("[", "\\[").replace("(", "\\(")
    with pytest.raises(lecture.LectureError, match=f"^{escaped}"):
        for slide in read(text):
            for figure in slide.figures:
                blocks.content(figure, ("yours", "lenet5"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3", "deck.toml:1: title - expected a text, got 3"),
        ("[words]\n\ninput = 1", "deck.toml:3: words: input - expected a text in quotes, got 1"),
        ("words = 'x'", "deck.toml:1: words - expected a table, \\[words\\], with texts, got 'x'"),
        ("lang = 'Deutsch'", "deck.toml:1: lang - expected a code of a language, such as \"en\", .*, got 'Deutsch'"),
        ("name = 'x'", "deck.toml:1: settings - expected title, lang, words, networks, got 'name'"),
        ("title =", "deck.toml:1: TOML - .*, got 'title ='"),
        ("title = 'x'\n[words]\nall = 'alle", "deck.toml:3: TOML - .*, got \"all = 'alle\""),
        ("[networks]\nmine = 'none'", "deck.toml:2: networks: mine - expected a run's folder or model file, seen from"),
        ("titel = 'x'", "deck.toml:1: settings - expected .*, got 'titel'; did you mean 'title'\\?"),
        (
            "title = 'x'\n[networks]\n[words]\nlayer = 'Schicht'\nkernle = 'Kern'",
            "deck.toml:5: words - expected a label of the figures; .* lists them, "
            "got 'kernle'; did you mean 'kernel'\\?",
        ),
        ("[words]\n'xyzzy' = 'x'", "deck.toml:2: words - expected a label of the figures; .*, got 'xyzzy'$"),
        ("[words]\nall = ' '", "deck.toml:2: words: all - expected a translation, got nothing"),
    ],
)
def test_mistakes_in_the_settings(tmp_path, text, message):
    (tmp_path / "deck.toml").write_text(text)
    with pytest.raises(lecture.LectureError, match=f"^{message}"):
        lecture.lecture_runs(tmp_path)


def test_every_label_of_the_figures_can_be_translated(tmp_path):
    from minitorch_cnn.explain.page.bundle import FOLDER

    scripts = "".join(path.read_text(encoding="utf-8") for path in (FOLDER / "deck").glob("*.mjs"))
    known = known_words()
    assert len(known) > 50 and set(re.findall(r'\bsay\("([^"]*)"\)', scripts)) <= set(known)
    lines = [f'"{word}" = "x"' for word in known]
    (tmp_path / "deck.toml").write_text("\n".join(["[words]", *lines]))
    assert lecture.lecture_runs(tmp_path) == {}


def test_an_empty_folder_and_a_file_are_no_lecture(tmp_path):
    with pytest.raises(
        lecture.LectureError, match="slides - expected at least one in files that end with .md, got none"
    ):
        lecture.build_lecture(tmp_path)
    with pytest.raises(lecture.LectureError, match="folder - expected the folder of a lecture, .*, got no such"):
        lecture.build_lecture(tmp_path / "none")
    (tmp_path / "a.md").write_text("# A")
    with pytest.raises(lecture.LectureError, match="folder - expected the folder of a lecture, .*, got a file"):
        lecture.build_lecture(tmp_path / "a.md")


def test_every_figure_of_the_page_has_a_block():
    from minitorch_cnn.explain.page.bundle import FOLDER

    text = (FOLDER / "deck" / "deck.mjs").read_text(encoding="utf-8")
    table = text.split("const figures = {")[1].split("};")[0]
    assert {entry.split(":")[0].strip() for entry in table.split(",") if ":" in entry} == set(blocks.FIGURES)
