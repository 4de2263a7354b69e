// Figures about one window: cross-correlation and convolution with their sums, pooling, impulses.

import { operations } from "../engine/graph.mjs";
import { Tensor } from "../engine/tensor.mjs";
import { button, make } from "../views/dom.mjs";
import { controls, grid, movable, plain, pressable, slider, toggle, typed } from "./controls.mjs";

export const tensorOf = (rows) => new Tensor([1, 1, rows.length, rows[0].length], Float32Array.from(rows.flat()));
export const rowsOf = ({ shape, data }) =>
  Array.from({ length: shape[2] }, (_, y) => [...data.slice(y * shape[3], (y + 1) * shape[3])]);
export const flipped = (rows) => rows.map((row) => [...row].reverse()).reverse();

// floor((size + 2 padding - reach) / stride) + 1, at least 0
export function lengthOf(size, kernel, { stride = 1, padding = 0, dilation = 1 }) {
  return Math.max(0, Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1);
}

// A convolution layer of one channel, by the engine of the page.
export function correlated(x, kernel, { stride = 1, padding = 0, dilation = 1 } = {}) {
  const [, , height, width] = x.shape,
    [KH, KW] = kernel.shape.slice(2),
    options = { stride, padding, dilation };
  const shape = [1, 1, lengthOf(height, KH, options), lengthOf(width, KW, options)];
  const hyper = {
    stride: [stride, stride],
    padding: Array(4).fill(padding),
    dilation: [dilation, dilation],
    groups: 1,
  };
  return operations.Conv2d.forward({ inputs: [x, kernel, null], hyper, shape });
}

export function pooled(x, kind, kernel, stride) {
  const shape = [1, 1, ...[0, 1].map((axis) => lengthOf(x.shape[2 + axis], kernel[axis], { stride }))];
  const hyper = { kernel_size: kernel, stride: [stride, stride], padding: [0, 0, 0, 0], count_include_pad: true };
  return operations[kind === "max" ? "MaxPool2d" : "AvgPool2d"].forward({ inputs: [x], hyper, shape });
}

// The parts that both figures below share: an input to type into, and an output whose elements can be visited.
class WindowFigure {
  constructor(box, input, deck) {
    Object.assign(this, { box, input, deck, at: [0, 0], padding: 0 });
    this.sum = make("p", { className: "sum" });
    this.grids = make("div", { className: "grids" });
  }

  // Draw all grids anew, after a change of sizes.
  rebuild() {
    const out = rowsOf(this.compute());
    this.at = this.at.map((value, axis) => Math.min(value, [out.length, out[0].length][axis] - 1));
    const pad = this.padding,
      [height, width] = [this.input.length, this.input[0].length];
    const room =
      height === 1 ? 790 / width : (800 - 190) / (width + 2 * pad + this.columnsBeside() + out[0].length);
    this.cell = Math.min(64, Math.floor(room), Math.floor(this.mostHeight / (height + 2 * pad)));
    this.inputGrid = grid(
      this.deck.say("input"),
      height + 2 * pad,
      width + 2 * pad,
      (one, y, x) => {
        const [row, column] = [y - pad, x - pad];
        if (row < 0 || column < 0 || row >= height || column >= width) {
          one.className = "outside";
          one.textContent = "0";
        } else {
          typed(one, `input, row ${row}, column ${column}`, this.input[row][column], (value) => {
            this.input[row][column] = value;
            this.update();
          });
        }
      },
      this.cell,
    );
    this.outputGrid = grid(
      this.deck.say("output"),
      out.length,
      out[0].length,
      (one, y, x) => pressable(one, `output, row ${y}, column ${x}`, () => this.choose([y, x])),
      this.cell,
    );
    movable(
      this.outputGrid,
      () => this.at,
      (at) => this.buttonAt(at).focus(),
      () => [out.length, out[0].length],
    );
    if (height === 1) this.grids.style.setProperty("--widest", width); // both rows have cells of one size
    this.grids.replaceChildren(...this.parts());
    this.update();
  }

  buttonAt([y, x]) {
    return this.outputGrid.cells[y][x].firstChild;
  }

  choose(at) {
    this.at = at;
    this.mark();
  }

  // Compute again, and write the outputs.
  update() {
    this.out = rowsOf(this.compute());
    this.out.forEach((row, y) =>
      row.forEach((value, x) => {
        this.buttonAt([y, x]).write(plain(value));
      }),
    );
    this.mark();
  }

  // The input positions, in the padded grid, that the chosen window reads.
  mark() {
    const [KH, KW] = this.window,
      [y, x] = this.at;
    const inside = (row, column) =>
      row >= y * this.stride &&
      row < y * this.stride + KH &&
      column >= x * this.stride &&
      column < x * this.stride + KW;
    this.inputGrid.cells.forEach((row, i) => row.forEach((cell, j) => cell.classList.toggle("read", inside(i, j))));
    this.outputGrid.cells.forEach((row, i) =>
      row.forEach((cell, j) => cell.classList.toggle("chosen", i === y && j === x)),
    );
    this.explain();
  }

  // The elements of the chosen window; 0 outside of the input.
  values() {
    const [KH, KW] = this.window,
      [y, x] = this.at.map((value) => value * this.stride - this.padding);
    return Array.from({ length: KH }, (_, u) =>
      Array.from({ length: KW }, (__, v) => this.input[y + u]?.[x + v] ?? 0),
    );
  }
}

class Correlation extends WindowFigure {
  constructor(box, { input, kernel, stride, padding, operation }, deck) {
    super(box, input, deck);
    Object.assign(this, { kernel, stride, padding, operation });
    const choose = toggle(
      "operation",
      ["cross-correlation", "convolution"].map((name) => [name, deck.say(name)]),
      operation,
      (name) => {
        this.operation = name;
        this.rebuild();
      },
    );
    box.append(
      this.grids,
      this.sum,
      controls(choose),
      controls(
        slider(deck.say("stride"), { min: 1, max: 3, value: stride }, (value) => {
          this.stride = value;
          this.rebuild();
        }),
        slider(deck.say("padding"), { min: 0, max: 1, value: padding }, (value) => {
          this.padding = value;
          this.rebuild();
        }),
      ),
    );
    this.rebuild();
  }

  get window() {
    return [this.kernel.length, this.kernel[0].length];
  }

  get mostHeight() {
    return 360;
  }

  columnsBeside() {
    return this.kernel[0].length;
  }

  get used() {
    return this.operation === "convolution" ? flipped(this.kernel) : this.kernel;
  }

  compute() {
    return correlated(tensorOf(this.input), tensorOf(this.used), this);
  }

  parts() {
    const turned = this.operation === "convolution";
    const kernels = grid(
      this.deck.say(turned ? "flipped" : "kernel"),
      ...this.window,
      (one, y, x) => {
        one.className = "kernel";
        typed(one, `kernel, row ${y}, column ${x}`, this.used[y][x], (value) => {
          const [KH, KW] = this.window;
          if (turned) this.kernel[KH - 1 - y][KW - 1 - x] = value;
          else this.kernel[y][x] = value;
          this.update();
        });
      },
      this.cell,
    );
    const symbol = (text) => make("span", { className: "symbol", textContent: text });
    const after = (sign, part) => make("div", { className: "grids" }, symbol(sign), part);
    return [this.inputGrid, after(turned ? "\u2217" : "\u22c6", kernels), after("=", this.outputGrid)];
  }

  explain() {
    const window = this.values(),
      terms = window.flatMap((row, u) => row.map((value, v) => [value, this.used[u][v]]));
    const text = terms.map(([a, b]) => `${plain(a)}\u00b7${b < 0 ? `(${plain(b)})` : plain(b)}`).join(" + ");
    const [y, x] = this.at;
    this.sum.replaceChildren(`S(${y}, ${x}) = ${text} = `, make("b", { textContent: plain(this.out[y][x]) }));
  }
}

class Pooling extends WindowFigure {
  constructor(box, { input, kernel_size: kernel, stride, kind, whole_map: whole }, deck) {
    super(box, input, deck);
    Object.assign(this, { kernel, stride: whole ? 1 : stride, kind, whole });
    const kinds = [
      ["max", deck.say("max")],
      ["average", deck.say("average")],
    ];
    const choose = toggle("kind", kinds, kind, (name) => {
      this.kind = name;
      this.rebuild();
    });
    const shift = button(deck.say("shift the input by one"), () => this.shift()), sliders = [];
    if (!whole) {
      const most = input.length === 1 ? input[0].length : Math.min(input.length, input[0].length);
      sliders.push(
        slider(deck.say("window"), { min: 1, max: most, value: kernel }, (n) => {
          this.kernel = n;
          this.rebuild();
        }),
        slider(deck.say("stride"), { min: 1, max: 4, value: stride }, (n) => {
          this.stride = n;
          this.rebuild();
        }),
      );
    }
    this.moved = make("p", { className: "say" });
    box.append(this.grids, this.sum, controls(choose, shift), ...(whole ? [] : [controls(...sliders)]), this.moved);
    this.rebuild();
  }

  get mostHeight() {
    return 320;
  }

  columnsBeside() {
    return 0;
  }

  get window() {
    if (this.whole) return [this.input.length, this.input[0].length];
    return [this.input.length === 1 ? 1 : this.kernel, this.kernel];
  }

  compute() {
    return pooled(tensorOf(this.input), this.kind, this.window, this.stride);
  }

  parts() {
    if (this.input.length === 1) this.grids.style.flexDirection = "column";
    return [this.inputGrid, this.outputGrid];
  }

  // Move all elements one column to the right, and count what changes.
  shift() {
    const before = { input: this.input.flat(), out: this.out.flat() };
    this.input = this.input.map((row) => [row.at(-1), ...row.slice(0, -1)]);
    this.rebuild();
    const changed = (old, now) => now.filter((value, i) => value !== old[i]).length;
    const now = this.out.flat(),
      say = this.deck.say.bind(this.deck);
    const counts = [
      [before.input, this.input.flat(), "input"],
      [before.out, now, "output"],
    ].map(([old, all, name]) => `${changed(old, all)} / ${all.length} (${say(name)})`);
    this.moved.textContent = `${say("changed")}: ${counts.join(", ")}`;
    this.outputGrid.cells.flat().forEach((cell, i) => cell.classList.toggle("changed", now[i] !== before.out[i]));
  }

  explain() {
    const values = this.values().flat(),
      [y, x] = this.at,
      result = plain(this.out[y][x]);
    const list = values.map(plain).join(", "),
      name = this.kind === "max" ? "max" : this.deck.say("mean");
    this.sum.replaceChildren(`${name}(${list}) = `, make("b", { textContent: result }));
    this.moved.textContent = "";
  }
}

export const windowFigure = (box, given, deck) => new Correlation(box, given, deck);
export const poolingFigure = (box, given, deck) => new Pooling(box, given, deck);

const SIDE = 7; // of the image with one bright pixel
const TITLES = { cross: "cross-correlation", conv: "convolution" };

// The answer to a single 1: cross-correlation turns the kernel around, convolution copies it.
export function impulseFigure(box, { kernel }, deck) {
  let at = [3, 3];
  const cells = { image: null, cross: null, conv: null },
    padding = () => Math.floor(kernel.length / 2);
  const paint = () => {
    const x = new Tensor([1, 1, SIDE, SIDE]), options = { padding: padding() };
    x.data[at[0] * SIDE + at[1]] = 1;
    const results = {
      cross: correlated(x, tensorOf(kernel), options),
      image: x,
      conv: correlated(x, tensorOf(flipped(kernel)), options),
    };
    for (const [name, result] of Object.entries(results)) {
      rowsOf(result)
        .flat()
        .forEach((value, i) => {
          const cell = cells[name].cells[Math.floor(i / result.shape[3])][i % result.shape[3]];
          const text = value ? plain(value) : "";
          if (name === "image") cell.firstChild.write(text);
          else cell.textContent = text;
          cell.classList.toggle(name === "image" ? "read" : "changed", value !== 0);
        });
    }
  };
  const small = 34,
    line = (...parts) => make("div", { className: "grids" }, ...parts);
  const move = (to) => {
    at = to;
    paint();
  };
  const pixel = (one, y, x) => pressable(one, `pixel, row ${y}, column ${x}`, () => move([y, x]));
  cells.image = grid(deck.say("image"), SIDE, SIDE, pixel, small);
  movable(
    cells.image,
    () => at,
    (to) => cells.image.cells[to[0]][to[1]].firstChild.focus(),
    () => [SIDE, SIDE],
  );
  const kernels = grid(
    deck.say("kernel"),
    kernel.length,
    kernel[0].length,
    (one, y, x) => {
      one.className = "kernel";
      typed(one, `kernel, row ${y}, column ${x}`, kernel[y][x], (value) => {
        kernel[y][x] = value;
        paint();
      });
    },
    small,
  );
  for (const name of ["cross", "conv"]) {
    const sides = [kernel.length, kernel[0].length].map((size) => lengthOf(SIDE, size, { padding: padding() }));
    cells[name] = grid(deck.say(TITLES[name]), ...sides, () => {}, small);
  }
  box.append(line(cells.image, cells.cross, cells.conv), line(kernels));
  paint();
}
