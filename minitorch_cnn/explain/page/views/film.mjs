// The training as a film: the weights of several epochs in turn, then those of the finished network.

import { bytesOf } from "./content.mjs";
import { button, make } from "./dom.mjs";
import { largestOf, short } from "./paint.mjs";
import { pause } from "./session.mjs";
import { sizeOf } from "../engine/tensor.mjs";

const WAIT = 900; // milliseconds between two frames

// The arrays of a frame, as film.py wrote them: float32, or a scale for each row and then integers of 8 or 4 bits.
export function arraysOf(text, bits, shapes) {
  const bytes = bytesOf(text), view = new DataView(bytes.buffer);
  let at = 0;
  const floats = (count) => Float32Array.from({ length: count }, () => view.getFloat32((at += 4) - 4, true));
  return shapes.map((shape, i) => {
    const size = sizeOf(shape);
    if (bits[i] === 32) return floats(size);
    const scales = floats(shape[0]), first = at, inRow = size / shape[0];
    at += bits[i] === 8 ? size : Math.ceil(size / 2);
    const nibble = (k) => ((bytes[first + (k >> 1)] >> (4 * (k & 1))) & 15) - 8;
    const code = bits[i] === 8 ? (k) => view.getInt8(first + k) : nibble;
    return Float32Array.from({ length: size }, (_, k) => code(k) * scales[Math.floor(k / inRow)]);
  });
}

export class Film {
  constructor(box, view) {
    const { film, graph } = view.content, shapes = graph.constants.map(({ shape }) => shape);
    Object.assign(this, { view, frames: film.frames, playing: false });
    this.finished = view.session.constants.map(({ data }) => data.slice());
    this.arrays = (frame) => arraysOf(frame.weights, film.bits, shapes);
    this.at = this.frames.length;
    this.slider = make("input", { type: "range", min: 0, max: this.at, step: 1, value: this.at });
    this.slider.setAttribute("aria-label", "time of the training");
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
    this.play = button("play the training", () => this.run());
    this.text = make("span", { className: "hint" });
    box.append(this.play, this.slider, this.text);
    box.hidden = false;
    this.describe();
  }

  describe() {
    const frame = this.frames[this.at];
    const text = frame ? [frame.title, frame.accuracy].filter(Boolean).join(": ") : "finished";
    this.text.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.play.textContent = this.playing ? "stop" : "play the training";
  }

  // Give the network the weights of a frame, or its own after the last one. Changes by hand are taken back first.
  async show(index) {
    const { view } = this, frame = this.frames[index];
    Object.assign(this, { at: index });
    this.slider.value = index;
    this.describe();
    await view.changes.undoAll();
    const arrays = frame ? this.arrays(frame) : this.finished;
    await Promise.all(arrays.map((data, i) => view.session.setConstant(-i - 1, data)));
    if (this.at === index) await view.recompute();
  }

  // What the page says of the rounded weights; null where there is nothing to say.
  note(example, output) {
    const frame = this.frames[this.at];
    if (!frame) return null;
    const rounded = "weights of the film are rounded";
    if (example === null) return rounded;
    const exact = frame.outputs[example];
    const difference = Math.max(...exact.map((value, i) => Math.abs(value - output[i])));
    return `${rounded}: output within ${short(100 * difference / largestOf(exact), 2)} % of the kernels'`;
  }

  async run() {
    this.playing = !this.playing;
    this.describe();
    for (let i = this.at >= this.frames.length ? 0 : this.at + 1; this.playing && i <= this.frames.length; i++) {
      await this.show(i);
      await pause(WAIT);
    }
    this.playing = false;
    this.describe();
  }
}
