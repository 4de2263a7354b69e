"""Times of the explorer in Chromium, and the moving picture of it in the README.

    mcnn explore --model runs/cifar4-1 -o explorer.html
    python benchmarks/explorer.py explorer.html                                   # prints the times
    python benchmarks/explorer.py explorer.html --gif examples/gallery/explorer.gif

Needs chromium and chromedriver. A time is the fastest of ten, or of what fits into 8 seconds; the longest task is that
of a page which scrolls, hovers over all cards and moves a unit with the arrow keys (0 if none takes 50 ms).
"""

import argparse
import io
import pathlib
import sys
import tempfile

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tests.explain.browser import started

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
LONGEST = """
let longest = 0;
const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
});
observer.observe({ entryTypes: ["longtask"] });
const scroller = document.getElementById("scroller"), map = document.getElementById("map");
for (let i = 0; i < 60; i++) {
  scroller.scrollLeft += 30;
  document.getElementById("layer-panel").scrollTop += 20;
  const card = explorer.network.cards[i % explorer.network.cards.length];
  for (const type of ["mouseover", "mousemove"]) card.dispatchEvent(new MouseEvent(type, { bubbles: true }));
  map.dispatchEvent(new KeyboardEvent("keydown", { key: i % 2 ? "ArrowRight" : "ArrowDown" }));
  await new Promise((resolve) => requestAnimationFrame(resolve));
}
await new Promise((resolve) => setTimeout(resolve, 300));
return longest;
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


def times(browser, path):
    """Yield (what, figure, unit)."""
    ready = min(opened(browser, path) for _ in range(3))
    forward, both = browser.wait(TIMES)
    yield "page", path.stat().st_size / 1e6, "MB"
    yield "first picture after opening", ready, "ms"
    yield "forward", forward, "ms"
    yield "forward and backward", both, "ms"
    yield "longest task while scrolling and hovering", browser.wait(LONGEST), "ms"


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--gif", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as profile, started(profile) as browser:
        if options.gif:
            film(browser, options.page.resolve(), options.gif)
            return
        for what, figure, unit in times(browser, options.page.resolve()):
            print(f"{what}: {figure:.1f} {unit}", flush=True)


if __name__ == "__main__":
    main()
