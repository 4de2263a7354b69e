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

export function constantsOf({ graph, weights, half }) {
  const bytes = bytesOf(weights);
  const numbers = half ? Float32Array.from(new Uint16Array(bytes.buffer), fromHalf) : new Float32Array(bytes.buffer);
  let at = 0;
  return graph.constants.map(({ shape }) => new Tensor(shape, numbers.slice(at, (at += sizeOf(shape)))));
}

export function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
