// Pooling: the largest element or the mean of windows, and of the bins of a grid over the image.

import { Tensor } from "./tensor.mjs";

// The rows (or columns) that window i reads, as [first, end, step], for windows of a fixed size.
function windowRanges(out, length, kernel, stride, before, step = 1) {
  return Array.from({ length: out }, (_, i) => {
    const first = i * stride - before, skipped = Math.ceil(Math.max(-first, 0) / step);
    return [first + skipped * step, Math.min(first + (kernel - 1) * step + 1, length), step];
  });
}

// The same for a grid of `out` bins, which may overlap by one row.
function binRanges(out, length) {
  return Array.from({ length: out }, (_, i) => [
    Math.floor((i * length) / out),
    Math.ceil(((i + 1) * length) / out),
  ]);
}

function windows({ inputs: [x], hyper, shape }) {
  const { kernel_size: [KH, KW], stride, padding: [top, , left], dilation = [1, 1] } = hyper;
  return {
    rows: windowRanges(shape[2], x.shape[2], KH, stride[0], top, dilation[0]),
    columns: windowRanges(shape[3], x.shape[3], KW, stride[1], left, dilation[1]),
  };
}

function bins({ inputs: [x], shape }) {
  return { rows: binRanges(shape[2], x.shape[2]), columns: binRanges(shape[3], x.shape[3]) };
}

// Call visit(index in the output, first pixel of its map, rows, columns) for every output element.
function forOutputs(x, { rows, columns }, visit) {
  const pixels = x.shape[2] * x.shape[3];
  let out = 0;
  for (let map = 0; map < x.shape[0] * x.shape[1]; map++) {
    for (const inRows of rows) {
      for (const inColumns of columns) visit(out++, map * pixels, inRows, inColumns);
    }
  }
}

// Call visit(index of a pixel in x) for every pixel of a window.
function forPixels(start, width, [top, bottom, down = 1], [left, right, across = 1], visit) {
  for (let y = top; y < bottom; y += down) {
    for (let column = left; column < right; column += across) visit(start + y * width + column);
  }
}

// The index in x of the first largest element of each window; a NaN counts as the largest.
function winners(x, ranges, count) {
  const found = new Int32Array(count);
  forOutputs(x, ranges, (out, start, rows, columns) => {
    let best = -1;
    forPixels(start, x.shape[3], rows, columns, (pixel) => {
      const value = x.data[pixel];
      if (best < 0 || value > x.data[best] || (Number.isNaN(value) && !Number.isNaN(x.data[best]))) best = pixel;
    });
    found[out] = best;
  });
  return found;
}

function largest(rangesOf) {
  return {
    forward(node) {
      const [x] = node.inputs, out = new Tensor(node.shape);
      node.winners = winners(x, rangesOf(node), out.data.length);
      for (let i = 0; i < out.data.length; i++) out.data[i] = x.data[node.winners[i]];
      return out;
    },
    backward(node, grad) {
      const gradX = new Tensor(node.inputs[0].shape);
      for (let i = 0; i < grad.data.length; i++) gradX.data[node.winners[i]] += grad.data[i];
      return [gradX];
    },
  };
}

// `divisor(node)` gives the number by which the sum of a window is divided, from the number of pixels it read.
function mean(rangesOf, divisor) {
  return {
    forward(node) {
      const [x] = node.inputs, out = new Tensor(node.shape);
      forOutputs(x, rangesOf(node), (i, start, rows, columns) => {
        let sum = 0;
        forPixels(start, x.shape[3], rows, columns, (pixel) => { sum += x.data[pixel]; });
        out.data[i] = sum / divisor(node.hyper, (rows[1] - rows[0]) * (columns[1] - columns[0]));
      });
      return out;
    },
    backward(node, grad) {
      const [x] = node.inputs, gradX = new Tensor(x.shape);
      forOutputs(x, rangesOf(node), (i, start, rows, columns) => {
        const part = grad.data[i] / divisor(node.hyper, (rows[1] - rows[0]) * (columns[1] - columns[0]));
        forPixels(start, x.shape[3], rows, columns, (pixel) => { gradX.data[pixel] += part; });
      });
      return [gradX];
    },
  };
}

export const MaxPool2d = largest(windows);
export const DilatedMaxPool2d = MaxPool2d;
export const AvgPool2d = mean(windows, (hyper, inside) =>
  hyper.count_include_pad ? hyper.kernel_size[0] * hyper.kernel_size[1] : inside);
export const AdaptiveMaxPool2d = largest(bins);
export const AdaptiveAvgPool2d = mean(bins, (hyper, inside) => inside);
