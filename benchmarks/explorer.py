"""Times of the explorer in Chromium, and the moving picture of it in the README.

    python benchmarks/explorer.py                                   # of cifar4 and ResNet-18, with random weights
    mcnn explore --model runs/cifar4-1 -o explorer.html
    python benchmarks/explorer.py explorer.html                     # of a page, with its film
    python benchmarks/explorer.py explorer.html --gif examples/gallery/explorer.gif

It prints a table with the bar that cifar4 is measured by. Times do not depend on the weights.
Needs chromium and chromedriver. A time is the fastest of ten, or of what fits into 8 seconds. The longest task of each
view is that of the browser's own tracing, while the mouse hovers over all of the view and its wheel scrolls all boxes.
On a busy machine a task also waits; its time on the processor does not count that.
"""

import argparse
import io
import pathlib
import sys
import tempfile

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from minitorch_cnn import data, explain, models, train
from tests.explain.browser import started

NETWORKS = "cifar4", "resnet18_cifar"
BARS = {  # what is measured: at most, unit
    "page": (9, "MB"),
    "first picture after opening": (1000, "ms"),
    "forward": (150, "ms"),
    "forward and backward": (500, "ms"),
    "longest task": (100, "ms"),
    "its time on the processor": (100, "ms"),
}
WIDTH, HEIGHT, WAIT = 1280, 720, 1100  # of the page, pixels; of a frame, milliseconds
TIMES = """
const best = async (act) => {
  let least = Infinity;
  const end = performance.now() + 8000;
  for (let i = 0; i < 10 && performance.now() < end; i++) {
    const start = performance.now();
    await act();
    least = Math.min(least, performance.now() - start);
  }
  return least;
};
const { session } = explorer, { shape, data } = session.value(0), id = explorer.content.graph.output;
const forward = () => session.forward({ shape, data: data.slice() });
const back = async () => {
  await forward();
  await session.backward(id, lossGradient(session.value(id), 0));
};
return [await best(forward), await best(back)];
"""
VIEWS = {  # what a user looks at, and what brings it there
    "overview": "await explorer.show(0);",
    **{f"layer {i}": f"explorer.choose({i});" for i in range(1, 4)},
    "fully connected layer": "explorer.choose(explorer.layers.length - 1);",
    "gradients": "explorer.choose(1); await explorer.setTarget({ what: 'loss', label: 3 });",
    "gradients of a unit": "await explorer.setTarget({ what: 'unit', label: 3 });",
    "silenced map": "explorer.choose(2); document.querySelector('#side .buttons button:last-of-type').click();",
    "film": "await explorer.film?.show(0);",
    "dark": "explorer.setTheme('dark');",
    "sheet": "document.getElementById('draw').click();",
}
BOXES = """
const boxes = [...document.querySelectorAll("#image-panel, #scroller, #layer-panel, dialog[open]")];
return boxes.map((box) => {
  const { left, top, width, height } = box.getBoundingClientRect();
  return [left, top, width, height];
});
"""
SESSION = (  # what a user does, and for how many times WAIT it is shown
    ("await explorer.show(0);", 2),
    ("explorer.choose(1);", 1),
    ("explorer.chooseUnit({ channel: 5, y: 12, x: 9 });", 1),
    ("explorer.chooseUnit({ channel: 5, y: 12, x: 13 });", 1),
    ("explorer.chooseUnit({ channel: 5, y: 12, x: 17 });", 1),
    ("explorer.choose(3);", 2),
    ("explorer.choose(5);", 2),
    ("await explorer.show(2);", 1),
    ("await explorer.setTarget({ what: 'class', label: explorer.best });", 2),
    ("explorer.choose(3);", 1),
    ("explorer.choose(0);", 1),
    ("await explorer.setMode('value'); await explorer.show(1); explorer.choose(1);", 1),
)


def opened(browser, path):
    browser.developer("Network.setCacheDisabled", cacheDisabled=True)
    browser.screen(WIDTH, HEIGHT)
    browser.open(path)
    return browser.wait("await explorer.ready; return performance.now();")


def made(name, folder):
    """Write the page of a network with random weights and ten images, and return its path."""
    shapes = data.Shapes10(train=False, size=10)
    facts = {"architecture": {"name": name, "image_size": 32}, "classes": list(shapes.classes)}
    found = train.Classifier(models.create(name).eval(), facts | {"mean": [0.5] * 3, "std": [0.25] * 3})
    path = pathlib.Path(folder) / f"{name}.html"
    explain.explore(found, shapes.images, labels=shapes.labels, title=name).save(path)
    return path


def times(browser, path):
    """Return figures by what is measured."""
    ready = min(opened(browser, path) for _ in range(3))
    forward, both = browser.wait(TIMES)
    figures = path.stat().st_size / 1e6, ready, forward, both
    return dict(zip(BARS, figures, strict=False))


def wander(browser):
    """Hover over all that is shown, and scroll it to its end and back."""
    for left, top, width, height in browser.wait(BOXES):
        for step in range(40):
            browser.point(left + width * (step % 8 + 0.5) / 8, top + height * (step // 8 + 0.5) / 5)
        for turn in 12 * [(0, 120)] + 12 * [(120, 0)] + 12 * [(0, -120)] + 12 * [(-120, 0)]:
            browser.point(left + width / 2, top + height / 2, turn)
    browser.wait("await new Promise((resolve) => setTimeout(resolve, 300));")


def fluidity(browser, path):
    """Yield (view, tasks while it comes up, tasks while the mouse wanders over it), as `Browser.tasks` gives them."""
    opened(browser, path)
    browser.tasks()
    for view, script in VIEWS.items():
        browser.wait(f"{script} await new Promise((resolve) => setTimeout(resolve, 100));")
        shown = browser.tasks()
        wander(browser)
        yield view, shown, browser.tasks()


def film(browser, path, target, width=680):
    """Photograph a session and write it as a GIF."""
    frames, folder = [], pathlib.Path(tempfile.mkdtemp())
    opened(browser, path)
    for action, _ in SESSION:
        browser.wait(f"{action} await new Promise((resolve) => setTimeout(resolve, 200));")
        browser.photograph(folder / "frame.png")
        with Image.open(io.BytesIO((folder / "frame.png").read_bytes())) as picture:
            small = picture.convert("RGB").resize((width, width * HEIGHT // WIDTH), Image.Resampling.LANCZOS)
        frames.append(small.quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    frames[0].save(
        target,
        save_all=True,
        append_images=frames[1:],
        duration=[WAIT * count for _, count in SESSION],
        loop=0,
        optimize=True,
    )
    print(f"{target}: {len(frames)} frames, {target.stat().st_size / 1e6:.2f} MB")


def measured(path):
    """Return all figures of a page by what is measured, and print the longest tasks of each view."""
    with tempfile.TemporaryDirectory() as profile, started(profile) as browser:
        figures = times(browser, path)
    longest = []
    print(f"{path.stem}: longest task in ms (its most time on the processor), of scrolling and hovering, to show it:")
    with tempfile.TemporaryDirectory() as profile, started(profile, tracing=True) as browser:
        for view, *tasks in fluidity(browser, path):
            shown, wandering = (tuple(map(max, zip(*some, strict=True))) for some in tasks)
            longest.append(wandering)
            texts = [f"{wall:.0f} ({busy:.0f})" for wall, busy in (wandering, shown)]
            print(f"   {view}: {texts[0]}, {texts[1]}", flush=True)
    return figures | dict(zip(list(BARS)[4:], map(max, zip(*longest, strict=True)), strict=True))


def table(figures):
    """Print the figures of several pages by name, and the bars."""
    print(f"\n| | at most | {' | '.join(figures)} |\n|---|---|{'---|' * len(figures)}")
    for what, (bar, unit) in BARS.items():
        print(f"| {what} | {bar} {unit} | {' | '.join(f'{of[what]:.4g} {unit}' for of in figures.values())} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=pathlib.Path, nargs="*", metavar="PAGE")
    parser.add_argument("--gif", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [path.resolve() for path in options.pages] or [made(name, folder) for name in NETWORKS]
        if options.gif:
            with started(folder) as browser:
                film(browser, paths[0], options.gif)
            return
        table({path.stem: measured(path) for path in paths})


if __name__ == "__main__":
    main()
