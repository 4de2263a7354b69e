// Functions of single elements, and sums, products and quotients with broadcasting.

import { Tensor, broadcastStrides, indicesBy } from "./tensor.mjs";

// A slope of BLOCKED stops a gradient, even one that is NaN or infinite, which a slope of 0 would make NaN.
const BLOCKED = null;
const passed = (gradient, slope) => (slope === BLOCKED ? 0 : gradient * slope);

// value(x, hyper) is the function; slope(x, out, hyper) its derivative.
function elementwise(value, slope) {
  return {
    forward({ inputs: [x], hyper }) {
      return x.like(x.data.map((element) => value(element, hyper)));
    },
    backward({ inputs: [x], output, hyper }, grad) {
      return [x.like(grad.data.map((g, i) => passed(g, slope(x.data[i], output.data[i], hyper))))];
    },
  };
}

// The error function, by its series near 0 and by a continued fraction of its complement elsewhere.
export function erf(x) {
  const size = Math.abs(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 100; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  const rest = Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction);
  return Math.sign(x) * (1 - rest);
}

const normalBelow = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
const normalDensity = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

export const ReLU = elementwise((x) => (x > 0 || Number.isNaN(x) ? x : 0), (x) => (x <= 0 ? BLOCKED : 1));
export const LeakyReLU = elementwise(
  (x, { negative_slope: slope }) => (x > 0 ? x : slope * x),
  (x, out, { negative_slope: slope }) => (x > 0 ? 1 : slope),
);
export const GELU = elementwise((x) => x * normalBelow(x), (x) => normalBelow(x) + x * normalDensity(x));
export const Sigmoid = elementwise((x) => sigmoid(x), (x, out) => out * (1 - out));
export const Tanh = elementwise(Math.tanh, (x, out) => 1 - out * out);
export const ReLU6 = elementwise((x) => Math.min(Math.max(x, 0), 6), (x) => (x <= 0 || x >= 6 ? BLOCKED : 1));
export const HardSigmoid = elementwise(
  (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
  (x) => (x > -3 && x < 3 ? 1 / 6 : BLOCKED),
);
export const HardSwish = elementwise(
  (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  (x) => (x <= -3 ? BLOCKED : x < 3 ? x / 3 + 0.5 : 1),
);

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0);

export const Softplus = elementwise(
  (x, { beta }) => softplus(beta * x) / beta,
  (x, out, { beta }) => sigmoid(beta * x),
);
export const SiLU = elementwise((x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))));
export const Mish = elementwise((x) => x * Math.tanh(softplus(x)), (x) => {
  const t = Math.tanh(softplus(x));
  return t + x * (1 - t * t) * sigmoid(x);
});
export const ELU = elementwise(
  (x, { alpha, scale }) => scale * (x > 0 ? x : alpha * Math.expm1(x)),
  (x, out, { alpha, scale }) => scale * (x > 0 ? 1 : alpha * Math.exp(x)),
);
export const Exp = elementwise(Math.exp, (x, out) => out);
export const Log = elementwise(Math.log, (x) => 1 / x);
export const Sqrt = elementwise(Math.sqrt, (x, out) => 1 / (2 * out));
export const Abs = elementwise(Math.abs, Math.sign);
export const Power = elementwise(
  (x, { exponent }) => x ** exponent,
  (x, out, { exponent }) => (exponent === 0 ? BLOCKED : exponent * x ** (exponent - 1)),
);

export const Clip = elementwise(
  (x, { low, high }) => Math.min(Math.max(x, low), high),
  (x, out, { low, high }) => (low <= x && x <= high ? 1 : BLOCKED),
);

// value(a, b), and the derivatives by a and by b.
function binary(value, slopeA, slopeB) {
  return {
    forward(node) {
      const [a, b] = node.inputs, out = new Tensor(node.shape);
      node.indices = [a, b].map((x) => indicesBy(node.shape, broadcastStrides(x.shape, node.shape)));
      const [inA, inB] = node.indices;
      for (let i = 0; i < out.data.length; i++) out.data[i] = value(a.data[inA[i]], b.data[inB[i]]);
      return out;
    },
    backward({ inputs: [a, b], indices: [inA, inB] }, grad) {
      const sumsA = new Float64Array(a.data.length), sumsB = new Float64Array(b.data.length);
      for (let i = 0; i < grad.data.length; i++) {
        const first = a.data[inA[i]], second = b.data[inB[i]];
        sumsA[inA[i]] += passed(grad.data[i], slopeA(first, second));
        sumsB[inB[i]] += passed(grad.data[i], slopeB(first, second));
      }
      return [a.like(Float32Array.from(sumsA)), b.like(Float32Array.from(sumsB))];
    },
  };
}

export const Add = binary((a, b) => a + b, () => 1, () => 1);
export const Sub = binary((a, b) => a - b, () => 1, () => -1);
export const Mul = binary((a, b) => a * b, (a, b) => b, (a) => a);
export const PowerOf = binary(
  (a, b) => a ** b,
  (a, b) => (b === 0 ? 0 : b * a ** (b - 1)),
  (a, b) => (a === 0 && b >= 0 ? 0 : a ** b * Math.log(a)),
);

// What the first of two elements gets of the gradient: half if they are equal, nothing if it loses, else all.
const wins = (a, b) => (a === b ? 0.5 : a < b ? BLOCKED : 1);

export const Maximum = binary(Math.max, wins, (a, b) => wins(b, a));
export const Minimum = binary(Math.min, (a, b) => wins(b, a), wins);
export const Div = binary((a, b) => a / b, (a, b) => 1 / b, (a, b) => -a / (b * b));

export const Where = {
  forward(node) {
    const { inputs: [a, b], hyper: { condition }, shape } = node, out = new Tensor(shape);
    node.indices = [a, b, condition].map((x) => indicesBy(shape, broadcastStrides(x.shape, shape)));
    const [inA, inB, inCondition] = node.indices;
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = condition.data[inCondition[i]] ? a.data[inA[i]] : b.data[inB[i]];
    }
    return out;
  },
  backward({ inputs: [a, b], indices: [inA, inB, inCondition], hyper: { condition } }, grad) {
    const sumsA = new Float64Array(a.data.length), sumsB = new Float64Array(b.data.length);
    for (let i = 0; i < grad.data.length; i++) {
      if (condition.data[inCondition[i]]) sumsA[inA[i]] += grad.data[i];
      else sumsB[inB[i]] += grad.data[i];
    }
    return [a.like(Float32Array.from(sumsA)), b.like(Float32Array.from(sumsB))];
  },
};

// A learned slope for negative elements, one for all or one for each channel.
export const PReLU = {
  forward({ inputs: [x, slope] }) {
    return x.like(x.data.map((value, i) => (value > 0 ? value : value * slope.data[slopeOf(x, slope, i)])));
  },
  backward({ inputs: [x, slope] }, grad) {
    const gradX = new Tensor(x.shape), sums = new Float64Array(slope.data.length);
    x.data.forEach((value, i) => {
      const which = slopeOf(x, slope, i);
      gradX.data[i] = grad.data[i] * (value > 0 ? 1 : slope.data[which]);
      sums[which] += grad.data[i] * Math.min(value, 0);
    });
    return [gradX, slope.like(Float32Array.from(sums))];
  },
};

function slopeOf(x, slope, i) {
  if (slope.data.length === 1) return 0;
  return Math.floor(i / (x.data.length / (x.shape[0] * x.shape[1]))) % x.shape[1];
}
