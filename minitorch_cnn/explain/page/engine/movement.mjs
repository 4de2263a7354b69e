// Operations that move elements: each output element has one source, and its gradient goes back there.

import { Tensor, aroundAxis, broadcastStrides, indicesBy, sizeOf, stridesOf } from "./tensor.mjs";

// sources(node) gives, for every output element, its index in the input; -1 for `hyper.value`.
function moving(sources) {
  return {
    forward(node) {
      const [x] = node.inputs, out = new Tensor(node.shape);
      node.sources = sources(node);
      for (let i = 0; i < out.data.length; i++) {
        out.data[i] = node.sources[i] < 0 ? node.hyper.value : x.data[node.sources[i]];
      }
      return out;
    },
    backward({ inputs: [x], sources: from }, grad) {
      const sums = new Float64Array(x.data.length);
      for (let i = 0; i < grad.data.length; i++) if (from[i] >= 0) sums[from[i]] += grad.data[i];
      return [x.like(Float32Array.from(sums))];
    },
  };
}

export const Reshape = {
  forward({ inputs: [x], shape }) {
    return new Tensor(shape, x.data);
  },
  backward({ inputs: [x] }, grad) {
    return [x.like(grad.data)];
  },
};

export const Transpose = moving(({ inputs: [x], hyper: { axes }, shape }) => {
  const strides = stridesOf(x.shape);
  return indicesBy(shape, axes.map((axis) => strides[axis]));
});

export const BroadcastTo = moving(({ inputs: [x], shape }) => indicesBy(shape, broadcastStrides(x.shape, shape)));

// The page gets the indices that the key selects, so every form of key works.
export const Index = moving(({ hyper: { selected } }) => selected);

// Where padded index i of an axis comes from, for each kind of border; -1 for a constant.
const SOURCES = {
  zero: (at, length) => (at >= 0 && at < length ? at : -1),
  reflect: (at, length) => length - 1 - Math.abs(length - 1 - Math.abs(at)),
  replicate: (at, length) => Math.min(Math.max(at, 0), length - 1),
  circular: (at, length) => ((at % length) + length) % length,
};

export const Pad = moving(({ inputs: [x], hyper: { padding, mode }, shape }) => {
  const sourceOf = SOURCES[mode];
  const strides = stridesOf(x.shape), size = sizeOf(shape);
  const found = new Int32Array(size), steps = stridesOf(shape);
  for (let i = 0; i < size; i++) {
    for (let axis = 0; axis < shape.length && found[i] >= 0; axis++) {
      const at = sourceOf((Math.floor(i / steps[axis]) % shape[axis]) - padding[axis][0], x.shape[axis]);
      found[i] = at < 0 ? -1 : found[i] + at * strides[axis];
    }
  }
  return found;
});

export const PadContinued = Pad;

export const Concat = {
  forward({ inputs, hyper: { axis }, shape }) {
    const out = new Tensor(shape), [before, length, after] = aroundAxis(shape, axis);
    let first = 0;
    for (const x of inputs) {
      const run = x.shape[axis] * after;
      for (let i = 0; i < before; i++) {
        out.data.set(x.data.subarray(i * run, (i + 1) * run), i * length * after + first);
      }
      first += run;
    }
    return out;
  },
  backward({ inputs, hyper: { axis } }, grad) {
    const [before, length, after] = aroundAxis(grad.shape, axis);
    let first = 0;
    return inputs.map((x) => {
      const run = x.shape[axis] * after, part = new Tensor(x.shape);
      for (let i = 0; i < before; i++) {
        const start = i * length * after + first;
        part.data.set(grad.data.subarray(start, start + run), i * run);
      }
      first += run;
      return part;
    });
  },
};
