// Sizes, strides and connections drawn: the arithmetic of windows, full and shared weights, growing receptive fields.

import { operations } from "../engine/graph.mjs";
import { Tensor } from "../engine/tensor.mjs";
import { make } from "../views/dom.mjs";
import { controls, counted, drawn, movable, picture, slider, toggle, walked } from "./controls.mjs";
import { lengthOf } from "./windows.mjs";

const ones = (shape) => {
  const made = new Tensor(shape);
  made.data.fill(1);
  return made;
};

// How many windows read each pixel: the gradient of the sum of all outputs with a kernel of ones.
export function timesRead(size, out, { kernel_size: kernel, stride, padding, dilation }) {
  const x = ones([1, 1, size, size]),
    weight = ones([1, 1, kernel, kernel]);
  const hyper = {
    stride: [stride, stride],
    padding: Array(4).fill(padding),
    dilation: [dilation, dilation],
    groups: 1,
  };
  return operations.Conv2d.backward({ inputs: [x, weight, null], hyper }, ones([1, 1, out, out]))[0].data;
}

const LABELS = { size: "size", kernel_size: "kernel", padding: "padding", stride: "stride", dilation: "dilation" };
const RANGES = { size: [1, 12], kernel_size: [1, 5], padding: [0, 3], stride: [1, 4], dilation: [1, 3] };

export function arithmeticFigure(box, given, deck) {
  const state = { ...given },
    holder = make("div"),
    formula = make("p", { className: "formula" });
  const say = make("p", { className: "say" });
  let at = [0, 0];
  const paint = () => {
    const out = lengthOf(state.size, state.kernel_size, state);
    at = at.map((value) => Math.max(0, Math.min(out - 1, value)));
    holder.replaceChildren(
      drawing(state, out, at, deck, (to) => {
        at = to;
        paint();
      }),
    );
    const { size, kernel_size: k, padding: p, stride: s, dilation: d } = state,
      reach = d * (k - 1) + 1;
    const exact = (size + 2 * p - reach) / s;
    const inner =
      d > 1 ? `${size} + 2\u00b7${p} \u2212 ${d}\u00b7(${k} \u2212 1) \u2212 1` : `${size} + 2\u00b7${p} \u2212 ${k}`;
    formula.textContent =
      exact < 0
        ? deck.say("the kernel is larger than the padded input")
        : `${deck.say("output")} = \u230a(${inner}) / ${s}\u230b + 1 = \u230a${+exact.toFixed(2)}\u230b + 1 = ${out}`;
    const left = out ? size + 2 * p - ((out - 1) * s + reach) - p : 0;
    say.textContent = left > 0 ? `${deck.say("rows and columns never read")}: ${left}` : "";
  };
  const sliders = given.sliders.map((name) => {
    const [min, max] = RANGES[name];
    return slider(deck.say(LABELS[name]), { min, max, value: state[name] }, (value) => {
      state[name] = value;
      paint();
    });
  });
  box.append(holder, formula, say, controls(...sliders));
  walked(holder, "position of the window; arrow keys move it");
  movable(
    holder,
    () => at,
    (to) => {
      at = to;
      paint();
    },
    () => Array(2).fill(lengthOf(state.size, state.kernel_size, state)),
  );
  paint();
}

// The padded input with the window on it, and the output with the chosen element.
function drawing(state, out, at, deck, choose) {
  const { size, padding } = state, cell = Math.min(40, Math.floor(340 / (size + 2 * padding)));
  const svg = picture(800, 372, `input ${size} by ${size}, output ${out} by ${out}`), pattern = hatch();
  svg.append(pattern, drawn("text", { x: 0, y: 20, text: `${deck.say("input")} ${size} \u00d7 ${size}` }));
  inputCells(svg, state, { out, at, cell, hatched: `url(#${pattern.firstChild.id})` });
  const left = (size + 2 * padding) * cell + 90;
  svg.append(drawn("text", { x: left, y: 20, text: `${deck.say("output")} ${out} \u00d7 ${out}` }));
  for (let y = 0; y < out; y++) {
    for (let x = 0; x < out; x++) {
      const chosen = y === at[0] && x === at[1];
      const style = { fill: "var(--output)", "fill-opacity": chosen ? 0.9 : 0.2 };
      const rect = square(left + x * cell, 30 + y * cell, cell, style);
      rect.addEventListener("pointerenter", () => {
        if (!chosen) choose([y, x]);
      });
      svg.append(rect);
    }
  }
  return svg;
}

const square = (x, y, cell, style) =>
  drawn("rect", { x: x + 1, y: y + 1, width: cell - 2, height: cell - 2, stroke: "var(--line)", ...style });

// Each pixel of the input with the number of windows that read it; the padding dashed, pixels never read hatched.
function inputCells(svg, state, { out, at, cell, hatched }) {
  const { size, padding, kernel_size: kernel, stride, dilation } = state, all = size + 2 * padding;
  const read = out ? timesRead(size, out, state) : new Float32Array(size * size);
  const taps = Array.from({ length: kernel }, (_, i) => i * dilation);
  const inWindow = (row, column) =>
    out > 0 && taps.includes(row - at[0] * stride) && taps.includes(column - at[1] * stride);
  for (let y = 0; y < all; y++) {
    for (let x = 0; x < all; x++) {
      const [row, column] = [y - padding, x - padding];
      const inside = Math.min(row, column) >= 0 && Math.max(row, column) < size;
      const times = inside ? read[row * size + column] : 0;
      let style = { fill: "var(--input)", "fill-opacity": 0.18 };
      if (!inside) style = { fill: "var(--panel)", "stroke-dasharray": "3 3" };
      else if (times === 0) style = { fill: hatched };
      if (inWindow(y, x)) Object.assign(style, { fill: "var(--kernel)", "fill-opacity": 0.4 });
      svg.append(square(x * cell, 30 + y * cell, cell, style));
      if (times === 0 || cell < 30) continue;
      const middle = { x: (x + 0.5) * cell, y: 36 + (y + 0.5) * cell, "text-anchor": "middle" };
      svg.append(drawn("text", { ...middle, text: times }));
    }
  }
}

let hatches = 0; // each drawing has its own pattern, because those of hidden slides are not drawn

function hatch() {
  const line = drawn("path", { d: "M-2,10 L10,-2 M6,14 L14,6", stroke: "var(--soft)", "stroke-width": 2 });
  const tile = drawn(
    "pattern",
    { id: `hatch${hatches++}`, width: 12, height: 12, patternUnits: "userSpaceOnUse" },
    line,
  );
  return drawn("defs", {}, tile);
}

const TAP_COLOURS = ["#0b6fb8", "#c2500a", "#00805e", "#8a3ffc", "#a3195b"];

// One layer in 1-D: which inputs a unit reads, and which weights are the same.
export function connectivityFigure(box, { units, kernel_size: kernel }, deck) {
  const state = { units, kernel, kind: "full" },
    holder = make("div"),
    say = make("p", { className: "say" });
  let chosen = { side: "output", index: Math.floor(units / 2) };
  const paint = () => {
    holder.replaceChildren(
      layerDrawing(state, chosen, deck, (to) => {
        chosen = to;
        paint();
      }),
    );
    const pairs = edgesOf(state).length,
      weights = { full: pairs, sparse: pairs, shared: state.kernel }[state.kind];
    say.replaceChildren(
      `${deck.say("connections")} ${pairs}, ${deck.say("weights")} `,
      make("b", { textContent: weights }),
    );
  };
  const kinds = toggle(
    "connectivity",
    ["full", "sparse", "shared"].map((name) => [name, deck.say(name)]),
    "full",
    (kind) => {
      state.kind = kind;
      paint();
    },
  );
  box.append(
    controls(kinds),
    holder,
    say,
    controls(
      slider(deck.say("units"), { min: 3, max: 9, value: units }, (n) => {
        state.units = n;
        chosen.index = 1;
        paint();
      }),
      slider(deck.say("kernel"), { min: 1, max: 5, step: 2, value: kernel }, (n) => {
        state.kernel = n;
        paint();
      }),
    ),
    countsTable(deck),
  );
  walked(holder, "chosen unit; arrow keys move it");
  movable(
    holder,
    () => [chosen.side === "output" ? 0 : 1, chosen.index],
    ([row, index]) => {
      chosen = { side: row ? "input" : "output", index };
      paint();
    },
    () => [2, state.units],
  );
  paint();
}

// [input, output, tap] of every connection.
function edgesOf({ units, kernel, kind }) {
  const found = [],
    half = Math.floor(kernel / 2);
  for (let o = 0; o < units; o++) {
    for (let i = 0; i < units; i++) {
      if (kind === "full" || Math.abs(i - o) <= half) found.push([i, o, i - o + half]);
    }
  }
  return found;
}

function layerDrawing(state, chosen, deck, choose) {
  const { units, kind } = state,
    step = 700 / units,
    x = (i) => 90 + (i + 0.5) * step,
    svg = picture(800, 230, "a layer");
  for (const [i, o, tap] of edgesOf(state)) {
    const marked = chosen.side === "output" ? o === chosen.index : i === chosen.index;
    const colour = kind === "shared" ? TAP_COLOURS[tap] : "var(--kernel)";
    svg.append(
      drawn("line", {
        x1: x(i),
        y1: 184,
        x2: x(o),
        y2: 46,
        stroke: marked || kind === "shared" ? colour : "var(--soft)",
        "stroke-width": marked ? 4 : 1.5,
        "stroke-opacity": marked ? 1 : 0.55,
      }),
    );
  }
  for (const [side, y, colour] of [
    ["output", 30, "var(--output)"],
    ["input", 200, "var(--input)"],
  ]) {
    svg.append(drawn("text", { x: 0, y: y + 6, text: deck.say(side) }));
    for (let i = 0; i < units; i++) {
      const isChosen = chosen.side === side && chosen.index === i;
      const circle = drawn("circle", {
        cx: x(i),
        cy: y,
        r: 18,
        fill: isChosen ? colour : "var(--paper)",
        stroke: colour,
        "stroke-width": 3,
      });
      circle.addEventListener("pointerenter", () => {
        if (!isChosen) choose({ side, index: i });
      });
      svg.append(circle);
    }
  }
  return svg;
}

// A layer from 32x32x3 to 32x32x96 with windows of 5x5, as in the lecture.
function countsTable(deck) {
  const inputs = 32 * 32 * 3,
    outputs = 32 * 32 * 96,
    window = 5 * 5 * 3;
  const rows = [
    ["full", inputs * outputs],
    ["sparse", outputs * window],
    ["shared", 96 * window],
  ];
  const table = make("table", { className: "facts" });
  const head = table.createTHead().insertRow();
  head.append(
    make("th", { textContent: "32\u00d732\u00d73 \u2192 32\u00d732\u00d796, 5\u00d75" }),
    make("th", { textContent: deck.say("weights") }),
  );
  for (const [name, count] of rows) {
    const row = table.insertRow();
    row.append(make("td", { textContent: deck.say(name) }), make("td", { textContent: counted(count) }));
  }
  return table;
}

const BOTTOM = 21; // units of the lowest row

// Layers above each other in 1-D: the cone of inputs below a unit.
export function growthFigure(box, { layers, kernel_size: kernel }, deck) {
  const state = { layers, kernel, stride: 1 },
    holder = make("div"),
    say = make("p", { className: "say" });
  let chosen = null;
  const paint = () => {
    const rows = [BOTTOM];
    while (rows.length <= state.layers) {
      const next = lengthOf(rows.at(-1), state.kernel, state);
      if (next < 1) break;
      rows.push(next);
    }
    const top = rows.length - 1;
    if (!chosen || chosen[0] > top || chosen[1] >= rows[chosen[0]]) chosen = [top, Math.floor(rows[top] / 2)];
    const cone = coneOf(chosen, state);
    holder.replaceChildren(
      stack(rows, cone, chosen, (to) => {
        chosen = to;
        paint();
      }),
    );
    const depth = chosen[0],
      seen = cone[0][1] - cone[0][0] + 1;
    say.replaceChildren(
      `${deck.say("layer")} ${depth}: ${deck.say("receptive field")} `,
      make("b", { textContent: seen }),
      `, ${deck.say("non-linearities")} `,
      make("b", { textContent: depth }),
      `, ${deck.say("weights in 2-D, C channels")}: ${depth * state.kernel ** 2}\u00b7C\u00b2 ` +
        `(${deck.say("one large kernel")}: ${seen ** 2}\u00b7C\u00b2)`,
    );
  };
  const move = (name) => (value) => {
    state[name] = value;
    chosen = null;
    paint();
  };
  box.append(
    holder,
    say,
    controls(
      slider(deck.say("layers"), { min: 1, max: 6, value: layers }, move("layers")),
      slider(deck.say("kernel"), { min: 1, max: 5, step: 2, value: kernel }, move("kernel")),
      slider(deck.say("stride"), { min: 1, max: 2, value: 1 }, move("stride")),
    ),
  );
  walked(holder, "chosen unit; arrow keys move it");
  movable(
    holder,
    () => [-chosen[0] + 6, chosen[1]],
    ([up, index]) => {
      chosen = [Math.max(0, 6 - up), index];
      paint();
    },
    () => [7, BOTTOM],
  );
  paint();
}

// For each row from the input up to the chosen unit: [first, last] unit that it depends on.
function coneOf([depth, index], { kernel, stride }) {
  const cone = [];
  cone[depth] = [index, index];
  for (let row = depth - 1; row >= 0; row--) {
    cone[row] = [cone[row + 1][0] * stride, cone[row + 1][1] * stride + kernel - 1];
  }
  return cone;
}

function stack(rows, cone, chosen, choose) {
  const height = 360,
    svg = picture(800, height + 30, "layers above each other"),
    step = 800 / BOTTOM;
  const y = (row) => height - (row * (height - 40)) / Math.max(1, rows.length - 1) + 4;
  const x = (row, i) => 400 + (i - (rows[row] - 1) / 2) * step;
  for (let row = 1; row <= chosen[0]; row++) {
    const [first, last] = cone[row],
      [low, high] = cone[row - 1];
    const points = [
      [x(row, first), y(row)],
      [x(row, last), y(row)],
      [x(row - 1, high), y(row - 1)],
      [x(row - 1, low), y(row - 1)],
    ];
    svg.append(
      drawn("polygon", {
        points: points.map((p) => p.join(",")).join(" "),
        fill: "var(--output)",
        "fill-opacity": 0.16,
      }),
    );
  }
  rows.forEach((count, row) => {
    for (let i = 0; i < count; i++) {
      const inside = cone[row] && i >= cone[row][0] && i <= cone[row][1],
        isChosen = row === chosen[0] && i === chosen[1];
      const colour = row ? "var(--output)" : "var(--input)";
      const circle = drawn("circle", {
        cx: x(row, i),
        cy: y(row),
        r: 13,
        stroke: colour,
        "stroke-width": 2.5,
        fill: inside ? colour : "var(--paper)",
        "fill-opacity": isChosen || !inside ? 1 : 0.6,
      });
      circle.addEventListener("pointerenter", () => {
        if (!isChosen) choose([row, i]);
      });
      svg.append(circle);
    }
  });
  return svg;
}
