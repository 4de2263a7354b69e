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

  backward({ inputs: [x, weight, bias], hyper }, grad) {
    const factor = inverseStd(hyper), mean = hyper.running_mean.data;
    const gradX = new Tensor(x.shape), products = new Float64Array(x.shape[1]);
    forChannels(x, (i, c) => {
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
    return [...BatchNorm.backward({ inputs: [x, weight, bias], hyper }, gradSum), residual && gradSum];
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
