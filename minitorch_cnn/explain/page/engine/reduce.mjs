// Sums, maxima and softmax over axes, matrix products, and interpolation.

import { channelSums } from "./conv.mjs";
import { matmul, transposed } from "./matmul.mjs";
import { Tensor, aroundAxis, indicesBy, sizeOf, stridesOf } from "./tensor.mjs";

// For each element of x: the index of the output element that reads it.
function readers(shape, axes) {
  const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length)), strides = stridesOf(kept);
  return indicesBy(shape, strides.map((stride, axis) => (axes.includes(axis) ? 0 : stride)));
}

export const Sum = {
  forward(node) {
    const [x] = node.inputs, out = new Tensor(node.shape), sums = new Float64Array(out.data.length);
    node.readers = readers(x.shape, node.hyper.axis);
    for (let i = 0; i < x.data.length; i++) sums[node.readers[i]] += x.data[i];
    out.data.set(sums);
    return out;
  },
  backward({ inputs: [x], readers: to }, grad) {
    return [x.like(Float32Array.from(to, (i) => grad.data[i]))];
  },
};

// How many elements each output element reads.
const countOf = ({ inputs: [x], shape }) => x.data.length / sizeOf(shape);

export const Mean = {
  forward(node) {
    const out = Sum.forward(node), count = countOf(node);
    return out.like(out.data.map((sum) => sum / count));
  },
  backward(node, grad) {
    return Sum.backward(node, grad.like(grad.data.map((value) => value / countOf(node))));
  },
};

export const Var = {
  forward(node) {
    const [x] = node.inputs, { axis, correction } = node.hyper, count = countOf(node);
    const to = readers(x.shape, axis), out = new Tensor(node.shape);
    const means = new Float64Array(out.data.length), sums = new Float64Array(out.data.length);
    x.data.forEach((value, i) => { means[to[i]] += value / count; });
    node.centred = Float64Array.from(x.data, (value, i) => value - means[to[i]]);
    node.centred.forEach((value, i) => { sums[to[i]] += value * value; });
    Object.assign(node, { readers: to, divisor: count - correction });
    out.data.set(sums.map((sum) => sum / node.divisor));
    return out;
  },
  backward({ inputs: [x], centred, divisor, readers: to }, grad) {
    return [x.like(Float32Array.from(centred, (value, i) => (grad.data[to[i]] * 2 * value) / divisor))];
  },
};

export const Cumsum = {
  forward({ inputs: [x], hyper: { axis } }) {
    const out = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      let sum = 0;
      for (let i = first; i < first + length * step; i += step) out.data[i] = sum += x.data[i];
    });
    return out;
  },
  backward({ inputs: [x], hyper: { axis } }, grad) {
    const gradX = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      let sum = 0;
      for (let i = first + (length - 1) * step; i >= first; i -= step) gradX.data[i] = sum += grad.data[i];
    });
    return [gradX];
  },
};

export const Prod = {
  forward(node) {
    const [x] = node.inputs, products = new Float64Array(sizeOf(node.shape)).fill(1);
    node.readers = readers(x.shape, node.hyper.axis);
    x.data.forEach((value, i) => { products[node.readers[i]] *= value; });
    return new Tensor(node.shape, Float32Array.from(products));
  },
  // The product of the others: all factors before, times all after; a division would fail at 0.
  backward({ inputs: [x], shape, readers: to }, grad) {
    const others = new Float64Array(x.data.length);
    const before = new Float64Array(sizeOf(shape)).fill(1), after = before.slice();
    for (let i = 0; i < others.length; i++) {
      others[i] = before[to[i]];
      before[to[i]] *= x.data[i];
    }
    for (let i = others.length - 1; i >= 0; i--) {
      others[i] *= after[to[i]] * grad.data[to[i]];
      after[to[i]] *= x.data[i];
    }
    return [x.like(Float32Array.from(others))];
  },
};

export const Max = {
  forward(node) {
    const [x] = node.inputs, out = new Tensor(node.shape), to = readers(x.shape, node.hyper.axis);
    node.winners = new Int32Array(out.data.length).fill(-1);
    for (let i = 0; i < x.data.length; i++) {
      const best = node.winners[to[i]], value = x.data[i];
      if (best < 0 || value > x.data[best] || (Number.isNaN(value) && !Number.isNaN(x.data[best]))) {
        node.winners[to[i]] = i;
      }
    }
    for (let i = 0; i < out.data.length; i++) out.data[i] = x.data[node.winners[i]];
    return out;
  },
  backward({ inputs: [x], winners }, grad) {
    const gradX = new Tensor(x.shape);
    for (let i = 0; i < grad.data.length; i++) gradX.data[winners[i]] += grad.data[i];
    return [gradX];
  },
};

// Call visit(first index, step, length) for every line along an axis.
function forLines(shape, axis, visit) {
  const [before, length, after] = aroundAxis(shape, axis);
  for (let i = 0; i < before; i++) {
    for (let j = 0; j < after; j++) visit(i * length * after + j, after, length);
  }
}

// The largest element of a line, and the sum of exp(x - largest): no exponential overflows.
function exponentials(data, first, step, length) {
  let largest = -Infinity, sum = 0;
  for (let i = 0; i < length; i++) largest = Math.max(largest, data[first + i * step]);
  for (let i = 0; i < length; i++) sum += Math.exp(data[first + i * step] - largest);
  return [largest, sum];
}

export const Softmax = {
  forward({ inputs: [x], hyper: { axis } }) {
    const out = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      const [largest, sum] = exponentials(x.data, first, step, length);
      for (let i = first; i < first + length * step; i += step) out.data[i] = Math.exp(x.data[i] - largest) / sum;
    });
    return out;
  },
  backward({ inputs: [x], output, hyper: { axis } }, grad) {
    const gradX = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      let sum = 0;
      for (let i = first; i < first + length * step; i += step) sum += grad.data[i] * output.data[i];
      for (let i = first; i < first + length * step; i += step) gradX.data[i] = output.data[i] * (grad.data[i] - sum);
    });
    return [gradX];
  },
};

export const LogSoftmax = {
  forward({ inputs: [x], hyper: { axis } }) {
    const out = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      const [largest, sum] = exponentials(x.data, first, step, length);
      for (let i = first; i < first + length * step; i += step) out.data[i] = x.data[i] - largest - Math.log(sum);
    });
    return out;
  },
  backward({ inputs: [x], output, hyper: { axis } }, grad) {
    const gradX = new Tensor(x.shape);
    forLines(x.shape, axis, (first, step, length) => {
      let sum = 0;
      for (let i = first; i < first + length * step; i += step) sum += grad.data[i];
      for (let i = first; i < first + length * step; i += step) {
        gradX.data[i] = grad.data[i] - Math.exp(output.data[i]) * sum;
      }
    });
    return [gradX];
  },
};

export const MatMul = {
  forward({ inputs: [a, b], shape }) {
    return new Tensor(shape, matmul(a.data, b.data, a.shape[0], a.shape[1], b.shape[1]));
  },
  backward({ inputs: [a, b] }, grad) {
    const [rows, depth] = a.shape, columns = b.shape[1];
    const gradA = matmul(grad.data, transposed(b.data, depth, columns), rows, columns, depth);
    const gradB = matmul(transposed(a.data, rows, depth), grad.data, depth, rows, columns);
    return [a.like(gradA), b.like(gradB)];
  },
};

// A fully connected layer: x (N, I) x weight^T (I, O) + bias (O).
export const Linear = {
  forward({ inputs: [x, weight, bias], shape: [rows, columns] }) {
    const out = matmul(x.data, transposed(weight.data, ...weight.shape), rows, weight.shape[1], columns);
    if (bias) for (let i = 0; i < out.length; i++) out[i] += bias.data[i % columns];
    return new Tensor([rows, columns], out);
  },
  backward({ inputs: [x, weight, bias] }, grad) {
    const [rows, columns] = grad.shape, depth = weight.shape[1];
    const gradX = matmul(grad.data, weight.data, rows, columns, depth);
    const gradWeight = matmul(transposed(grad.data, rows, columns), x.data, columns, rows, depth);
    return [x.like(gradX), weight.like(gradWeight), bias && channelSums(grad)];
  },
};

// One matrix for the rows (OH, H) and one for the columns (OW, W), which the page gets: out = R x C^T for each map.
export const Resize = {
  forward({ inputs: [x], hyper: { rows, columns }, shape }) {
    return resample(x, rows.data, columns.data, shape);
  },
  backward({ inputs: [x], hyper: { rows, columns } }, grad) {
    const back = [rows, columns].map((matrix) => transposed(matrix.data, ...matrix.shape));
    return [resample(grad, ...back, x.shape)];
  },
};

function resample(x, rows, columns, shape) {
  const [, , height, width] = x.shape, maps = shape[0] * shape[1];
  const tall = weighted(x.data, rows, [maps, height, width], shape[2]);
  return new Tensor(shape, weighted(tall, columns, [maps * shape[2], width, 1], shape[3]));
}

// Each line of `length` elements becomes sums of its elements, weighted by the rows of a matrix (count, length). Most
// weights are 0: their elements are not read, so that NaN stays where it is.
function weighted(data, matrix, [before, length, after], count) {
  const taps = Array.from({ length: count }, (_, row) => {
    const weights = [...matrix.subarray(row * length, (row + 1) * length)];
    return weights.map((weight, j) => [weight, j]).filter(([weight]) => weight);
  });
  const out = new Float32Array(before * count * after);
  for (let i = 0; i < out.length; i++) {
    const first = Math.floor(i / (count * after)) * length, column = i % after;
    let sum = 0;
    for (const [weight, j] of taps[Math.floor(i / after) % count]) sum += weight * data[(first + j) * after + column];
    out[i] = sum;
  }
  return out;
}
