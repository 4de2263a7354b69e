// One element of a map: the window that it reads, the products and their sum, and where it goes.

import { largestOf, mapsOf, numberCell, short } from "./paint.mjs";

const SHOWN = 4; // input maps whose windows are written out

function element(name, text = "", className = "") {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

// The (row, column) in the input that tap (u, v) of an output position reads.
function positionOf(hyper, { y, x }, u, v) {
  const [stepY, stepX] = hyper.stride, [top, , left] = hyper.padding, [dy, dx] = hyper.dilation ?? [1, 1];
  return [y * stepY + u * dy - top, x * stepX + v * dx - left];
}

function inside(shape, row, column) {
  return row >= 0 && column >= 0 && row < shape[2] && column < shape[3];
}

// The window of one input map as rows of numbers; null outside the image.
export function windowOf(tensor, channel, hyper, [KH, KW], unit) {
  return Array.from({ length: KH }, (_, u) => Array.from({ length: KW }, (__, v) => {
    const [row, column] = positionOf(hyper, unit, u, v);
    const index = (channel * tensor.shape[2] + row) * tensor.shape[3] + column;
    return inside(tensor.shape, row, column) ? tensor.data[index] : null;
  }));
}

// The kernel of a filter for one of its input maps.
export function kernelOf(weight, filter, map) {
  const [, depth, KH, KW] = weight.shape;
  return Array.from({ length: KH }, (_, u) => Array.from({ length: KW }, (__, v) =>
    weight.data[((filter * depth + map) * KH + u) * KW + v]));
}

// What each input map adds to an element of a convolution: [{ channel, map, window, kernel, sum }], largest first.
export function contributions(node, x, weight, unit) {
  const depth = weight.shape[1], perGroup = weight.shape[0] / node.hyper.groups;
  const first = Math.floor(unit.channel / perGroup) * depth;
  const parts = Array.from({ length: depth }, (_, map) => {
    const window = windowOf(x, first + map, node.hyper, weight.shape.slice(2), unit);
    const kernel = kernelOf(weight, unit.channel, map);
    let sum = 0;
    window.forEach((line, u) => line.forEach((value, v) => { sum += (value ?? 0) * kernel[u][v]; }));
    return { channel: first + map, map, window, kernel, sum };
  });
  return parts.sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
}

function table(rows, className, largest, onCell = () => {}) {
  const made = element("table", "", className);
  rows.forEach((line, u) => {
    const row = made.insertRow();
    line.forEach((value, v) => {
      const cell = value === null ? element("td", "0", "outside") : numberCell(value, largest);
      onCell(cell, u, v);
      row.append(cell);
    });
  });
  return made;
}

// A sum written out; what begins with a minus is subtracted.
const written = (terms) =>
  terms.reduce((sum, term) => (term.startsWith("\u2212") ? `${sum} \u2212 ${term.slice(1)}` : `${sum} + ${term}`));

function convolution(view, node, unit, onWeight) {
  const [x, weight, bias] = node.reads.map((id) => (id === null ? null : view.session.value(id)));
  const parts = contributions(node, x, weight, unit), box = element("div");
  const largestInput = largestOf(x.data), largestWeight = largestOf(weight.data);
  const wide = weight.shape[3] > 7 ? 1 : SHOWN;
  for (const part of parts.slice(0, wide)) {
    const one = element("div", "", "window");
    one.append(table(part.window, "input", largestInput), element("span", "\u00d7"));
    one.append(table(part.kernel, "kernel", largestWeight, (cell, u, v) => {
      const button = element("button", cell.textContent);
      Object.assign(button, { type: "button", title: "click for the gradient of this weight" });
      button.addEventListener("click", () => onWeight({ node, filter: unit.channel, map: part.map, u, v }));
      cell.replaceChildren(button);
    }));
    one.append(element("span", `= ${short(part.sum)}`, "sum"));
    one.title = `input map ${part.channel}`;
    box.append(one);
  }
  const rest = parts.slice(wide).reduce((sum, part) => sum + part.sum, 0);
  const total = parts.reduce((sum, part) => sum + part.sum, 0) + (bias ? bias.data[unit.channel] : 0);
  const terms = parts.slice(0, wide).map((part) => short(part.sum));
  if (parts.length > wide) terms.push(`${short(rest)} from ${parts.length - wide} further maps`);
  if (bias) terms.push(`${short(bias.data[unit.channel])} of the bias`);
  box.prepend(element("p", `${written(terms)} = ${short(total)}`, "chain"));
  return box;
}

function pooling(view, node, unit) {
  const x = view.session.value(node.reads[0]), box = element("div", "", "window");
  const rows = windowOf(x, unit.channel, node.hyper, node.hyper.kernel_size, unit);
  const values = rows.flat().filter((value) => value !== null), best = Math.max(...values);
  const largest = node.op === "MaxPool2d";
  let marked = false;
  box.append(table(rows, "input", largestOf(x.data), (cell, u, v) => {
    if (!largest || marked || rows[u][v] !== best) return;
    marked = true;
    cell.classList.add("chosen");
  }));
  box.append(element("span", `${largest ? "largest" : "mean"} = ${short(unit.value)}`, "sum"));
  return box;
}

// An element of a product of matrices, or of a fully connected layer, whose matrix has a row for each output.
function product(view, node, unit) {
  const [x, weight, bias] = node.reads.map((id) => (id === null ? null : view.session.value(id)));
  const depth = x.shape[1], columns = node.shape[1];
  const parts = Array.from({ length: depth }, (_, i) => {
    const factor = weight.data[node.op === "Linear" ? unit.channel * depth + i : i * columns + unit.channel];
    return { i, x: x.data[i], factor, product: x.data[i] * factor };
  }).sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const factor = (value) => (value < 0 ? `(${short(value)})` : short(value));
  const terms = parts.slice(0, 6).map((p) => `${short(p.x)} \u00d7 ${factor(p.factor)}`);
  const rest = parts.slice(6).reduce((sum, part) => sum + part.product, 0);
  if (depth > 6) terms.push(`${short(rest)} from ${depth - 6} further inputs`);
  if (bias) terms.push(`${short(bias.data[unit.channel])} of the bias`);
  return element("p", `${written(terms)} = ${short(unit.value)}`);
}

// The element of a variable at the place of a unit.
export function at(tensor, { channel, y, x }) {
  const { height, width, pixels } = mapsOf(tensor);
  return tensor.data[channel * pixels + Math.min(y, height - 1) * width + Math.min(x, width - 1)];
}

// Which output positions along one axis read an input index: [first, last].
export function readersOf(index, kernel, stride, padding, dilation, out) {
  const found = [];
  for (let u = 0; u < kernel; u++) {
    const at0 = index + padding - u * dilation;
    if (at0 >= 0 && at0 % stride === 0 && at0 / stride < out) found.push(at0 / stride);
  }
  return found.length ? [Math.min(...found), Math.max(...found)] : null;
}

// Such as "row 5" or "rows 4 to 6".
function rangeText(word, [first, last]) {
  return first === last ? `${word} ${first}` : `${word}s ${first} to ${last}`;
}

function whereItGoes(view, layer, unit) {
  const lines = view.session.description.nodes.filter((node) => node.reads.includes(layer.shown)).map((node) => {
    const name = `${node.label}${node.path ? ` in ${node.path}` : ""}`;
    if (!node.hyper.stride) return `${name}, the element at the same index`;
    const kernel = node.hyper.kernel_size ?? view.session.value(node.reads[1]).shape.slice(2);
    const dilation = node.hyper.dilation ?? [1, 1];
    const [rows, columns] = [0, 1].map((axis) => readersOf([unit.y, unit.x][axis], kernel[axis],
      node.hyper.stride[axis], node.hyper.padding[2 * axis], dilation[axis], node.shape[2 + axis]));
    if (!rows || !columns) return `${name}, which skips it`;
    return `${name}, ${rangeText("row", rows)}, ${rangeText("column", columns)}`;
  });
  return element("p", lines.length ? `goes on to: ${lines.join("; ")}` : "nothing reads it further", "hint");
}

// Fill a box with all about a unit { channel, y, x } of a layer.
export function showUnit(box, view, layer, unit, onWeight) {
  const nodes = view.session.description.nodes, parts = layer.parts.map((id) => nodes[id - 1]);
  const own = parts.find((node) => node.writes === layer.own);
  box.replaceChildren();
  const position = mapsOf(view.session.value(layer.shown)).pixels > 1 ? `, row ${unit.y}, column ${unit.x}` : "";
  box.append(element("h2", `map ${unit.channel}${position}`));
  if (!own) {
    const pixel = short(at(view.session.value(0), unit));
    box.append(element("p", `the image itself: ${pixel} after normalisation`, "chain"));
    box.append(whereItGoes(view, layer, unit));
    return;
  }
  const value = at(view.session.value(own.writes), unit), here = { ...unit, value };
  const chain = element("p", "", "chain");
  parts.filter((node) => node.kind !== "view").forEach((node, i) => {
    chain.append(i ? " \u2192 " : "", `${node.label} `, element("b", short(at(view.session.value(node.writes), unit))));
  });
  box.append(chain);
  if (own.op === "Conv2d") box.append(convolution(view, own, here, onWeight));
  else if (own.op === "MaxPool2d" || own.op === "AvgPool2d") box.append(pooling(view, own, here));
  else if (own.op === "MatMul" || own.op === "Linear") box.append(product(view, own, here));
  else if (own.op === "Add" || own.op === "Mul") {
    const terms = own.reads.map((id) => short(at(view.session.value(id), unit)));
    box.append(element("p", `${own.op === "Add" ? written(terms) : terms.join(" \u00d7 ")} = ${short(value)}`));
  }
  box.append(whereItGoes(view, layer, unit));
}
