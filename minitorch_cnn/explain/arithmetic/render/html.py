"""A worked example as one HTML page that works offline; keys and clicks move through its steps."""

from html import escape
from string import Template

import numpy as np

from minitorch_cnn.explain.arithmetic.render.layout import EDGES, key, scene
from minitorch_cnn.explain.arithmetic.render.svg import drawing
from minitorch_cnn.io import json_text

_SMALLEST = 4  # pixels of a number in a cell, with all its digits: a page can be made larger
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<style>
body { margin: 0 auto; max-width: 1600px; font-family: "DejaVu Sans", Verdana, sans-serif; background: white; }
svg { display: block; width: 100%; max-height: 78vh; }
#equation { min-height: 3em; margin: 0.3em 2em; font-size: 1.4em; font-weight: bold; text-align: center; }
#controls { text-align: center; }
button { margin: 0 0.5em; padding: 0.4em 1em; font-size: 1.1em; }
[data-cell^="result"], [data-cell^="left"] { cursor: pointer; }
</style>
</head>
<body>
$drawing
<p id="equation" role="status"></p>
<p id="controls"><button id="back">&#9664; back</button><span id="position"></span><button
id="next">next &#9654;</button><br>arrow keys, Home, End; click a result to see where it
comes from, an element of the first grid to see where it goes</p>
<script>
"use strict";
const steps = $steps;
const edges = $edges;
const names = $names;
let at = 0;
const cells = {}, texts = {}, fills = {};
for (const part of document.querySelectorAll("[data-cell]")) {
  (part.tagName === "rect" ? cells : texts)[part.dataset.cell] = part;
}
for (const [name, rect] of Object.entries(cells)) fills[name] = rect.getAttribute("fill");
const place = Object.fromEntries(steps.map((step, i) => [step.result, i]));
function mark(name, edge) {  // by a frame on top of all cells, inside the cell
  const frame = cells[name].cloneNode(), side = Number(frame.getAttribute("width")), width = Math.max(3, side / 14);
  const look = { fill: "none", stroke: edge, "stroke-width": width, "pointer-events": "none", class: "marked" };
  for (const axis of ["x", "y"]) look[axis] = Number(frame.getAttribute(axis)) + width / 2;
  look.width = look.height = side - width;
  for (const [attribute, value] of Object.entries(look)) frame.setAttribute(attribute, value);
  frame.removeAttribute("stroke-dasharray");
  cells[name].parentNode.appendChild(frame);
}
function clear(known) {
  document.querySelectorAll(".marked").forEach(frame => frame.remove());
  steps.forEach((step, i) => {
    if (texts[step.result]) texts[step.result].style.visibility = i < known ? "visible" : "hidden";
    cells[step.result].setAttribute("fill", i < known ? fills[step.result] : "white");
  });
}
function show(number) {
  at = Math.min(Math.max(number, 0), steps.length - 1);
  const step = steps[at];
  clear(at + 1);
  step.left.forEach(name => mark(name, edges.left));
  step.right.forEach(name => mark(name, edges.right));
  mark(step.result, edges.result);
  if (step.chosen) mark(step.chosen, edges.result);
  document.getElementById("equation").textContent = step.equation;
  document.getElementById("equation").dataset.value = step.value;
  document.getElementById("position").textContent = (at + 1) + " of " + steps.length;
}
function spread(name) {
  const to = steps.filter(step => step.left.includes(name));
  clear(steps.length);
  mark(name, edges.left);
  for (const step of to) {
    step.left.forEach((source, i) => { if (source === name && i in step.right) mark(step.right[i], edges.right); });
    mark(step.result, edges.result);
  }
  const receivers = to.map(step => names[step.result]).join(", ");
  document.getElementById("equation").textContent = names[name] + " goes to " + (receivers || "no result");
}
const moves = { ArrowRight: 1, ArrowDown: 1, " ": 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };
document.addEventListener("keydown", event => {
  if (event.key in moves) show(at + moves[event.key]);
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(steps.length - 1);
  else return;
  event.preventDefault();
});
document.addEventListener("click", event => {
  const cell = event.target.dataset.cell;
  if (cell in place) show(place[cell]);
  else if (cell in names) spread(cell);
});
document.getElementById("back").addEventListener("click", event => { show(at - 1); event.target.blur(); });
document.getElementById("next").addEventListener("click", event => { show(at + 1); event.target.blur(); });
show(0);
</script>
</body>
</html>
""")


def page(example):
    """Return a worked example as an HTML page.

    Parameters
    ----------
    example : WorkedExample

    Returns
    -------
    str
        Arrow keys, Home, End and two buttons move through the steps. A click on a result goes to its step; one on
        an element of the first grid marks the results that use it.
    """
    steps = [
        {
            "left": [key("left", place) for place in step.left],
            "right": [key("right", place) for place in step.right],
            "result": key("result", step.place),
            "chosen": key("left", step.chosen) if step.chosen else None,
            "equation": step.equation,
            "value": repr(step.value),
        }
        for step in example.steps
    ]
    names = {
        key(name, place): grid.label(place)
        for name, grid in (("left", example.left), ("result", example.result))
        for place in np.ndindex(grid.values.shape)
    }
    return _PAGE.substitute(
        title=escape(example.title),
        drawing=drawing(scene(example, equation=False, smallest=_SMALLEST)),
        steps=_script(steps),
        edges=_script(EDGES),
        names=_script(names),
    )


def frame(example):
    """Return the page in its own frame, so that a notebook can show several."""
    return f'<iframe srcdoc="{escape(page(example))}" width="100%" height="700" style="border: 0"></iframe>'


def _script(value):
    """Return JSON that cannot end the script around it."""
    return json_text.dumps(value, told=False).replace("<", "\\u003c")
