// The explorer: what is chosen, and every view of it.

import { lossGradient, oneAt } from "../engine/graph.mjs";
import { openCamera, openSheet } from "./sheet.mjs";
import { changePanel, heatMaps, showModes, weightGradient } from "./panels.mjs";
import { Changes } from "./change.mjs";
import { bytesOf, constantsOf, softmax } from "./content.mjs";
import { NetworkView, showAnswer, titleOf } from "./network.mjs";
import { Film } from "./film.mjs";
import { gridOf, largestOf, mapsOf, paintGrid, paintMap, short } from "./paint.mjs";
import { normalised, paintPicture, readPicture } from "./picture.mjs";
import { saveButtons } from "./save.mjs";
import { Session, serve } from "./session.mjs";
import { showUnit } from "./unit.mjs";

const find = (id) => document.getElementById(id);

class Explorer {
  constructor(content, source) {
    Object.assign(this, { content, layers: content.layers, classes: content.classes });
    this.session = new Session(content.graph, constantsOf(content), source);
    this.shape = content.graph.inputShape;
    this.changes = new Changes(this.session, () => this.recompute());
    this.mode = "value"; // or "gradient"
    this.target = { what: "class", label: 0 };
    this.layer = Math.min(1, this.layers.length - 1);
  }

  // The unit with the largest value.
  strongest(layer) {
    const tensor = this.session.value(layer.shown), { width, pixels } = mapsOf(tensor);
    let best = 0;
    tensor.data.forEach((value, i) => { if (value > tensor.data[best]) best = i; });
    return { channel: Math.floor(best / pixels), y: Math.floor((best % pixels) / width), x: best % width };
  }

  async start() {
    const worker = await this.session.start();
    this.network = new NetworkView(find("strip"), this.layers, (layer) => this.shapeOf(layer), (i) => this.choose(i));
    this.examples();
    this.listen();
    await this.show(0);
    if (this.content.film) this.film = new Film(find("film"), this);
    saveButtons(find("save"), () => this.pictures(), this.content.title);
    const { images, graph, bits } = this.content, found = this.session.value(graph.output).data;
    const difference = Math.max(...images[0].output.map((value, i) => Math.abs(value - found[i])));
    const relative = difference / largestOf(images[0].output);
    const precision = Math.min(...bits) < 32 ? "; weights rounded to 16 bits" : "";
    this.checked = `same as the kernels to ${short(relative)} of the largest output${precision}`;
    this.status(worker ? "" : "; this browser computes in the page itself");
  }

  status(more = "") {
    const checked = this.film?.note(this.example, this.session.value(this.content.graph.output).data) ?? this.checked;
    find("status").textContent = `${short(this.milliseconds)} ms forward; ${checked ?? ""}${more}`;
  }

  // What can be saved: a name, a canvas, and another that is drawn over it or null.
  pictures() {
    const heat = [...find("heat").querySelectorAll("canvas")].map((canvas) => [canvas.ariaLabel, canvas, null]);
    return [["maps", find("maps"), null], ["map", find("map"), null], ["image", find("image"), null],
      ["field", find("image"), find("image-marks")], ...heat];
  }

  shapeOf(layer) {
    const { nodes, inputShape } = this.content.graph;
    return layer.shown === 0 ? inputShape : nodes[layer.shown - 1].shape;
  }

  examples() {
    this.content.images.forEach(({ pixels, label }, i) => {
      const button = document.createElement("button"), canvas = document.createElement("canvas");
      button.type = "button";
      button.setAttribute("aria-label", `example ${i + 1}${label === null ? "" : `, ${this.classes[label]}`}`);
      paintPicture(canvas, bytesOf(pixels), this.shape);
      button.append(canvas);
      button.addEventListener("click", () => this.show(i));
      find("examples").append(button);
    });
  }

  // Show an example.
  show(index) {
    const { pixels, label } = this.content.images[index];
    return this.look(bytesOf(pixels), label, index);
  }

  // Show any image, bytes (H, W, C) of the right size.
  async look(pixels, label = null, example = null) {
    Object.assign(this, { pixels, label, example });
    [...find("examples").children].forEach((button, i) => button.setAttribute("aria-pressed", i === example));
    paintPicture(find("image"), pixels, this.shape);
    await this.recompute();
  }

  async read(blob) {
    try {
      await this.look(await readPicture(blob, this.shape));
    } catch (error) {
      const name = blob.name ?? "picture", got = blob.size ? error.message : "an empty file";
      find("status").textContent = `${name} - expected an image that this browser can read, got ${got}`;
    }
  }

  async recompute() {
    const start = performance.now();
    await this.session.forward(normalised(this.pixels, this.shape, this.content.mean, this.content.std));
    this.milliseconds = Math.round(performance.now() - start);
    this.answer();
    this.unit ??= this.strongest(this.layers[this.layer]);
    if (this.mode === "gradient") await this.backward();
    this.paint();
    const changed = this.changes.done.length;
    if (this.checked) this.status(changed ? `; ${changed} change${changed > 1 ? "s" : ""}` : "");
  }

  answer() {
    this.probabilities = softmax([...this.session.value(this.content.graph.output).data]);
    this.best = showAnswer(find("answer"), this.probabilities, this.classes, this.label);
  }

  // Go back from what is chosen: the loss of a label, the output of a class, or the unit.
  async backward() {
    const { output } = this.content.graph, logits = this.session.value(output), { what, label } = this.target;
    if (what === "loss") await this.session.backward(output, lossGradient(logits, label));
    else if (what === "class") await this.session.backward(output, oneAt(logits.shape, label));
    else {
      const layer = this.layers[this.layer], tensor = this.session.value(layer.shown);
      await this.session.backward(layer.shown, oneAt(tensor.shape, this.indexOf(tensor)));
    }
  }

  indexOf(tensor) {
    const { width, pixels } = mapsOf(tensor);
    return this.unit.channel * pixels + this.unit.y * width + this.unit.x;
  }

  tensorOf(layer) {
    return this.mode === "value" ? this.session.value(layer.shown) : this.session.gradients.get(layer.shown);
  }

  async setMode(mode) {
    this.mode = mode;
    if (mode === "gradient") await this.backward();
    this.paint();
  }

  async setTarget(target) {
    this.target = target;
    await this.setMode("gradient");
  }

  choose(index) {
    this.layer = index;
    this.unit = this.strongest(this.layers[index]);
    this.network.reveal(index);
    this.network.cards[index].focus({ preventScroll: true });
    this.paint();
    this.revealMap();
  }

  chooseUnit(unit) {
    const { channels, height, width } = mapsOf(this.session.value(this.layers[this.layer].shown));
    const clip = (value, end) => Math.min(Math.max(value, 0), end - 1);
    this.unit = { channel: clip(unit.channel, channels), y: clip(unit.y, height), x: clip(unit.x, width) };
    if (this.mode === "gradient" && this.target.what === "unit") this.setMode("gradient");
    else this.paintLayer();
    this.revealMap();
  }

  // Scroll to the chosen map, unless it can be seen.
  revealMap() {
    const box = find("maps-frame"), { columns, high, gap } = this.grid;
    const top = Math.floor(this.unit.channel / columns) * (high + gap);
    if (top >= box.scrollTop && top + high <= box.scrollTop + box.clientHeight) return;
    box.scrollTop = top - (box.clientHeight - high) / 2;
  }

  paint() {
    showModes(this, find("mode"));
    this.network.show((layer) => this.tensorOf(layer), this.mode);
    this.paintLayer();
  }

  paintLayer() {
    const layer = this.layers[this.layer];
    this.network.mark(this.layer);
    find("layer-title").textContent = `${titleOf(layer)}${layer.path ? ` (${layer.path})` : ""}`;
    const tensor = this.tensorOf(layer);
    find("maps").hidden = find("map").hidden = !tensor;
    if (tensor) this.paintMaps(tensor);
    showUnit(find("unit"), this, layer, this.unit, (weight) => weightGradient(this, weight));
    find("side").replaceChildren(changePanel(this));
    find("heat").replaceChildren(...(this.mode === "gradient" ? heatMaps(this) : []));
    this.frameField(layer);
  }

  // All maps with a frame around the chosen one, and that one large with a frame around the unit.
  paintMaps(tensor) {
    const canvas = find("maps"), one = find("map"), { channels, height, width, pixels } = mapsOf(tensor);
    this.grid = gridOf(tensor, 228);
    paintGrid(canvas, tensor, this.mode, this.grid);
    const { columns, side, high, gap } = this.grid, { channel, y, x } = this.unit;
    this.frame(canvas, (channel % columns) * (side + gap), Math.floor(channel / columns) * (high + gap), side, high);
    canvas.setAttribute("aria-label", `${channels} maps; the arrow keys choose one`);
    one.hidden = pixels === 1;
    const ratio = window.devicePixelRatio || 1, scale = 152 / Math.max(height, width);
    Object.assign(one, { width: width * scale * ratio, height: height * scale * ratio });
    Object.assign(one.style, { width: `${width * scale}px`, height: `${height * scale}px` });
    const at = { x: 0, y: 0, width: one.width, height: one.height, largest: largestOf(tensor.data), kind: this.mode };
    paintMap(one, tensor, channel, at);
    this.frame(one, x * scale, y * scale, scale, scale);
    one.setAttribute("aria-label", `map ${channel}; the arrow keys move the unit, now row ${y}, column ${x}`);
  }

  frame(canvas, ...box) {
    const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--output");
    context.lineWidth = 2 * ratio;
    context.strokeRect(...box.map((value) => value * ratio));
  }

  // The receptive field of the unit, as a box on the image.
  frameField(layer) {
    const canvas = find("image-marks"), [, , height, width] = this.shape, field = this.fieldOf(layer);
    const scale = 220 / width;
    Object.assign(canvas, { width: 220, height: height * scale });
    canvas.style.height = `${height * scale}px`;
    this.field = field;
    if (!field) return;
    const context = canvas.getContext("2d");
    context.strokeStyle = "#ff8c1a";
    context.lineWidth = 3;
    const [[top, bottom], [left, right]] = field;
    context.strokeRect(left * scale + 1.5, top * scale + 1.5, (right - left) * scale - 3, (bottom - top) * scale - 3);
  }

  // [[top, bottom), [left, right)] of the unit in the image; null where it is not known.
  fieldOf(layer) {
    const [, , height, width] = this.shape;
    if (this.shapeOf(layer).length < 4) return [[0, height], [0, width]];
    const lists = this.content.graph.fields[layer.shown];
    return lists?.rows[this.unit.y] && lists.columns[this.unit.x]
      ? [lists.rows[this.unit.y], lists.columns[this.unit.x]] : null;
  }

  listen() {
    find("theme").addEventListener("click", () => this.setTheme(find("theme").textContent));
    find("file").addEventListener("change", ({ target }) => target.files[0] && this.read(target.files[0]));
    find("draw").addEventListener("click", () => openSheet(find("sheet"), (blob) => this.read(blob)));
    find("camera").addEventListener("click", () => openCamera(find("sheet"), (blob) => this.read(blob)));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this.read(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const item = [...event.clipboardData.items].find(({ type }) => type.startsWith("image/"));
      if (item) this.read(item.getAsFile());
    });
    this.keys(find("scroller"), () => ({ ArrowRight: 1, ArrowLeft: -1 }), (step) =>
      this.choose(Math.min(Math.max(this.layer + step, 0), this.layers.length - 1)));
    find("maps").addEventListener("click", (event) => this.chooseUnit({ ...this.unit, channel: this.mapAt(event) }));
    find("map").addEventListener("click", ({ offsetX, offsetY, target }) => {
      const { height, width } = mapsOf(this.session.value(this.layers[this.layer].shown));
      const y = Math.floor((offsetY / target.clientHeight) * height);
      this.chooseUnit({ ...this.unit, y, x: Math.floor((offsetX / target.clientWidth) * width) });
    });
    const rows = () => this.grid.columns;
    this.keys(find("maps"), () => ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -rows(), ArrowDown: rows() }), (step) =>
      this.chooseUnit({ ...this.unit, channel: this.unit.channel + step }));
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    this.keys(find("map"), () => steps, ([y, x]) =>
      this.chooseUnit({ ...this.unit, y: this.unit.y + y, x: this.unit.x + x }));
    window.addEventListener("resize", () => this.network.placeLinks());
  }

  setTheme(name) {
    document.documentElement.dataset.theme = name;
    find("theme").textContent = name === "dark" ? "light" : "dark";
    this.paint();
  }

  // Call `act` with what `moves` says of a key.
  keys(element, moves, act) {
    element.addEventListener("keydown", (event) => {
      const move = moves()[event.key];
      if (move === undefined) return;
      event.preventDefault();
      act(move);
    });
  }

  mapAt({ offsetX, offsetY }) {
    const { columns, side, high, gap } = this.grid;
    return Math.floor(offsetY / (high + gap)) * columns + Math.min(Math.floor(offsetX / (side + gap)), columns - 1);
  }
}

if (typeof document === "undefined") {
  serve(self);
} else {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("theme").textContent = dark ? "light" : "dark";
  const explorer = new Explorer(JSON.parse(find("content").textContent), find("script").textContent);
  window.explorer = explorer; // for a reader's console, and for tests
  explorer.ready = explorer.start();
}
