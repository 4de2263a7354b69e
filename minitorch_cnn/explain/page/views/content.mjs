// What Python wrote into the page: weights and pictures as text in base64.

import { Tensor, sizeOf } from "../engine/tensor.mjs";

export function bytesOf(text) {
  const bytes = atob(text), out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes.charCodeAt(i);
  return out;
}

// Arrays as packing.py wrote them: float32, or a scale for each row and then integers of 16, 8 or 4 bits.
export function arraysOf(text, bits, shapes) {
  const bytes = bytesOf(text);
  let at = 0;
  const next = (count) => bytes.slice(at, (at += count));
  const floats = (count) => new Float32Array(next(4 * count).buffer);
  const codes = {
    16: (size) => new Int16Array(next(2 * size).buffer),
    8: (size) => new Int8Array(next(size).buffer),
    4: (size) => {
      const pairs = next(Math.ceil(size / 2));
      return Int8Array.from({ length: size }, (_, k) => ((pairs[k >> 1] >> (4 * (k & 1))) & 15) - 8);
    },
  };
  return shapes.map((shape, i) => {
    const size = sizeOf(shape);
    if (bits[i] === 32) return floats(size);
    const scales = floats(shape[0]), out = Float32Array.from(codes[bits[i]](size)), inRow = size / shape[0];
    for (let k = 0; k < size; k++) out[k] *= scales[Math.floor(k / inRow)];
    return out;
  });
}

export function constantsOf({ graph, weights, bits }) {
  const shapes = graph.constants.map(({ shape }) => shape);
  return arraysOf(weights, bits, shapes).map((data, i) => new Tensor(shapes[i], data));
}

export function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
