// Changes by hand: edit, flip or negate a kernel, silence a map, swap max for average pooling; and take all back.

import { kernelOf } from "./unit.mjs";

// A list of changes, each with the function that takes it back.
export class Changes {
  constructor(session, refresh) {
    Object.assign(this, { session, refresh });
    this.done = [];
    this.silent = new Map();
  }

  async make(text, apply, back) {
    const applied = apply();
    this.done.push({ text, back }); // at once, so that whoever takes all back meanwhile knows of it
    await applied;
    await this.refresh();
  }

  async undo() {
    await this.done.pop()?.back();
    await this.refresh();
  }

  // Take all changes back; the caller computes anew.
  async undoAll() {
    while (this.done.length) await this.done.pop().back();
  }

  // Change the kernel of one filter for one input map; `edit` takes its rows and returns others.
  kernel(text, id, filter, map, edit) {
    const weight = this.session.value(id), before = weight.data.slice(), after = weight.data.slice();
    const [, depth, KH, KW] = weight.shape;
    edit(kernelOf(weight, filter, map)).flat().forEach((value, i) => {
      after[(filter * depth + map) * KH * KW + i] = value;
    });
    return this.make(text, () => this.session.setConstant(id, after), () => this.session.setConstant(id, before));
  }

  isSilent(id, channel) {
    return this.silent.get(id)?.has(channel) ?? false;
  }

  toggleMap(text, id, channel) {
    const toggle = () => {
      const channels = this.silent.get(id) ?? new Set();
      if (!channels.delete(channel)) channels.add(channel);
      this.silent.set(id, channels);
      return this.session.silence(id, channels);
    };
    return this.make(text, toggle, toggle);
  }

  swapPooling(text, index) {
    const { op, hyper } = this.session.description.nodes[index];
    const other = op === "MaxPool2d" ? "AvgPool2d" : "MaxPool2d";
    const changed = { ...hyper, count_include_pad: true };
    return this.make(text, () => this.session.setOperation(index, other, changed),
      () => this.session.setOperation(index, op, hyper));
  }
}

export const KERNEL_EDITS = {
  flip: (rows) => rows.map((line) => [...line].reverse()).reverse(),
  negate: (rows) => rows.map((line) => line.map((value) => -value)),
  "set to 0": (rows) => rows.map((line) => line.map(() => 0)),
};
