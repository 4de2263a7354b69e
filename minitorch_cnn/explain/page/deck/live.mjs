// Figures in which a trained network computes: all of it, its filters, what its units see and respond to.

import { operations } from "../engine/graph.mjs";
import { Tensor } from "../engine/tensor.mjs";
import { bytesOf, softmax } from "../views/content.mjs";
import { button, choice, make } from "../views/dom.mjs";
import { NetworkView, showAnswer, titleOf } from "../views/network.mjs";
import { largestOf, paintMap } from "../views/paint.mjs";
import { normalised, paintPicture } from "../views/picture.mjs";
import { controls, counted, drawn, generator, grid, movable, plain, slider, toggle, typed } from "./controls.mjs";
import { correlated, lengthOf } from "./windows.mjs";

// A network with its pictures: which one is chosen, and what the network makes of it.
class Live {
  constructor(box, name, deck) {
    const network = deck.network(name);
    Object.assign(this, { box, name, deck, network, shape: network.graph.inputShape });
    this.say = (word) => deck.say(word);
    document.addEventListener("themechange", () => this.paint());
  }

  shapeOf(layer) {
    return layer.shown === 0 ? this.shape : this.network.graph.nodes[layer.shown - 1].shape;
  }

  // The layers whose units have a place in the image.
  get mapLayers() {
    const { layers, graph } = this.network, isMap = ([, , height = 1]) => height > 1;
    return layers.filter((layer) => layer.shown && isMap(this.shapeOf(layer)) && graph.fields[layer.shown]);
  }

  // The input of the network for an example.
  inputOf(index) {
    return normalised(bytesOf(this.network.images[index].pixels), this.shape, this.network.mean, this.network.std);
  }

  // Buttons with the first pictures.
  pictures(count, side) {
    const row = make("div", { className: "pictures", role: "group", ariaLabel: "pictures" });
    this.network.images.slice(0, count).forEach(({ pixels, label }, i) => {
      const canvas = make("canvas");
      paintPicture(canvas, bytesOf(pixels), this.shape);
      canvas.style.width = `${side}px`;
      const name = label === null ? "" : `, ${this.network.classes[label]}`;
      const one = make("button", { type: "button", ariaLabel: `picture ${i + 1}${name}` }, canvas);
      one.addEventListener("click", () => this.choose(i));
      row.append(one);
    });
    this.buttons = [...row.children];
    return row;
  }

  choose(index) {
    this.buttons?.forEach((one, i) => {
      one.ariaPressed = String(i === index);
    });
    return this.look(bytesOf(this.network.images[index].pixels), this.network.images[index].label);
  }

  // Show a picture; while the network is at work on one, only the last of those that follow is kept.
  async look(pixels, label) {
    Object.assign(this, { pixels, label, waiting: true });
    if (this.busy) return;
    this.busy = true;
    this.session ??= await this.deck.session(this.name);
    while (this.waiting) {
      this.waiting = false;
      await this.session.forward(normalised(this.pixels, this.shape, this.network.mean, this.network.std));
    }
    this.busy = false;
    this.paint();
  }
}

// A canvas of one size that is shown in another.
function enlarged(width, height, label) {
  const canvas = make("canvas", label ? { role: "img", ariaLabel: label } : { ariaHidden: "true" });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  return canvas;
}

// Something under a heading, as grids have one.
const captioned = (textContent, content) =>
  make("div", { className: "captioned" }, make("h2", { textContent }), content);

// Paint one map over a whole canvas.
function fill(canvas, tensor, channel, side, largest = largestOf(tensor.data), kind = "value") {
  Object.assign(canvas, { width: side, height: side });
  paintMap(canvas, tensor, channel, { x: 0, y: 0, width: side, height: side, largest, kind });
}

class NetworkFigure extends Live {
  async start() {
    const strip = make("div", { className: "strip" }, drawn("svg", { class: "links", "aria-hidden": "true" }));
    const scroller = make("div", { className: "scroller", tabIndex: 0, role: "group", ariaLabel: "layers" }, strip);
    this.canvas = enlarged(190, 190, "the picture; draw on it with the mouse");
    this.canvas.style.touchAction = "none"; // a finger draws, and does not scroll
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.draw(event);
    });
    this.canvas.addEventListener("pointerdown", (event) => this.draw(event));
    this.answer = make("ol", { className: "answer", ariaLabel: "probabilities" });
    const empty = button(this.deck.say("empty picture"), () =>
      this.look(new Uint8ClampedArray(this.pixels.length), null),
    );
    this.box.append(
      this.pictures(12, 48),
      make("div", { className: "beside" }, this.canvas, this.answer, empty),
      scroller,
    );
    this.view = new NetworkView(
      strip,
      this.network.layers,
      (layer) => this.shapeOf(layer),
      () => {},
      this.say,
    );
    await this.choose(0);
  }

  // Make the pixels around the pointer white.
  draw({ offsetX, offsetY }) {
    const [, channels, height, width] = this.shape,
      pixels = this.pixels.slice();
    const [column, row] = [(offsetX / 190) * width, (offsetY / 190) * height].map(Math.floor);
    for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) {
        pixels.fill(255, (y * width + x) * channels, (y * width + x + 1) * channels);
      }
    }
    this.look(pixels, this.label);
  }

  paint() {
    paintPicture(this.canvas, this.pixels, this.shape);
    const logits = [...this.session.value(this.network.graph.output).data];
    showAnswer(this.answer, softmax(logits), this.network.classes, this.label);
    this.view.show((layer) => this.session.value(layer.shown), "value");
    this.view.placeLinks();
  }
}

export async function networkFigure(box, given, deck) {
  await new NetworkFigure(box, given.network, deck).start();
}

class FieldFigure extends Live {
  async start() {
    const layers = this.mapLayers;
    Object.assign(this, { layer: layers.at(-1), at: [1, 1], channel: 0 });
    this.canvas = enlarged(360, 360, "the picture with the receptive field");
    this.map = enlarged(260, 260, "a map; click a unit or move with the arrow keys");
    this.map.tabIndex = 0;
    this.frame = drawn("rect", { fill: "none", stroke: "var(--output)", "stroke-width": 4, class: "field" });
    const overlay = drawn("svg", { width: 360, height: 360, style: "position:absolute;left:0;top:0" }, this.frame);
    const stand = make("div", { className: "stand" }, this.canvas, overlay);
    this.said = make("p", { className: "say" });
    this.channels = slider(this.deck.say("map"), { min: 0, max: 1, value: 0 }, (c) => {
      this.channel = c;
      this.paint();
    });
    const names = layers.map((layer, i) => [String(i), `${i + 1}: ${titleOf(layer, this.say)}`]);
    const chosen = choice(this.deck.say("layer"), names, String(layers.length - 1), (i) =>
      this.take(layers[Number(i)]),
    );
    this.map.addEventListener("pointermove", ({ offsetX, offsetY }) => {
      this.at = [offsetY, offsetX].map((place, axis) => Math.floor((place / 260) * this.limits()[axis]));
      this.paint();
    });
    movable(
      this.map,
      () => this.at,
      (at) => {
        this.at = at;
        this.paint();
      },
      () => this.limits(),
    );
    this.box.append(
      controls(chosen, this.channels),
      make(
        "div",
        { className: "beside" },
        captioned(this.say("image"), stand),
        captioned(this.say("map"), this.map),
      ),
      this.said,
      this.pictures(12, 48),
    );
    await this.choose(0);
    this.take(this.layer);
  }

  limits() {
    return this.shapeOf(this.layer).slice(2);
  }

  take(layer) {
    Object.assign(this, { layer, channel: 0 });
    this.at = this.limits().map((length) => Math.floor(length / 2));
    this.channels.querySelector("input").max = String(this.shapeOf(layer)[1] - 1);
    this.channels.set(0);
    this.paint();
  }

  paint() {
    const tensor = this.session.value(this.layer.shown),
      [, , height, width] = this.shape;
    paintPicture(this.canvas, this.pixels, this.shape);
    fill(this.map, tensor, this.channel, 260);
    const { rows, columns } = this.network.graph.fields[this.layer.shown];
    this.at = this.at.map((at, axis) => Math.max(0, Math.min(this.limits()[axis] - 1, at)));
    const [y, x] = this.at,
      context = this.map.getContext("2d"),
      [OH, OW] = this.limits();
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--output");
    context.lineWidth = 4;
    context.strokeRect((x * 260) / OW + 2, (y * 260) / OH + 2, 260 / OW - 4, 260 / OH - 4);
    const [top, bottom] = rows[y],
      [left, right] = columns[x],
      [down, across] = [360 / height, 360 / width];
    const place = { x: left * across, y: top * down, width: (right - left) * across, height: (bottom - top) * down };
    for (const [name, value] of Object.entries(place)) this.frame.setAttribute(name, value);
    const value = tensor.data[(this.channel * OH + y) * OW + x];
    this.said.textContent =
      `${this.deck.say("unit")} (${y}, ${x}) = ${plain(value)}: ${this.deck.say("sees")} ` +
      `${bottom - top} \u00d7 ${right - left} ${this.deck.say("pixels")}`;
  }
}

export async function fieldFigure(box, given, deck) {
  await new FieldFigure(box, given.network, deck).start();
}

const PRESETS = {
  "edge, vertical": [
    [1, 0, -1],
    [2, 0, -2],
    [1, 0, -1],
  ],
  "edge, horizontal": [
    [1, 2, 1],
    [0, 0, 0],
    [-1, -2, -1],
  ],
  blur: [
    [0.11, 0.11, 0.11],
    [0.11, 0.11, 0.11],
    [0.11, 0.11, 0.11],
  ],
  sharpen: [
    [0, -1, 0],
    [-1, 5, -1],
    [0, -1, 0],
  ],
  outline: [
    [-1, -1, -1],
    [-1, 8, -1],
    [-1, -1, -1],
  ],
};

// A kernel to type, and what it makes of a picture in grey.
class FilterFigure extends Live {
  async start(kernel) {
    this.kernel = kernel;
    this.canvas = enlarged(290, 290, "the picture in grey");
    this.result = enlarged(290, 290, "the picture after the filter");
    this.holder = make("div");
    const names = [
      ["", this.deck.say("own numbers")],
      ...Object.keys(PRESETS).map((name) => [name, this.deck.say(name)]),
    ];
    const presets = choice(this.deck.say("kernel"), names, "", (name) => {
      if (!PRESETS[name]) return;
      this.kernel = PRESETS[name].map((row) => [...row]);
      this.table();
    });
    this.box.append(
      this.pictures(12, 48),
      make(
        "div",
        { className: "beside" },
        captioned(this.say("image"), this.canvas),
        this.holder,
        captioned(this.say("output"), this.result),
      ),
      controls(presets),
    );
    this.table(false);
    await this.choose(1);
  }

  table(paint = true) {
    const cell = this.kernel.length > 3 ? 38 : 54;
    this.holder.replaceChildren(
      grid(
        this.deck.say("kernel"),
        this.kernel.length,
        this.kernel[0].length,
        (one, y, x) => {
          one.className = "kernel";
          typed(one, `kernel, row ${y}, column ${x}`, this.kernel[y][x], (value) => {
            this.kernel[y][x] = value;
            this.paint();
          });
        },
        cell,
      ),
    );
    if (paint) this.paint();
  }

  async look(pixels) {
    this.pixels = pixels;
    this.paint();
  }

  paint() {
    const [, channels, height, width] = this.shape,
      grey = new Tensor([1, 1, height, width]);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < channels; c++) grey.data[i] += this.pixels[i * channels + c] / 255 / channels;
    }
    const kernel = new Tensor(
      [1, 1, this.kernel.length, this.kernel[0].length],
      Float32Array.from(this.kernel.flat()),
    );
    paintPicture(
      this.canvas,
      Uint8ClampedArray.from(grey.data, (value) => 255 * value),
      [1, 1, height, width],
    );
    fill(this.result, correlated(grey, kernel), 0, 290);
  }
}

export async function filterFigure(box, given, deck) {
  await new FilterFigure(box, given.network, deck).start(given.kernel);
}

// Filters as small pictures; the chosen one large, and its map beside it.
class FiltersFigure extends Live {
  async start(weight) {
    Object.assign(this, { weight, filter: 0 });
    const side = Math.min(84, Math.floor(530 / Math.ceil(Math.sqrt(weight.shape[0] * 1.5))) - 12);
    this.row = make("div", { className: "pictures", role: "group", ariaLabel: "filters" });
    this.row.style.width = "530px";
    this.filters = Array.from({ length: weight.shape[0] }, (_, i) => {
      const canvas = enlarged(side, side, ""),
        one = make("button", { type: "button", ariaLabel: `filter ${i}` }, canvas);
      for (const event of ["click", "pointerenter", "focus"])
        one.addEventListener(event, () => {
          this.filter = i;
          this.paint();
        });
      this.row.append(one);
      return [one, canvas];
    });
    this.large = enlarged(156, 156, "the chosen filter");
    this.map = enlarged(156, 156, "its map of the picture");
    this.said = make("p", { className: "say" });
    this.box.append(
      make(
        "div",
        { className: "beside" },
        this.row,
        make(
          "div",
          { className: "above" },
          captioned(this.say("filter"), this.large),
          captioned(this.say("output"), this.map),
        ),
      ),
      this.said,
      this.pictures(12, 48),
    );
    await this.choose(2);
  }

  // The map that the chosen filter makes of the picture; a grey picture meets the first channel of a filter.
  response() {
    const [, depth, KH, KW] = this.weight.shape,
      [, channels, height, width] = this.shape,
      size = depth * KH * KW;
    const part = this.weight.data.slice(this.filter * size, this.filter * size + channels * KH * KW);
    const hyper = { stride: [1, 1], padding: Array(4).fill(Math.floor(KH / 2)), dilation: [1, 1], groups: 1 };
    const inputs = [this.input, new Tensor([1, channels, KH, KW], part), null];
    const shape = [
      1,
      1,
      lengthOf(height, KH, { padding: hyper.padding[0] }),
      lengthOf(width, KW, { padding: hyper.padding[0] }),
    ];
    return operations.Conv2d.forward({ inputs, hyper, shape });
  }

  // The filters need no other layer.
  async look(pixels) {
    this.input = normalised(pixels, this.shape, this.network.mean, this.network.std);
    this.paint();
  }

  paint() {
    this.filters.forEach(([one, canvas], i) => {
      one.ariaPressed = String(i === this.filter);
      paintFilter(canvas, this.weight, i);
    });
    paintFilter(this.large, this.weight, this.filter);
    fill(this.map, this.response(), 0, 156);
    const [count, ...size] = this.weight.shape, { say } = this;
    this.said.textContent =
      `${say("filter")} ${this.filter + 1} / ${count}: ${size.join(" \u00d7 ")} ${say("weights")}; ` +
      `${say("all")}: ${counted(this.weight.data.length)}`;
  }
}

// Numbers with a mean of 0 and the deviation of others: sums of twelve uniform ones, always the same.
function randomLike({ shape, data }) {
  const deviation = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length),
    draw = generator(1);
  const normal = () => Array.from({ length: 12 }, draw).reduce((a, b) => a + b, -6);
  return new Tensor(
    shape,
    Float32Array.from(data, () => deviation * normal()),
  );
}

// A filter of three channels in colours, 0 as grey; of others its first channel.
function paintFilter(canvas, weight, index) {
  const [, depth, KH, KW] = weight.shape,
    size = depth * KH * KW,
    part = weight.data.subarray(index * size, (index + 1) * size);
  if (depth !== 3) {
    fill(canvas, new Tensor([1, 1, KH, KW], part.slice(0, KH * KW)), 0, 8 * KW);
    return;
  }
  const largest = largestOf(part),
    bytes = new Uint8ClampedArray(size);
  for (let i = 0; i < KH * KW; i++) {
    for (let c = 0; c < 3; c++) bytes[3 * i + c] = 127.5 + (127.5 * part[c * KH * KW + i]) / largest;
  }
  paintPicture(canvas, bytes, [1, 3, KH, KW]);
}

export async function filtersFigure(box, given, deck) {
  const { graph, constants } = deck.network(given.network), first = graph.nodes.find(({ op }) => op === "Conv2d");
  await new FiltersFigure(box, given.network, deck).start(constants[-first.reads[1] - 1]);
}

// Filters that no training made, as the first layer of a network: computed from patches of pictures, or at random.
export async function bankFigure(box, given, deck, { shape, weights }) {
  const computed = new Tensor(shape, new Float32Array(bytesOf(weights).buffer)),
    random = randomLike(computed);
  const figure = new FiltersFigure(box, given.network, deck);
  box.append(
    toggle(
      "filters",
      [
        ["computed", deck.say("computed from patches")],
        ["random", deck.say("at random")],
      ],
      "computed",
      (name) => {
        figure.weight = name === "random" ? random : computed;
        figure.paint();
      },
    ),
  );
  await figure.start(computed);
}

// The patches of the pictures to which a unit responds most.
class PatchesFigure extends Live {
  async start(count) {
    Object.assign(this, { count, channel: 0, layer: this.mapLayers.at(-1), answers: [] });
    const layers = this.mapLayers,
      names = layers.map((layer, i) => [String(i), `${i + 1}: ${titleOf(layer, this.say)}`]);
    this.channels = slider(this.deck.say("map"), { min: 0, max: 1, value: 0 }, (c) => {
      this.channel = c;
      this.paint();
    });
    const chosen = choice(this.deck.say("layer"), names, String(layers.length - 1), (i) =>
      this.take(layers[Number(i)]),
    );
    this.holder = make("div", { className: "pictures" });
    this.box.append(controls(chosen, this.channels), this.holder);
    this.session = await this.deck.session(this.name);
    await this.read(0);
    this.take(this.layer);
    this.complete = this.readAll(); // the page does not wait for it
  }

  async readAll() {
    for (let i = 1; i < this.network.images.length; i++) {
      await this.read(i);
      this.paint();
    }
  }

  // Keep of a picture, for each map of each layer, its largest element and where that is.
  async read(index) {
    await this.session.forward(this.inputOf(index));
    this.answers[index] = new Map(this.mapLayers.map((layer) => {
      const { data } = this.session.value(layer.shown), [, channels, height, width] = this.shapeOf(layer);
      return [layer, Array.from({ length: channels }, (_, c) => {
        const map = data.subarray(c * height * width, (c + 1) * height * width), value = Math.max(...map);
        const at = map.indexOf(value);
        return { value, picture: index, row: Math.floor(at / width), column: at % width };
      })];
    }));
  }

  take(layer) {
    Object.assign(this, { layer, channel: 0 });
    this.channels.querySelector("input").max = String(this.shapeOf(layer)[1] - 1);
    this.channels.set(0);
    this.paint();
  }

  // The best unit of each picture, the best pictures first.
  best() {
    const units = this.answers.map((maps) => maps.get(this.layer)[this.channel]);
    return units.sort((a, b) => b.value - a.value).slice(0, this.count);
  }

  paint() {
    const { rows, columns } = this.network.graph.fields[this.layer.shown],
      [, channels, height, width] = this.shape;
    const side = this.count > 8 ? 126 : 190;
    this.holder.replaceChildren(
      ...this.best().map(({ value, picture, row, column }) => {
        const [top, bottom] = rows[row],
          [left, right] = columns[column],
          bytes = bytesOf(this.network.images[picture].pixels);
        const whole = make("canvas"),
          patch = enlarged(side, side, `patch of picture ${picture + 1}`);
        paintPicture(whole, bytes, [1, channels, height, width]);
        Object.assign(patch, { width: right - left, height: bottom - top });
        patch.getContext("2d").drawImage(whole, -left, -top);
        const caption = make("figcaption", { textContent: plain(value) });
        return make("figure", { className: "patch" }, patch, caption);
      }),
    );
  }
}

export async function patchesFigure(box, given, deck) {
  await new PatchesFigure(box, given.network, deck).start(given.count);
}
