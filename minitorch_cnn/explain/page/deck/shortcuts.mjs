// Why shortcuts and concatenations: gradients through a deep network, and what a dense block reads.

import { Graph, finish } from "../engine/graph.mjs";
import { Tensor, sizeOf } from "../engine/tensor.mjs";
import { make } from "../views/dom.mjs";
import { short } from "../views/paint.mjs";
import { controls, counted, drawn, generator, movable, picture, plain, slider, walked } from "./controls.mjs";

const CHANNELS = 8,
  MAP = 10;

// A chain of 3x3 convolutions with ReLU as the engine runs it; with shortcuts, every second one adds what came before.
function deepGraph(depth, shortcuts, scale) {
  const draw = generator(7),
    shape = [1, CHANNELS, MAP, MAP],
    nodes = [],
    constants = [],
    maps = [0];
  const normal = () => Array.from({ length: 12 }, draw).reduce((a, b) => a + b, -6);
  const random = (size, deviation) =>
    new Tensor(
      size,
      Float32Array.from({ length: sizeOf(size) }, () => deviation * normal()),
    );
  const add = (op, reads, hyper = {}) => {
    nodes.push({ op, reads, hyper, shape, writes: nodes.length + 1 });
    return nodes.length;
  };
  let at = 0,
    before = 0;
  for (let layer = 1; layer <= depth; layer++) {
    constants.push(random([CHANNELS, CHANNELS, 3, 3], scale * Math.sqrt(2 / (9 * CHANNELS))));
    const hyper = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };
    at = add("Conv2d", [at, -constants.length, null], hyper);
    if (shortcuts && layer % 2 === 0) at = add("Add", [at, before]);
    at = add("ReLU", [at]);
    if (layer % 2 === 0) before = at;
    maps.push(at);
  }
  return {
    graph: new Graph({ input: 0, nodes, output: at }, constants),
    image: random(shape, 1),
    end: random(shape, 1),
    maps,
  };
}

// The length of the gradient that arrives at each layer, as a share of that at the end.
export function gradientNorms(depth, shortcuts, scale) {
  const { graph, image, end, maps } = deepGraph(depth, shortcuts, scale);
  finish(graph.forward(image));
  finish(graph.backward(maps.at(-1), end));
  const norms = maps.map((id) =>
    Math.sqrt(graph.gradients.get(id).data.reduce((sum, value) => sum + value * value, 0)),
  );
  return norms.map((norm) => norm / norms.at(-1));
}

const DECADES = [-8, 4]; // of the axis
const LINES = { false: ["var(--kernel)", "8 6"], true: ["var(--gradient)", "none"] }; // with shortcuts or not

export function shortcutsFigure(box, { depth }, deck) {
  const state = { depth, scale: 0.7 }, holder = make("div"), say = make("p", { className: "say" });
  const paint = () => {
    const lines = [false, true].map((shortcuts) => gradientNorms(state.depth, shortcuts, state.scale));
    holder.replaceChildren(normsDrawing(lines, deck));
    const [without, among] = lines.map(([first], i) => {
      const shown = make("b", { textContent: short(first, 2) });
      shown.style.color = LINES[Boolean(i)][0];
      return shown;
    });
    const told = `${deck.say("gradient at the first layer: without shortcuts")} `;
    say.replaceChildren(told, without, `, ${deck.say("with")} `, among);
  };
  const move = (name) => (value) => {
    state[name] = value;
    paint();
  };
  const scales = { min: 0.3, max: 1.4, step: 0.1, value: 0.7 };
  const depths = slider(deck.say("layers"), { min: 2, max: 40, step: 2, value: depth }, move("depth"));
  box.append(holder, say, controls(depths, slider(deck.say("scale of the weights"), scales, move("scale"))));
  paint();
}

// Both lines over the layers, on a logarithmic axis.
function normsDrawing(lines, deck) {
  const svg = picture(800, 400, "gradient norms by layer"), left = 70, right = 770, bottom = 350;
  const y = (norm) => {
    const power = Math.max(DECADES[0], Math.min(DECADES[1], Math.log10(norm || 1e-30)));
    return bottom - ((power - DECADES[0]) / (DECADES[1] - DECADES[0])) * (bottom - 40);
  };
  for (let power = DECADES[0]; power <= DECADES[1]; power += 2) {
    const height = y(10 ** power), label = { x: left - 10, y: height + 6, "text-anchor": "end", class: "soft" };
    svg.append(drawn("line", { x1: left, x2: right, y1: height, y2: height, stroke: "var(--line)" }));
    svg.append(drawn("text", { ...label, text: `1e${power}` }));
  }
  lines.forEach((norms, i) => {
    const [stroke, dash] = LINES[Boolean(i)], step = (right - left) / (norms.length - 1);
    const points = norms.map((norm, layer) => `${left + layer * step},${y(norm)}`).join(" ");
    svg.append(drawn("polyline", { points, fill: "none", stroke, "stroke-width": 4, "stroke-dasharray": dash }));
  });
  svg.append(drawn("text", { x: 0, y: 14, text: deck.say("gradient") }));
  svg.append(drawn("text", { x: left, y: 388, text: deck.say("first layer") }));
  svg.append(drawn("text", { x: right, y: 388, "text-anchor": "end", text: deck.say("last layer") }));
  return svg;
}

const FIRST = 16; // channels that enter the block

export function denseFigure(box, { layers, growth }, deck) {
  const state = { layers, growth },
    holder = make("div"),
    say = make("p", { className: "say" });
  let chosen = layers;
  const paint = () => {
    chosen = Math.min(chosen, state.layers);
    holder.replaceChildren(
      blockDrawing(state, chosen, deck, (to) => {
        chosen = to;
        paint();
      }),
    );
    const wide = FIRST + state.growth * state.layers,
      ins = (layer) => FIRST + state.growth * (layer - 1);
    let dense = 0;
    for (let layer = 1; layer <= state.layers; layer++) dense += 9 * ins(layer) * state.growth;
    const chain = 9 * wide * wide * state.layers;
    const own = chosen
      ? `${deck.say("layer")} ${chosen}: 9\u00b7${ins(chosen)}\u00b7${state.growth} = ` +
        `${counted(9 * ins(chosen) * state.growth)} ${deck.say("weights")}. `
      : "";
    say.replaceChildren(
      own,
      `${deck.say("block")}: `,
      make("b", { textContent: counted(dense) }),
      `; ${deck.say("a chain of the same final width")}: ${counted(chain)} (${plain(chain / dense)}\u00d7)`,
    );
  };
  box.append(
    holder,
    say,
    controls(
      slider(deck.say("layers"), { min: 2, max: 6, value: layers }, (n) => {
        state.layers = n;
        chosen = n;
        paint();
      }),
      slider(deck.say("growth rate k"), { min: 1, max: 48, value: growth }, (n) => {
        state.growth = n;
        paint();
      }),
    ),
  );
  walked(holder, "chosen layer; arrow keys move it");
  movable(
    holder,
    () => [0, chosen],
    ([, to]) => {
      chosen = to;
      paint();
    },
    () => [1, state.layers + 1],
  );
  paint();
}

// Layers as bars as high as their channels; arcs from every earlier output.
function blockDrawing({ layers, growth }, chosen, deck, choose) {
  const svg = picture(800, 400, "a dense block"),
    step = 760 / (layers + 1),
    ground = 340;
  const x = (i) => 20 + (i + 0.5) * step,
    high = (count) => Math.min(150, 14 + 2 * count);
  for (let to = 1; to <= layers; to++) {
    for (let from = 0; from < to; from++) {
      const top = 200 - 34 * (to - from),
        marked = to === chosen;
      svg.append(
        drawn("path", {
          d:
            `M${x(from)} ${ground - high(from ? growth : FIRST)} C${x(from)} ${top} ${x(to)} ${top} ` +
            `${x(to)} ${ground - high(growth)}`,
          fill: "none",
          stroke: marked ? "var(--gradient)" : "var(--line)",
          "stroke-width": marked ? 4 : 2,
        }),
      );
    }
  }
  for (let i = 0; i <= layers; i++) {
    const count = i ? growth : FIRST,
      colour = i ? "var(--kernel)" : "var(--input)";
    const bar = drawn("rect", {
      x: x(i) - 26,
      y: ground - high(count),
      width: 52,
      height: high(count),
      rx: 5,
      fill: colour,
      "fill-opacity": i === chosen ? 1 : 0.55,
    });
    bar.addEventListener("pointerenter", () => {
      if (i !== chosen) choose(i);
    });
    const reads = i ? `${FIRST + growth * (i - 1)} \u2192 ${growth}` : `${FIRST}`;
    svg.append(
      bar,
      drawn("text", { x: x(i), y: ground + 26, "text-anchor": "middle", text: i ? `${i}` : deck.say("input") }),
      drawn("text", { x: x(i), y: ground + 50, "text-anchor": "middle", class: "soft", text: reads }),
    );
  }
  return svg;
}
