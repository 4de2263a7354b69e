// What figures are made of: sliders, choices, grids of numbers, drawings.

import { make } from "../views/dom.mjs";
import { short } from "../views/paint.mjs";

const SVG = "http://www.w3.org/2000/svg";

// An SVG element; `text` becomes its content.
export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name),
    { text, ...others } = attributes;
  for (const [key, value] of Object.entries(others)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

export function picture(width, height, label) {
  return drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

// A labelled slider; onInput gets the number. `set(value)` moves it from elsewhere.
export function slider(label, { min, max, value, step = 1 }, onInput) {
  const input = make("input", { type: "range", min, max, step, value, ariaLabel: label });
  const shown = make("output", { textContent: String(value) });
  input.addEventListener("input", () => {
    shown.textContent = input.value;
    onInput(input.valueAsNumber);
  });
  const whole = make("label", {}, label, input, shown);
  whole.set = (number) => {
    input.value = String(number);
    shown.textContent = input.value;
  };
  return whole;
}

// Buttons of which one is pressed; options are [key, text].
export function toggle(label, options, value, onChange) {
  const group = make("div", { className: "group", role: "group", ariaLabel: label });
  for (const [key, text] of options) {
    const one = make("button", { type: "button", textContent: text, ariaPressed: String(key === value) });
    one.addEventListener("click", () => {
      [...group.children].forEach((other) => {
        other.ariaPressed = String(other === one);
      });
      onChange(key);
    });
    group.append(one);
  }
  return group;
}

export const controls = (...children) => make("div", { className: "controls" }, ...children);

// A number of a figure as a person writes it: at most two decimals.
export const plain = (value) =>
  Math.abs(value) < 1e4 ? String(+value.toFixed(2)).replace("-", "\u2212") : short(value);

export const counted = (value) => value.toLocaleString("en-US");

// A grid of numbers under a heading. `fill(cell, row, column)` makes the content of each cell.
export function grid(heading, rows, columns, fill, cell = 50) {
  const table = make("table", { className: "grid" }),
    cells = [];
  table.style.setProperty("--cell", `${cell}px`);
  table.style.setProperty("--columns", columns);
  for (let y = 0; y < rows; y++) {
    const line = table.insertRow();
    cells.push(
      Array.from({ length: columns }, (_, x) => {
        const one = line.insertCell();
        fill(one, y, x);
        return one;
      }),
    );
  }
  const box = make("div", {}, make("h2", { textContent: heading }), table);
  return Object.assign(box, { cells });
}

// A cell in which a number can be typed.
export function typed(cell, label, value, onChange) {
  const input = make("input", { type: "number", step: "any", value: String(value), ariaLabel: label });
  input.addEventListener("input", () => {
    if (Number.isFinite(input.valueAsNumber)) onChange(input.valueAsNumber);
  });
  cell.append(input);
}

// A cell that is chosen by a click, by the mouse over it, or by the arrow keys from a neighbour.
export function pressable(cell, label, onChoose) {
  const one = make("button", { type: "button", ariaLabel: label });
  one.addEventListener("click", onChoose);
  one.addEventListener("focus", onChoose);
  one.addEventListener("pointerenter", onChoose);
  cell.append(one);
  one.write = (text) => Object.assign(one, { textContent: text, ariaLabel: `${label}: ${text}` });
  return one;
}

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// Which way an arrow key points, as [rows, columns]; null for other keys.
export const arrowOf = (event) => ARROWS[event.key] ?? null;

// Let the arrow keys of an element move a position within limits; `get` and `set` read and write [row, column].
export function movable(element, get, set, limits) {
  element.addEventListener("keydown", (event) => {
    const arrow = arrowOf(event);
    if (!arrow) return;
    event.preventDefault();
    event.stopPropagation();
    set(get().map((at, axis) => Math.max(0, Math.min(limits()[axis] - 1, at + arrow[axis]))));
  });
}

// Uniform numbers from 0 to 1, always the same for a seed (mulberry32).
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// Make a drawing reachable by Tab, with a name.
export function walked(element, label) {
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.ariaLabel = label;
}
