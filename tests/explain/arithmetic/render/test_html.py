"""The HTML page, in a real browser: keys and clicks go through the steps, and its numbers are the kernel's."""

import dataclasses
from html.parser import HTMLParser

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, ops

X = np.random.default_rng(0).integers(0, 10, (2, 5, 5))
WEIGHT = np.random.default_rng(1).standard_normal((2, 2, 3, 3))
STORY_OPTIONS = {"stride": 2, "padding": 1}


def shown(browser):
    """Return what the page shows: position, equation, value, results so far, numbers of window and kernel."""
    return browser.run("""(() => {
      const text = name => [...document.querySelectorAll(`text[data-cell="${name}"]`)].map(t => t.textContent)[0];
      const marked = grid => [...document.querySelectorAll(`rect.marked[data-cell^="${grid}"]`)]
        .map(rect => [rect.dataset.cell, Number(text(rect.dataset.cell).replace("\\u2212", "-"))]);
      const visible = [...document.querySelectorAll('text[data-cell^="result"]')]
        .filter(t => getComputedStyle(t).visibility === "visible");
      const equation = document.getElementById("equation");
      return {
        position: document.getElementById("position").textContent, equation: equation.textContent,
        value: Number(equation.dataset.value), left: marked("left"), right: marked("right"),
        result: marked("result"), results: visible.map(t => Number(t.textContent.replace("\\u2212", "-"))),
      };
    })()""")


def requires(page, number, out, story):
    """Require that the page shows step ``number``, with the numbers of the kernel's output ``out``."""
    place = np.unravel_index(number, out.shape)
    assert page["position"] == f"{number + 1} of {out.size}"
    assert page["value"] == pytest.approx(out[place], abs=1e-12)
    assert page["equation"] == story.steps[number].equation
    np.testing.assert_allclose(page["results"], out.ravel()[: number + 1], rtol=1e-3, atol=1e-4)  # four digits
    assert page["result"] == [["-".join(["result", *map(str, map(int, place))]), page["results"][-1]]]
    window = sum(x * w for (_, x), (_, w) in zip(page["left"], page["right"], strict=True))
    assert window == pytest.approx(out[place], abs=0.05)  # of factors in four digits


def test_keys_and_clicks_go_through_a_convolution(browser, tmp_path):
    story = explain.conv(X, WEIGHT, **STORY_OPTIONS)
    out = ops.conv2d(Tensor(X[None].astype(float)), Tensor(WEIGHT), **STORY_OPTIONS).data[0]
    story.save(tmp_path / "conv.html")
    browser.open(tmp_path / "conv.html")
    requires(shown(browser), 0, out, story)
    keys = {"ArrowRight": 1, " ": 2, "ArrowLeft": 1, "End": 17, "Home": 0}
    for key, number in [*keys.items(), ("ArrowLeft", 0), ("End", 17), ("ArrowRight", 17)]:
        browser.press(key)
        requires(shown(browser), number, out, story)
    for selector, number in [
        ("rect[data-cell='result-1-0-2']", 11),
        ("rect[data-cell='result-0-2-1']", 7),
        ("#next", 8),
        ("#back", 7),
    ]:
        browser.click(selector)
        requires(shown(browser), number, out, story)
    browser.press("ArrowRight")  # after a click, keys still go to the page
    requires(shown(browser), 8, out, story)


def test_the_gradient_of_a_maximum(browser, tmp_path):
    x = np.array([[1.0, 5, 2], [5, 0, 7], [3, 1, 4]])
    story = explain.pool_gradient(x, 2, stride=1)
    leaf = Tensor(x[None, None], requires_grad=True)
    ops.max_pool2d(leaf, 2, stride=1).backward(np.arange(1.0, 5).reshape(1, 1, 2, 2))
    story.save(tmp_path / "pool.html")
    browser.open(tmp_path / "pool.html")
    for number in range(9):
        page = shown(browser)
        assert page["value"] == leaf.grad.ravel()[number]
        assert page["results"] == leaf.grad.ravel()[: number + 1].tolist()
        assert sum(value for _, value in page["left"]) == page["value"]
        browser.press("ArrowRight")
    browser.click("rect[data-cell='left-0-1-0']")  # dS[1, 0], whose window is 5 0 3 1
    page = shown(browser)
    assert page["equation"] == "dS[1, 0] goes to dx[1, 0]" and page["results"] == leaf.grad.ravel().tolist()
    assert page["left"] == [["left-0-1-0", 3]] and page["right"] == [["right-0-1-0", 5]]
    assert page["result"] == [["result-0-1-0", leaf.grad[0, 0, 1, 0]]]


def test_a_pixel_goes_to_every_window_that_reads_it(browser, tmp_path):
    story = explain.conv([1, 2, 3, 4], [5, 6], stride=1)
    story.save(tmp_path / "signal.html")
    browser.open(tmp_path / "signal.html")
    browser.click("rect[data-cell='left-0-0-1']")
    page = shown(browser)
    assert page["equation"] == "x[1] goes to S[0], S[1]" and page["results"] == [17, 28, 39]
    assert [cell for cell, _ in page["result"]] == ["result-0-0-0", "result-0-0-1"]
    assert {cell for cell, _ in page["right"]} == {"right-0-0-0", "right-0-0-1"}
    browser.press("Home")
    assert shown(browser)["equation"] == "S[0] = 1*5 + 2*6 = 17"


def test_the_page_shows_text_as_text(browser, tmp_path):
    evil = "</script><script>window.bad = 1</script><img src=x onerror='window.bad = 1'>\" & more"
    story = explain.conv([1, 2], [3])
    steps = tuple(dataclasses.replace(step, equation=evil) for step in story.steps)
    dataclasses.replace(story, title=evil, rule=evil, steps=steps).save(tmp_path / "evil.html")
    browser.open(tmp_path / "evil.html")
    assert browser.run("window.bad === undefined")
    assert browser.run("document.title") == evil
    assert browser.run("document.getElementById('equation').textContent") == evil


class References(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found, self.frames = [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "data", "action")]
        self.frames += [value for name, value in attributes if name == "srcdoc"]


def test_a_page_fetches_nothing_and_a_notebook_gets_it_in_a_frame(tmp_path):
    story = explain.pool(X, 2)
    story.save(tmp_path / "a.html")
    page, references = (tmp_path / "a.html").read_text(), References()
    references.feed(page)
    assert references.found == [] and "fetch(" not in page and "import" not in page and "url(#hatch)" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    notebook = References()
    notebook.feed(story._repr_html_())
    assert notebook.frames == [page]
