// Normalisation: batch norm with its running statistics, and local response norm.

import { channelSums } from "./conv.mjs";
import { ReLU } from "./pointwise.mjs";
import { MaxPool2d } from "./pool.mjs";
import { Tensor } from "./tensor.mjs";

// Call visit(index, channel) for every element of (N, C, ...).
function forChannels(x, visit) {
  const channels = x.shape[1], pixels = x.data.length / (x.shape[0] * channels);
  for (let i = 0; i < x.data.length; i++) visit(i, Math.floor(i / pixels) % channels);
}

// For each channel: the factor 1 / std of the running variance.
function inverseStd({ running_var: variance, eps }) {
  return Float64Array.from(variance.data, (value) => 1 / Math.sqrt(value + eps));
}

export const BatchNorm = {
  forward({ inputs: [x, weight, bias], hyper }) {
    const factor = inverseStd(hyper), mean = hyper.running_mean.data, out = new Tensor(x.shape);
    forChannels(x, (i, c) => {
      const normal = (x.data[i] - mean[c]) * factor[c];
      out.data[i] = normal * (weight ? weight.data[c] : 1) + (bias ? bias.data[c] : 0);
    });
    return out;
  },

  // Elements of which `stopped(i)` is true have no share, even where x or a weight is NaN.
  backward({ inputs: [x, weight, bias], hyper }, grad, stopped = () => false) {
    const factor = inverseStd(hyper), mean = hyper.running_mean.data;
    const gradX = new Tensor(x.shape), products = new Float64Array(x.shape[1]);
    forChannels(x, (i, c) => {
      if (stopped(i)) return;
      gradX.data[i] = grad.data[i] * factor[c] * (weight ? weight.data[c] : 1);
      products[c] += grad.data[i] * (x.data[i] - mean[c]) * factor[c];
    });
    const gradWeight = weight && new Tensor(weight.shape, Float32Array.from(products));
    return [gradX, gradWeight, bias && channelSums(grad)];
  },
};

// Batch norm, addition of a residual, ReLU and max pooling in one operation, as fused models have it.
export const BatchNormReLU = {
  forward(node) {
    const { inputs: [x, weight, bias, residual], hyper } = node;
    node.sum = BatchNorm.forward({ inputs: [x, weight, bias], hyper });
    if (residual) for (let i = 0; i < residual.data.length; i++) node.sum.data[i] += residual.data[i];
    node.positive = ReLU.forward({ inputs: [node.sum], hyper });
    const window = [hyper.pool, hyper.pool];
    const pooling = { kernel_size: window, stride: window, padding: [0, 0, 0, 0] };
    node.pooling = { inputs: [node.positive], hyper: pooling, shape: node.shape };
    return MaxPool2d.forward(node.pooling);
  },

  backward({ inputs: [x, weight, bias, residual], hyper, sum, positive, pooling }, grad) {
    const [gradPositive] = MaxPool2d.backward(pooling, grad);
    const [gradSum] = ReLU.backward({ inputs: [sum], output: positive, hyper }, gradPositive);
    const stopped = (i) => gradSum.data[i] === 0;
    return [...BatchNorm.backward({ inputs: [x, weight, bias], hyper }, gradSum, stopped), residual && gradSum];
  },
};

// base[c] = k + alpha / size * sum of squares over the channels c - size//2 .. c + (size-1)//2
function* neighbours(x, { size }) {
  const [images, channels, height, width] = x.shape, pixels = height * width;
  for (let n = 0; n < images; n++) {
    for (let c = 0; c < channels; c++) {
      const first = Math.max(0, c - Math.floor(size / 2));
      const last = Math.min(channels - 1, c + Math.floor((size - 1) / 2));
      for (let p = 0; p < pixels; p++) {
        const start = n * channels * pixels + p;
        yield { at: start + c * pixels, from: start + first * pixels, to: start + last * pixels, step: pixels };
      }
    }
  }
}

function bases(x, hyper) {
  const base = new Float64Array(x.data.length), share = hyper.alpha / hyper.size;
  for (const { at, from, to, step } of neighbours(x, hyper)) {
    let squares = 0;
    for (let i = from; i <= to; i += step) squares += x.data[i] * x.data[i];
    base[at] = hyper.k + share * squares;
  }
  return base;
}

export const LocalResponseNorm = {
  forward({ inputs: [x], hyper }) {
    const base = bases(x, hyper);
    return x.like(x.data.map((value, i) => value / base[i] ** hyper.beta));
  },

  backward({ inputs: [x], hyper }, grad) {
    const base = bases(x, hyper), gradX = new Float64Array(x.data.length);
    const factor = (2 * hyper.alpha * hyper.beta) / hyper.size;
    for (const { at, from, to, step } of neighbours(x, hyper)) {
      const share = grad.data[at] / base[at] ** hyper.beta;
      gradX[at] += share;
      for (let i = from; i <= to; i += step) gradX[i] -= (factor * share * x.data[at] * x.data[i]) / base[at];
    }
    return [x.like(Float32Array.from(gradX))];
  },
};

// Normalisation of parts of each image. partsOf(x, hyper) gives { inside, affine }: the count of neighbouring elements
// of a part, and a function from the index of an element to that of its weight and bias.
function withinImages(partsOf, centred = true) {
  function normalised({ inputs: [x], hyper }, { inside }) {
    const normal = new Float64Array(x.data.length), factors = new Float64Array(x.data.length / inside);
    for (let part = 0; part < factors.length; part++) {
      const values = x.data.subarray(part * inside, (part + 1) * inside);
      const mean = centred ? values.reduce((sum, value) => sum + value, 0) / inside : 0;
      const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / inside;
      factors[part] = 1 / Math.sqrt(square + hyper.eps);
      values.forEach((value, i) => { normal[part * inside + i] = (value - mean) * factors[part]; });
    }
    return { normal, factors };
  }

  return {
    forward(node) {
      const [x, weight, bias] = node.inputs, parts = partsOf(x, node.hyper);
      Object.assign(node, { parts }, normalised(node, parts));
      return x.like(Float32Array.from(node.normal, (value, i) =>
        value * (weight ? weight.data[parts.affine(i)] : 1) + (bias ? bias.data[parts.affine(i)] : 0)));
    },

    backward({ inputs: [x, weight, bias], parts: { inside, affine }, normal, factors }, grad) {
      const gradX = new Tensor(x.shape);
      const [products, sums] = [weight, bias].map((of) => of && new Float64Array(of.data.length));
      for (let first = 0; first < normal.length; first += inside) {
        let mean = 0, projection = 0;
        for (let i = first; i < first + inside; i++) {
          const scaled = grad.data[i] * (weight ? weight.data[affine(i)] : 1);
          if (centred) mean += scaled / inside;
          projection += (scaled * normal[i]) / inside;
          if (products) products[affine(i)] += grad.data[i] * normal[i];
          if (sums) sums[affine(i)] += grad.data[i];
        }
        for (let i = first; i < first + inside; i++) {
          const scaled = grad.data[i] * (weight ? weight.data[affine(i)] : 1);
          gradX.data[i] = (scaled - mean - projection * normal[i]) * factors[first / inside];
        }
      }
      return [gradX, weight && weight.like(Float32Array.from(products)), bias && bias.like(Float32Array.from(sums))];
    },
  };
}

function groupsOf(x, { groups }) {
  const pixels = x.data.length / (x.shape[0] * x.shape[1]);
  return { inside: (x.shape[1] / groups) * pixels, affine: (i) => Math.floor(i / pixels) % x.shape[1] };
}

function lastAxesOf(x, { axes }) {
  const inside = x.shape.slice(x.shape.length - axes).reduce((product, length) => product * length, 1);
  return { inside, affine: (i) => i % inside };
}

export const GroupNorm = withinImages(groupsOf);
export const LayerNorm = withinImages(lastAxesOf);
export const RMSNorm = withinImages(lastAxesOf, false);
