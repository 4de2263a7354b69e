"""The lecture in a real browser: every slide can be read, moves, computes what the kernels compute, and prints."""

import base64
import pathlib
import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, ops
from minitorch_cnn.explain.lecture.settings import known_words

pytestmark = pytest.mark.slow  # the networks of every figure are counted

# What is wrong with how a slide looks: small or clipped text, text outside of the slide, texts on each other, contrast.
LOOK = pathlib.Path(__file__).with_name("look.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def deck(browser, page):
    browser._ask("/window/rect", {"width": 1280, "height": 863})
    browser.open(page)
    browser.wait("await deck.ready;")
    assert browser.errors() == []
    return browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_slide_can_be_read(deck, theme):
    found = deck.wait(
        f"{LOOK} deck.setTheme(given[0]); const found = [];"
        "for (let i = 0; i < deck.slides.length; i++) {"
        "  deck.show(i, Infinity);"
        "  await new Promise(requestAnimationFrame);"
        "  found.push(...problemsOf(deck.slides[i]).map((problem) => `slide ${i + 1}: ${problem}`));"
        "}"
        "return found;",
        theme,
    )
    assert not found, "\n".join(found)


def test_sliders_at_both_ends_keep_the_slide_in_order(deck):
    found = deck.wait(
        f"{LOOK} const found = [], move = (slider, value) => {{"
        "  slider.value = value; slider.dispatchEvent(new Event('input'));"
        "};"
        "for (let i = 0; i < deck.slides.length; i++) {"
        "  deck.show(i, Infinity);"
        "  for (const slider of deck.slides[i].querySelectorAll('[type=range]')) {"
        "    const before = slider.value;"
        "    for (const end of [slider.min, slider.max]) {"
        "      move(slider, end);"
        "      found.push(...problemsOf(deck.slides[i]).map((p) => `${i + 1}, ${slider.ariaLabel} ${end}: ${p}`));"
        "    }"
        "    move(slider, before);"
        "  }"
        "}"
        "return found;"
    )
    assert not found, "\n".join(found)


def test_a_phone_held_upright_shows_a_slide_in_its_width(deck, page):
    deck.screen(390, 844, phone=True)
    deck.open(page)  # a phone lays a page out as it opens
    deck.wait("await deck.ready;")
    wide, smallest = deck.wait(
        "const wait = () => new Promise((resolve) => setTimeout(resolve, 100)), wide = [];"
        "let small = Infinity;"
        "await wait();"
        "const width = document.documentElement.clientWidth;"
        "for (let i = 0; i < deck.slides.length; i++) {"
        "  deck.show(i, Infinity);"
        "  const box = deck.slides[i].getBoundingClientRect();"
        "  wide.push([box.right - width, ...[...deck.slides[i].querySelectorAll('.text, .figure')].map("
        "    (part) => part.getBoundingClientRect().right - width)]);"
        "  for (const one of deck.slides[i].querySelectorAll('.figure :is(p, td, button, label, h2, small, text)')) {"
        "    const { width: across } = one.ownerSVGElement?.viewBox.baseVal ?? {};"
        "    const scale = one.ownerSVGElement ? one.ownerSVGElement.getBoundingClientRect().width / across"
        "      : box.width / deck.slides[i].offsetWidth;"
        "    if (one.textContent.trim()) small = Math.min(small, scale * parseFloat(getComputedStyle(one).fontSize));"
        "  }"
        "}"
        "return [wide.flat(), small];"
    )
    deck.developer("Emulation.clearDeviceMetricsOverride")
    deck.developer("Emulation.setEmulatedMedia", features=[])
    deck.wait("await new Promise((resolve) => setTimeout(resolve, 100));")
    assert smallest > 10.5  # pixels of the screen
    assert max(wide) < 1 and deck.run("document.body.classList.contains('upright')") is False


def test_buttons_walk_as_the_keys_do(deck):
    deck.wait("deck.show(2);")
    deck.click("#next")
    assert deck.run("deck.index") == 3 and deck.run("document.activeElement === document.body")
    deck.click("#back")
    assert deck.run("deck.index") == 2


def test_every_slide_has_something_to_move_and_notes(deck):
    controls = "button, input, select, [tabindex]"
    still = deck.wait(f"return deck.slides.map((s) => s.querySelectorAll('.figure :is({controls})').length);")
    assert all(still) and len(still) >= 25
    assert deck.wait("return deck.content.notes.every((text) => text.length > 20);")


def test_the_settings_list_every_word_of_the_figures(deck):
    said = deck.wait("deck.help(); document.getElementById('help').close(); return [...deck.said];")
    assert len(said) > 50 and set(said) <= set(known_words())


def test_nothing_is_fetched(deck):
    assert deck.run("performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('blob:')).length") == 0


def test_keys_walk_through_slides_and_steps(deck):
    deck.wait("document.activeElement.blur(); deck.show(4);")
    for key, slide, step in (
        ("ArrowRight", 5, 0),
        ("ArrowRight", 5, 1),
        (" ", 5, 2),
        ("ArrowLeft", 5, 1),
        ("Home", 0, 0),
        ("ArrowLeft", 0, 0),
    ):
        deck.press(key)
        assert deck.wait("return [deck.index, deck.step];") == [slide, step], key
    assert deck.run("location.hash") == "#/1"
    deck.press("End")
    assert deck.wait("return deck.index === deck.slides.length - 1;")
    deck.wait("location.hash = '#/3'; await new Promise((r) => setTimeout(r, 50));")
    assert deck.run("deck.index") == 2


def test_overview_black_screen_help_and_pen(deck):
    keys = "const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', {key}));"
    has = "document.body.classList.contains"
    assert deck.wait(f"{keys} press('o'); return {has}('overview');")
    assert deck.wait(f"deck.slides[7].click(); return !{has}('overview') && deck.index === 7;")
    shown = "document.getElementById('black').hidden"
    assert deck.wait(
        f"{keys} const before = {shown}; press('b'); const now = {shown}; press('.'); return before && !now;"
    )
    assert deck.wait(f"{keys} press('p'); const on = {has}('pen'); press('p'); return on && !{has}('pen');")
    text = "const box = document.getElementById('help'), { textContent } = box; box.close(); return textContent;"
    assert "overview" in deck.wait(f"{keys} press('?'); {text}")


def test_notes_stand_in_a_second_window(deck):
    text = deck.wait(
        "deck.show(1); deck.speaker.open(); deck.next(); const text = deck.speaker.screen.document.body.textContent;"
        "deck.speaker.screen.close(); return text;"
    )
    assert text.startswith("0:0") and "3 / " in text and "horizontal edges" in text


def cells(deck, slide, which):
    """Return the numbers of a grid of a slide: the input, the kernel, or the output."""
    return np.array(
        deck.wait(
            "const table = deck.slides[given[0]].querySelectorAll('.grid')[given[1]];"
            "return [...table.rows].map((row) => [...row.cells].map((cell) =>"
            "  Number((cell.querySelector('input')?.value ?? cell.textContent).replace('\u2212', '-'))));",
            slide,
            which,
        ),
        float,
    )


def test_the_window_computes_what_the_kernels_compute(deck):
    deck.wait(
        "const set = (input, value) => { input.value = value; input.dispatchEvent(new Event('input')); };"
        "const inputs = deck.slides[1].querySelectorAll('.grid input');"
        "set(inputs[8], '-3'); set(inputs[40], '5'); set(deck.slides[1].querySelectorAll('[type=range]')[0], 2);"
    )
    x, kernel, out = (cells(deck, 1, which) for which in range(3))
    assert x[1, 2] == -3 and kernel[1, 1] == 5
    expected = ops.conv2d(Tensor(x[None, None]), Tensor(kernel[None, None]), stride=2).data[0, 0]
    np.testing.assert_array_equal(out, expected)
    x, kernel, out = (cells(deck, 3, which) for which in range(3))
    np.testing.assert_array_equal(out, ops.conv2d(Tensor(x[None, None]), Tensor(kernel[None, None])).data[0, 0])
    np.testing.assert_array_equal(kernel, [[4, 3], [2, 1]])  # flipped


def test_networks_give_the_outputs_of_the_kernels(deck):
    differences = deck.wait(
        "const found = [];"
        "for (const name of Object.keys(deck.content.networks)) {"
        "  const network = deck.network(name), session = await deck.session(name);"
        "  const { pixels, output } = network.images[3];"
        "  const x = normalised(bytesOf(pixels), network.graph.inputShape, network.mean, network.std);"
        "  await session.forward(x);"
        "  const own = session.value(network.graph.output).data;"
        "  found.push(Math.max(...output.map((v, i) => Math.abs(v - own[i]))) / largestOf(output));"
        "}"
        "return found;"
    )
    assert len(differences) == 2 and max(differences) < 1e-4


def test_pixels_that_no_window_reads_are_those_without_gradient(deck):
    read = deck.wait("return [...timesRead(8, 3, {kernel_size: 3, stride: 2, padding: 0, dilation: 1})];")
    x = Tensor(np.zeros((1, 1, 8, 8)), requires_grad=True)
    ops.conv2d(x, Tensor(np.ones((1, 1, 3, 3))), stride=2).sum().backward()
    np.testing.assert_array_equal(np.reshape(read, (8, 8)), x.grad[0, 0])


def test_shortcuts_keep_the_gradient_alive(deck):
    plain, short = deck.wait("return [false, true].map((with_) => gradientNorms(40, with_, 0.7)[0]);")
    assert plain < 1e-4 and 0.1 < short < 100


def test_one_page_of_paper_a_slide(deck):
    paper = {
        "page": {"width": 33.8667, "height": 19.05},
        "margin": dict.fromkeys(("top", "bottom", "left", "right"), 0),
    }
    pdf = base64.b64decode(deck._ask("/print", {**paper, "background": True, "shrinkToFit": False}))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == deck.run("deck.slides.length")


def test_axe_finds_nothing(deck, axe):
    for index in range(deck.run("deck.slides.length")):
        deck.wait("deck.show(given[0], Infinity);", index)
        found = deck.violations(axe)
        assert not found, f"slide {index + 1}: {found}"


def test_errors_stay_with_their_figure(deck):
    assert (
        deck.run("[...document.querySelectorAll('.figure')].filter((f) => /^figure \\w+:/.test(f.textContent)).length")
        == 0
    )
    assert deck.errors() == []


def test_the_page_is_an_html_file(page, tmp_path):
    made = explain.Lecture(page.read_text(encoding="utf-8"), [])
    with pytest.raises(ValueError, match="Lecture.save: path - expected a name that ends with .html, got"):
        made.save(tmp_path / "lecture.pdf")


def test_long_headings_and_texts_are_set_smaller(browser, tmp_path):
    long = "Strategien gegen die Überanpassung an wenige Bilder: Vergrößerung der Daten, Dropout, Gewichtsabnahme"
    (tmp_path / "a.md").write_text(
        f"# {long}\n\n" + "Text mit Wörtern. " * 34 + "\n\n```figure window\n```\n\n---\n\n"
        "# Kurz\n\nText.\n\n```figure pooling\n```\n\n---\n\n# Viel\n\n" + "Noch ein Satz mit Wörtern. " * 80 + "\n",
        encoding="utf-8",
    )
    explain.build_lecture(tmp_path).save(tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    browser.wait("await deck.ready;")
    found = browser.wait(
        f"{LOOK} const found = [];"
        "for (let i = 0; i < 3; i++) { deck.show(i); found.push(...problemsOf(deck.slides[i])); } return found;"
    )
    assert found == []
    size = "parseFloat(getComputedStyle(deck.slides[{}].querySelector('{}')).fontSize)"
    assert 18 <= browser.run(size.format(0, "h1")) < 40 == browser.run(size.format(1, "h1"))
    assert all(18 <= browser.run(size.format(i, "p")) < 22 for i in (0, 2)) and browser.run(size.format(1, "p")) == 22


def test_what_is_longer_than_a_slide_scrolls_below_its_heading(browser, tmp_path):
    many = "".join(f"Sentence {i} of a text that has no end.\n\n" for i in range(40))
    code = "```python\n" + "x = 1\n" * 22 + "```\n"
    (tmp_path / "a.md").write_text(
        f"# A\n\n{many}---\n\n# B\n\n{many}```figure window\n```\n\n---\n\n# C\n\n{code}"
        f"\n---\n\n# D\n\n```figure pooling\n```\n\n{code}"
    )
    explain.build_lecture(tmp_path).save(tmp_path / "a.html")
    browser.open(tmp_path / "a.html")
    browser.wait("await deck.ready;")
    found = browser.wait(
        "const box = (e) => e.getBoundingClientRect();"
        "return deck.slides.map((slide) => {"
        "  const long = slide.querySelector('.long'), stage = box(slide), scale = stage.width / 1280;"
        "  const end = (box(long ?? slide.querySelector('.text')).bottom - stage.top) / scale;"
        "  const sizes = [...slide.querySelectorAll('.text p, .text code')].map((e) => getComputedStyle(e).fontSize);"
        "  return [Boolean(long), end, Math.min(...sizes.map(parseFloat)), long?.scrollHeight > long?.clientHeight];"
        "});"
    )
    assert [slide[0] for slide in found] == [slide[3] for slide in found] == [True, True, False, False]
    assert all(end <= 681 and size >= 18 for _, end, size, _ in found)
    browser.wait("deck.show(1); deck.slides[1].querySelector('.long').focus();")
    browser.press("ArrowDown")
    assert browser.run("deck.index") == 1  # the key scrolls the text


def test_a_figure_that_fails_stops_no_other(browser, tmp_path):
    (tmp_path / "a.md").write_text("# A\n\n```figure window\n```\n\n---\n\n# B\n\n```figure pooling\n```\n")
    made = explain.build_lecture(tmp_path)
    page = tmp_path / "a.html"
    page.write_text(made.html.replace('"name":"window"', '"name":"unknown"'), encoding="utf-8")
    browser.open(page)
    browser.wait("await deck.ready;")
    shown = browser.run("[...document.querySelectorAll('.figure')].map((f) => f.textContent)")
    assert shown[0].startswith("figure unknown: ") and "max(" in shown[1]
    assert len(browser.errors()) == 1
