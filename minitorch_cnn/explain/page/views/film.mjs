// The training as a film: the weights of several epochs in turn, then those of the finished network.

import { arraysOf } from "./content.mjs";
import { button, make } from "./dom.mjs";
import { largestOf, short } from "./paint.mjs";
import { pause } from "./session.mjs";

const WAIT = 900; // milliseconds between two frames

export class Film {
  constructor(box, view) {
    const { film, graph } = view.content, shapes = graph.constants.map(({ shape }) => shape);
    Object.assign(this, { view, frames: film.frames, playing: false });
    this.finished = view.session.constants.map(({ data }) => data.slice());
    this.arrays = ({ weights }) => arraysOf(weights, film.bits, shapes);
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
