// What Python wrote into the page: weights and pictures as text in base64.

import { Tensor, sizeOf } from "../engine/tensor.mjs";

export function bytesOf(text) {
  const bytes = atob(text), out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = bytes.charCodeAt(i);
  return out;
}

// A number of half precision: 1 bit of sign, 5 of exponent, 10 of mantissa.
export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + mantissa / 1024) : 2 ** -14 * (mantissa / 1024));
}

// Many of them: a table of all 65,536 is several times as fast.
function fromHalves(numbers) {
  const table = Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits));
  const out = new Float32Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) out[i] = table[numbers[i]];
  return out;
}

export function constantsOf({ graph, weights, half }) {
  const bytes = bytesOf(weights);
  const numbers = half ? fromHalves(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  let at = 0;
  return graph.constants.map(({ shape }) => new Tensor(shape, numbers.slice(at, (at += sizeOf(shape)))));
}

export function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
