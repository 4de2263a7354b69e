"""The pages for everybody: axe-core finds nothing, nothing is cut off or covered, Tab reaches every control."""

import pytest

from minitorch_cnn import explain
from tests.explain.page.test_explorer import classifier, opened, pictures

SCREENS = {"projector": (1280, 720, False), "phone": (390, 844, True)}
VIEWS = {
    "values": "await explorer.setMode('value');",
    "gradients": "await explorer.setTarget({ what: 'loss', label: 1 });",
    "pooling": "explorer.choose(2);",
    "output": "explorer.choose(explorer.layers.length - 1);",
    "drawing": "document.getElementById('draw').click();",
}
# Texts that do not fit into their box, controls that leave the page on its sides, and controls that others cover.
FAULTS = """
const found = [], seen = (e) => e.getClientRects().length && !e.closest('[hidden]') && e.id !== 'file';
const open = document.querySelector('dialog[open]');
for (const e of document.querySelectorAll('button, select, input, p, h1, h2, span, small, li, td, legend, label')) {
  if (!seen(e) || (open && !open.contains(e))) continue;
  const style = getComputedStyle(e), name = `${e.tagName} ${e.id} ${e.textContent.slice(0, 30)}`;
  const cut = style.overflowX !== 'visible' && e.clientWidth && e.scrollWidth > e.clientWidth + 1;
  if (cut) found.push(`cut off: ${name}`);
  if (!e.matches('button, select, input')) continue;
  e.scrollIntoView({ block: 'center', inline: 'center' });
  const box = e.getBoundingClientRect();
  if (box.left < -1 || box.right > document.documentElement.clientWidth + 1) found.push(`outside: ${name}`);
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  if (top !== e && !e.contains(top) && !e.disabled) found.push(`covered: ${name} by ${top?.tagName} ${top?.id}`);
}
const all = document.documentElement;
if (all.scrollWidth > all.clientWidth) found.push('the page scrolls sideways');
return found;
"""


@pytest.fixture(scope="module")
def made():
    return explain.explore(classifier(), pictures(), labels=[0, 1, 2], title="cifar4")


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_any_view(browser, tmp_path, made, axe, screen, dark):
    width, height, phone = SCREENS[screen]
    browser.screen(width, height, dark, phone)
    opened(browser, tmp_path, made)
    for view, action in VIEWS.items():
        browser.wait(action)
        assert browser.violations(axe) == [], view
    assert browser.errors() == []


@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_cut_off_or_covered(browser, tmp_path, made, screen):
    width, height, phone = SCREENS[screen]
    browser.screen(width, height, phone=phone)
    opened(browser, tmp_path, made)
    for view, action in VIEWS.items():
        browser.wait(action)
        assert browser.wait(FAULTS) == [], view


def test_tab_reaches_every_control_and_each_has_a_name(browser, tmp_path, made):
    browser.screen(1280, 720)
    opened(browser, tmp_path, made)
    wanted = browser.run(
        "[...document.querySelectorAll('button, select, input, [tabindex=\"0\"]')]"
        ".filter((e) => e.getClientRects().length && !e.disabled).map((e, i) => (e.dataset.order = String(i))).length"
    )
    reached = set()
    browser.run("document.body.focus()")
    for _ in range(wanted + 5):
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.dataset.order ?? null"))
    missed = [i for i in range(wanted) if str(i) not in reached]
    names = browser.run(
        f"{missed}.map((i) => document.querySelector(`[data-order='${{i}}']`)).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert names == []
