// The panels beside a unit: going back, and changing the network by hand.

import { KERNEL_EDITS } from "./change.mjs";
import { button, choice, make } from "./dom.mjs";
import { mapsOf, paintMap, largestOf, short } from "./paint.mjs";
import { pause } from "./session.mjs";
import { kernelOf } from "./unit.mjs";

// Walk against the direction of the network, a layer at a time, with the rule of each operation in words.
async function play(view) {
  view.playing = !view.playing;
  if (!view.playing) return;
  await view.setMode("gradient");
  const nodes = view.session.description.nodes, line = document.getElementById("rule");
  for (let i = view.layers.length - 1; i >= 0 && view.playing; i--) {
    const layer = view.layers[i];
    if (!view.session.gradients.has(layer.shown)) continue;
    view.network.play(i);
    const rules = layer.parts.map((id) => nodes[id - 1]).filter((node) => node.kind !== "view").reverse();
    line.textContent = rules.map((node) => `${node.label}: ${node.rule}`).join("; then ");
    await pause(1500);
  }
  view.playing = false;
  view.network.play(null);
  showModes(view, document.getElementById("mode"));
}

// Mean gradient of each map, times the map, summed; negative sums count as 0.
export function gradCam(maps, gradient) {
  const { channels, height, width, pixels } = mapsOf(maps), heat = new Float32Array(pixels);
  for (let c = 0; c < channels; c++) {
    let mean = 0;
    for (let i = 0; i < pixels; i++) mean += gradient.data[c * pixels + i] / pixels;
    for (let i = 0; i < pixels; i++) heat[i] += mean * maps.data[c * pixels + i];
  }
  return { shape: [1, 1, height, width], data: heat.map((value) => Math.max(value, 0)) };
}

// For each pixel the largest absolute gradient among its channels.
export function saliency(gradient) {
  const { channels, height, width, pixels } = mapsOf(gradient), heat = new Float32Array(pixels);
  for (let i = 0; i < channels * pixels; i++) heat[i % pixels] = Math.max(heat[i % pixels], Math.abs(gradient.data[i]));
  return { shape: [1, 1, height, width], data: heat };
}

function heatMap(tensor, text) {
  const canvas = make("canvas", { width: 104, height: 104, role: "img", ariaLabel: text });
  const at = { x: 0, y: 0, width: 104, height: 104, largest: largestOf(tensor.data), kind: "gradient" };
  paintMap(canvas, tensor, 0, at);
  return make("figure", {}, canvas,
    make("figcaption", { className: "hint", textContent: text }));
}

// The buttons above the network: values or gradients, and where backward starts.
export function showModes(view, box) {
  const { what, label } = view.target, classes = view.classes.map((name, i) => [String(i), name]);
  const modes = [["value", "values"], ["gradient", "gradients"]].map(([mode, text]) => {
    const made = button(text, () => view.setMode(mode));
    made.setAttribute("aria-pressed", view.mode === mode);
    return made;
  });
  const targets = [["class", "of the output for"], ["loss", "of the loss for"], ["unit", "of the chosen unit"]];
  const from = choice("gradients of what", targets, what, (value) => view.setTarget({ what: value, label }));
  const parts = [...modes, from];
  if (what !== "unit") {
    parts.push(choice("class", classes, String(label), (value) => view.setTarget({ what, label: Number(value) })));
  }
  parts.push(button(view.playing ? "stop" : "play backward", () => play(view)));
  box.replaceChildren(...parts);
}

// Saliency of the image, and Grad-CAM of the chosen layer.
export function heatMaps(view) {
  const layer = view.layers[view.layer], gradient = view.session.gradients.get(layer.shown);
  const image = view.session.gradients.get(0), made = image ? [heatMap(saliency(image), "saliency")] : [];
  if (gradient && layer.shown && mapsOf(gradient).pixels > 1) {
    made.push(heatMap(gradCam(view.session.value(layer.shown), gradient), "Grad-CAM here"));
  }
  return made;
}

// Say what the gradient of one weight is: a sum over positions.
export async function weightGradient(view, { node, filter, map, u, v }) {
  if (view.mode !== "gradient") await view.setMode("gradient");
  const id = node.reads[1], weight = view.session.value(id), gradient = view.session.gradients.get(id);
  const [, depth, KH, KW] = weight.shape, [, , OH, OW] = node.shape;
  const index = ((filter * depth + map) * KH + u) * KW + v;
  const text = gradient
    ? `Gradient of weight (${filter}, ${map}, ${u}, ${v}): ${short(gradient.data[index])}, the sum over ${OH * OW} ` +
      "positions of the gradient of the output there times the input that this weight meets there."
    : "Backward does not reach this weight from where it starts.";
  document.getElementById("rule").textContent = text;
}

export function changePanel(view) {
  const box = make("fieldset", {}, make("legend", { textContent: "change" }));
  const nodes = view.session.description.nodes, layer = view.layers[view.layer], { channel } = view.unit;
  const own = nodes[layer.own - 1], { changes } = view;
  const row = make("div", { className: "buttons" });
  if (layer.own && own.op === "Conv2d") row.append(...kernelButtons(view, own, channel, box));
  if (layer.own && (own.op === "MaxPool2d" || own.op === "AvgPool2d")) {
    const other = own.op === "MaxPool2d" ? "average" : "max";
    row.append(button(`use ${other} pooling`, () => changes.swapPooling(`${other} pooling`, layer.own - 1)));
  }
  if (layer.shown && view.shapeOf(layer).length === 4) {
    const silent = changes.isSilent(layer.shown, channel);
    const text = `${silent ? "restore" : "silence"} map ${channel}`;
    row.append(button(text, () => changes.toggleMap(text, layer.shown, channel)));
  }
  box.append(row);
  const undo = button("undo", () => changes.undo()), last = changes.done.at(-1);
  undo.disabled = !last;
  box.append(make("p", { className: "hint" }, undo, last ? ` ${last.text}` : " nothing changed yet"));
  return box;
}

function kernelButtons(view, node, filter, box) {
  const id = node.reads[1], weight = view.session.value(id), depth = weight.shape[1];
  view.map = Math.min(view.map ?? 0, depth - 1);
  const { map } = view, maps = Array.from({ length: depth }, (_, i) => [String(i), `input map ${i}`]);
  box.append(choice("input map of the kernel", maps, String(map), (value) => {
    view.map = Number(value);
    view.paintLayer();
  }));
  if (weight.shape[3] <= 5) box.append(kernelTable(view, id, filter, map));
  return Object.entries(KERNEL_EDITS).map(([name, edit]) =>
    button(name, () => view.changes.kernel(`${name}, filter ${filter}, map ${map}`, id, filter, map, edit)));
}

function kernelTable(view, id, filter, map) {
  const table = make("table", { className: "kernel" }), rows = kernelOf(view.session.value(id), filter, map);
  rows.forEach((line, u) => {
    const row = table.insertRow();
    line.forEach((value, v) => {
      const input = make("input", { type: "number", step: "any", value: String(Number(value.toPrecision(2))) });
      input.setAttribute("aria-label", `weight in row ${u}, column ${v}`);
      input.addEventListener("change", () => {
        if (!Number.isFinite(input.valueAsNumber)) return;
        const edit = (kernel) =>
          kernel.map((old, i) => old.map((w, j) => (i === u && j === v ? input.valueAsNumber : w)));
        view.changes.kernel(`weight ${u}, ${v} of filter ${filter}`, id, filter, map, edit);
      });
      row.insertCell().append(input);
    });
  });
  return make("div", { className: "window" }, table);
}
