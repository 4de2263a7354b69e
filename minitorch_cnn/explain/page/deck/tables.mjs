// Networks without weights: their layers as bars, tables of variants, costs against errors, results against minutes.

import { make } from "../views/dom.mjs";
import { titleOf } from "../views/network.mjs";
import { controls, counted, drawn, movable, picture, slider, toggle, walked } from "./controls.mjs";

const BAR_COLOURS = {
  input: "var(--input)",
  conv: "var(--kernel)",
  pool: "var(--output)",
  full: "var(--accent)",
  add: "var(--gradient)",
  concat: "var(--gradient)",
};
const BAR_NAMES = {
  input: "input",
  conv: "convolution",
  pool: "pooling",
  full: "fully connected",
  add: "sum or concatenation",
};
const MEASURES = {
  size: ({ shape }) => (shape.length > 1 ? shape[1] : 1),
  channels: ({ shape }) => shape[0],
  params: ({ params }) => params,
  macs: ({ macs }) => macs,
};
const MEASURE_NAMES = { size: "size of the maps", channels: "channels", params: "weights", macs: "multiplications" };

// All that is known of a layer, in words.
function described(layer, deck) {
  const parts = [[titleOf(layer, (word) => deck.say(word)), ...layer.notes].join(", "), layer.shape.join(" \u00d7 ")];
  if (layer.params) parts.push(`${counted(layer.params)} ${deck.say("weights")}`);
  if (layer.macs) parts.push(`${counted(layer.macs)} ${deck.say("multiplications")}`);
  if (Array.isArray(layer.field)) parts.push(`${deck.say("sees")} ${layer.field.join(" \u00d7 ")}`);
  return parts.join("; ");
}

export function layersFigure(box, { show }, deck, networks) {
  const holder = make("div"),
    say = make("p", { className: "say" });
  let measure = show,
    chosen = [0, 1];
  const paint = () => {
    const height = Math.floor(390 / networks.length),
      svg = picture(800, 390, "layers of networks");
    networks.forEach((network, row) =>
      bars(svg, network, {
        measure: MEASURES[measure],
        row,
        top: row * height,
        height,
        chosen,
        wide: networks.length > 1,
        choose: (to) => {
          chosen = to;
          paint();
        },
      }),
    );
    holder.replaceChildren(svg);
    const network = networks[chosen[0]],
      layer = network.layers[chosen[1]];
    say.textContent = `${network.title}, ${chosen[1]}: ${described(layer, deck)}`;
  };
  const options = Object.entries(MEASURE_NAMES).map(([key, name]) => [key, deck.say(name)]);
  box.append(
    controls(
      toggle("height of the bars", options, show, (key) => {
        measure = key;
        paint();
      }),
    ),
    holder,
    say,
    legend(deck),
  );
  walked(holder, "chosen layer; arrow keys move it");
  const longest = Math.max(...networks.map(({ layers }) => layers.length));
  movable(
    holder,
    () => chosen,
    ([row, i]) => {
      chosen = [row, Math.min(i, networks[row].layers.length - 1)];
      paint();
    },
    () => [networks.length, longest],
  );
  paint();
}

// Which colour is which kind of layer.
function legend(deck) {
  const entries = Object.entries(BAR_NAMES).map(([kind, name]) => {
    const mark = make("span", { className: "mark" });
    mark.style.background = BAR_COLOURS[kind];
    return make("span", {}, mark, deck.say(name));
  });
  return make("p", { className: "legend" }, ...entries);
}

function bars(svg, { title, layers, params, macs }, { measure, row, top, height, chosen, wide, choose }) {
  const left = wide ? 210 : 0,
    step = (800 - left) / layers.length,
    room = height - (wide ? 12 : 30);
  const values = layers.map(measure),
    largest = Math.max(...values, 1);
  if (wide) {
    svg.append(drawn("text", { x: 0, y: top + height / 2 - 4, text: title }));
    svg.append(
      drawn("text", {
        x: 0,
        y: top + height / 2 + 18,
        class: "soft",
        text: `${millions(params)} / ${millions(macs)}`,
      }),
    );
  }
  values.forEach((value, i) => {
    const high = Math.max(3, Math.sqrt(value / largest) * room),
      isChosen = chosen[0] === row && chosen[1] === i;
    const bar = drawn("rect", {
      x: left + i * step,
      y: top + height - 6 - high,
      width: Math.max(1.5, step - Math.min(8, step / 4)),
      height: high,
      fill: BAR_COLOURS[layers[i].kind] ?? "var(--soft)",
      "fill-opacity": isChosen ? 1 : 0.6,
      stroke: isChosen ? "var(--ink)" : "none",
      "stroke-width": 2,
    });
    bar.addEventListener("pointerenter", () => {
      if (!isChosen) choose([row, i]);
    });
    svg.append(bar);
  });
}

export function millions(value) {
  const tenths = (unit) => Math.round((10 * value) / unit) / 10;
  if (value >= 1e9) return `${tenths(1e9)} G`;
  return value >= 1e5 ? `${tenths(1e6)} M` : counted(value);
}

// Layers of all networks in rows, aligned by the size of the maps; a pooling ends each stage.
function aligned(networks) {
  const halves = (layer) => layer.kind === "pool" && layer.shape.length > 1;
  const pools = networks.map(({ layers }) => layers.filter(halves).length),
    same = new Set(pools).size === 1;
  const stages = networks.map(({ layers }) => {
    const found = [[]];
    for (const layer of layers.slice(1)) {
      if (!(same && halves(layer))) found.at(-1).push(layer);
      if (halves(layer) || layer.text.includes("/2")) found.push([]);
    }
    return found;
  });
  const count = Math.max(...stages.map((all) => all.length)),
    rows = [];
  for (let stage = 0; stage < count; stage++) {
    const height = Math.max(...stages.map((all) => all[stage]?.length ?? 0));
    for (let i = 0; i < height; i++) rows.push(stages.map((all) => all[stage]?.[i] ?? null));
    if (stage < count - 1) rows.push("pool");
  }
  return rows;
}

const textOf = ({ kind, text, shape }) =>
  kind === "conv"
    ? `${text.split(" ")[0]}, ${shape[0]}${text.includes("/") ? ` ${text.split(" ").at(-1)}` : ""}`
    : kind === "full"
      ? `${shape[0]}`
      : text || kind;

export function variantsFigure(box, given, deck, networks) {
  const table = make("table", { className: "variants" }),
    say = make("p", { className: "say" });
  const head = table.createTHead().insertRow(),
    cells = [];
  const press = (one) => {
    cells.forEach((other) => {
      other.ariaPressed = String(other === one);
    });
  };
  const button = (cell, text, tell) => {
    const one = make("button", { type: "button", textContent: text, ariaPressed: "false" });
    one.addEventListener("click", () => {
      press(one);
      say.textContent = tell;
    });
    cells.push(one);
    cell.append(one);
  };
  networks.forEach(({ title, params, macs, layers }) => {
    const cell = make("th", { scope: "col" }),
      depth = layers.filter(({ kind }) => kind === "conv" || kind === "full").length;
    button(
      cell,
      title,
      `${title}: ${depth} ${deck.say("layers")}, ${counted(params)} ${deck.say("weights")}, ` +
        `${counted(macs)} ${deck.say("multiplications")}`,
    );
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of aligned(networks)) {
    const line = body.insertRow();
    if (row === "pool") {
      line.append(make("td", { colSpan: networks.length, className: "pool" }));
      continue;
    }
    row.forEach((layer, i) => {
      const cell = line.insertCell();
      if (!layer) return;
      const before = i ? row[i - 1] : layer;
      button(cell, textOf(layer), `${networks[i].title}: ${described(layer, deck)}`);
      cell.classList.toggle("new", !before || textOf(before) !== textOf(layer));
    });
  }
  box.append(table, say);
  cells[0].click();
}

export function costsFigure(box, given, deck, families) {
  const holder = make("div"), say = make("p", { className: "say" });
  const all = Object.entries(families).flatMap(([family, points]) => points.map((point) => ({ family, ...point })));
  const state = { measure: "params", chosen: 0 };
  const change = (name) => (value) => {
    state[name] = value;
    paint();
  };
  const paint = () => {
    holder.replaceChildren(costsDrawing(all, state, deck, change("chosen")));
    const point = all[state.chosen];
    say.textContent =
      `${point.name}: ${deck.say("error")} ${point.error} %, ${counted(point.params)} ${deck.say("weights")}, ` +
      `${counted(point.macs)} ${deck.say("multiplications")}`;
  };
  const options = ["params", "macs"].map((key) => [key, deck.say(MEASURE_NAMES[key])]);
  box.append(controls(toggle("axis", options, state.measure, change("measure"))), holder, say);
  walked(holder, "chosen network; arrow keys move it");
  movable(holder, () => [0, state.chosen], ([, to]) => change("chosen")(to), () => [1, all.length]);
  paint();
}

const FAMILY_COLOURS = { ResNet: "var(--kernel)", DenseNet: "var(--gradient)" };

function costsDrawing(all, { measure, chosen }, deck, choose) {
  const svg = picture(800, 400, "error against cost"), largest = Math.max(...all.map((point) => point[measure])) * 1.08;
  const x = (point) => 70 + (point[measure] / largest) * 710, y = (error) => 340 - ((error - 21.5) / 6) * 310;
  svg.append(drawn("text", { x: 0, y: 16, text: deck.say("error") }));
  for (let error = 22; error <= 27; error++) {
    svg.append(drawn("line", { x1: 70, x2: 790, y1: y(error), y2: y(error), stroke: "var(--line)" }));
    svg.append(drawn("text", { x: 60, y: y(error) + 6, "text-anchor": "end", class: "soft", text: `${error} %` }));
  }
  const step = { params: 2e7, macs: 4e9 }[measure];
  for (let value = 0; value <= largest; value += step) {
    const place = { x: x({ [measure]: value }), y: 364, "text-anchor": "middle", class: "soft" };
    svg.append(drawn("text", { ...place, text: value ? millions(value) : "0" }));
  }
  for (const [family, stroke] of Object.entries(FAMILY_COLOURS)) {
    const members = all.filter((point) => point.family === family), end = members.at(-1);
    const points = members.map((point) => `${x(point)},${y(point.error)}`).join(" ");
    svg.append(drawn("polyline", { points, fill: "none", stroke, "stroke-width": 3 }));
    svg.append(drawn("text", { x: x(end), y: y(end.error) - 18, "text-anchor": "middle", text: family }));
  }
  all.forEach((point, i) => {
    const style = { r: i === chosen ? 13 : 9, fill: FAMILY_COLOURS[point.family] };
    const circle = drawn("circle", { cx: x(point), cy: y(point.error), ...style });
    circle.addEventListener("pointerenter", () => {
      if (i !== chosen) choose(i);
    });
    svg.append(circle);
  });
  svg.append(drawn("text", { x: 790, y: 392, "text-anchor": "end", text: deck.say(MEASURE_NAMES[measure]) }));
  return svg;
}

// Results with the minutes that they take; the slider says how many minutes there are.
export function ladderFigure(box, { steps }, deck) {
  const list = make("div", { className: "ladder" }),
    most = Math.ceil(Math.max(...steps.map(({ minutes }) => minutes)));
  const say = make("p", { className: "say" });
  const rows = steps.map(({ name, accuracy, minutes, command }) => {
    const row = make(
      "div",
      {},
      make("span", { className: "minutes", textContent: `${accuracy} %, ${minutes} min` }),
      make("strong", { textContent: name }),
      make("br"),
      make("code", { textContent: command }),
    );
    row.style.setProperty("--share", `${accuracy}%`);
    list.append(row);
    return row;
  });
  const paint = (time) => {
    const possible = steps.filter(({ minutes }) => minutes <= time),
      best = Math.max(0, ...possible.map((s) => s.accuracy));
    rows.forEach((row, i) => row.classList.toggle("beyond", steps[i].minutes > time));
    say.replaceChildren(`${deck.say("in this time")}: `, make("b", { textContent: `${best} %` }));
  };
  box.append(list, controls(slider(deck.say("minutes"), { min: 0, max: most, step: 0.5, value: most }, paint)), say);
  paint(most);
}

// Which layers of a pretrained network are trained: those from a stage on.
export function transferFigure(box, { results }, deck, network) {
  const holder = make("div"),
    say = make("p", { className: "say" }),
    last = network.layers.length - 1;
  const paint = (frozen) => {
    const svg = picture(800, 250, "layers of the network"),
      step = 800 / network.layers.length;
    network.layers.forEach((layer, i) => {
      const high = 20 + 200 * Math.sqrt(layer.params / Math.max(...network.layers.map(({ params }) => params)));
      svg.append(
        drawn("rect", {
          x: i * step,
          y: 240 - high,
          width: step - 4,
          height: high,
          fill: i < frozen ? "var(--line)" : (BAR_COLOURS[layer.kind] ?? "var(--soft)"),
          "fill-opacity": i < frozen ? 1 : 0.75,
        }),
      );
    });
    holder.replaceChildren(svg);
    const trained = network.layers.slice(frozen).reduce((sum, { params }) => sum + params, 0);
    const all = network.layers.reduce((sum, { params }) => sum + params, 0);
    say.replaceChildren(
      `${deck.say("trained weights")}: `,
      make("b", { textContent: counted(trained) }),
      ` (${((100 * trained) / all).toFixed(1)} %)`,
    );
  };
  const table = make("table", { className: "facts" });
  for (const { name, accuracy, minutes } of results) {
    const row = table.insertRow();
    row.append(
      make("td", { textContent: name }),
      make("td", { textContent: `${accuracy} %` }),
      make("td", { textContent: `${minutes} min` }),
    );
  }
  box.append(
    holder,
    say,
    controls(slider(deck.say("frozen layers"), { min: 0, max: last, value: last }, paint)),
    table,
  );
  paint(last);
}
