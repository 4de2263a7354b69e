"""Results show themselves in notebooks: as HTML in which nothing of the user's is taken for markup."""

from html.parser import HTMLParser

import numpy as np
import pytest

from minitorch_cnn import Tensor, data, explain, nn, ops, train
from minitorch_cnn.display import html
from minitorch_cnn.explain.experiments.shift import ShiftSensitivity


class Cells(HTMLParser):
    """The texts of a piece of HTML, and its tags."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.tags, self.open = [], set(), []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def test_a_table_escapes_every_cell():
    cells = Cells(html.table([("<b>name</b>", "&"), ("<script>alert(1)</script>", "a\nb")], "<i>"))
    assert cells.tags == {"table", "caption", "tr", "th", "td", "br"}
    assert {"<b>name</b>", "&", "<script>alert(1)</script>", "<i>"} <= set(cells.texts)


def test_text_and_pictures():
    assert html.text("a < b") == "<pre>a &lt; b</pre>"
    assert html.png(b"\x89PNG").endswith('src="data:image/png;base64,iVBORw==">')


class Odd(nn.Sequential):
    pass


Odd.__name__ = "<script>"


@pytest.fixture
def loss():
    model = Odd({"<b>": nn.Conv2d(3, 2, 3), "pool": nn.GlobalAvgPool(), "fc": nn.Linear(2, 3)})
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32))
    return model, ops.cross_entropy(model(x), np.array([0, 1]))


def test_a_summary(loss):
    shown = explain.summary(loss[0], (1, 3, 6, 6))._repr_html_()
    cells = Cells(shown)
    assert {"<script>, input 1 x 3 x 6 x 6", "<b>", "56"} <= set(cells.texts) and "script" not in cells.tags


def test_the_story_of_backward(loss):
    story = explain.BackwardTrace(loss[1].backward(trace=True))
    cells = Cells(story._repr_html_())
    assert {"Conv2d in <b>", "operation", "CrossEntropy"} <= set(cells.texts) and "b" not in cells.tags


def test_drawings_are_svg(loss):
    for shown in (explain.topology(loss[0], (1, 3, 6, 6), "<i>&"), explain.graph(loss[1], loss[0])):
        svg = shown._repr_svg_()
        assert "<svg" in svg and "<script>" not in svg and "<i>" not in svg


def test_measurements():
    norms = explain.GradientNorms({("plain", 8): [4.0, 2.0]})
    assert {"plain", "8", "4", "2"} <= set(Cells(norms._repr_html_()).texts)
    assert {"max", "50%"} <= set(Cells(ShiftSensitivity((1,), {"max": [0.5]})._repr_html_()).texts)


def test_an_evaluation_and_the_folder_of_a_run(tmp_path):
    probabilities = np.full((4, 2), 0.5, np.float32)
    cells = Cells(train.Evaluation(0.693, 0.25, probabilities)._repr_html_())
    assert {"25.00%", "0.6930", "4"} <= set(cells.texts)
    folder = train.RunFolder.create(tmp_path / "<run>")
    assert "img" not in Cells(folder._repr_html_()).tags
    facts = {"recipe": "cifar4", "dataset": "shapes10", "verified": True, "epochs": 1, "seed": 0, "seconds": 1.5}
    facts |= {"test_reads": 1, "test_accuracy": 0.8, "test_loss": 0.5}
    folder.write_result(facts | {"settings": {"hidden": 1}})
    folder.curves.write_bytes(b"\x89PNG")
    cells = Cells(folder._repr_html_())
    assert {"cifar4", "0.8", str(folder.path)} <= set(cells.texts) and "img" in cells.tags
    assert "hidden" not in folder._repr_html_() and "run" not in cells.tags


def test_models_and_tensors_have_no_such_methods():
    for thing in (nn.Module, Tensor, data.ArrayDataset):
        assert not hasattr(thing, "_repr_html_") and not hasattr(thing, "_repr_svg_")
