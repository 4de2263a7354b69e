// Cross-correlation of images with filters, as products of matrices.
//
// The image becomes a matrix "columns" (C*KH*KW, OH*OW), each column the window of one output position (im2col). Then
//   out = weight x columns,  grad_columns = weight^T x grad_out,  grad_weight = grad_out x columns^T.

import { matmul, transposed } from "./matmul.mjs";
import { Tensor } from "./tensor.mjs";

// Call visit(index in columns, index in the image) for every element of a window that lies inside the image.
function forWindows([channels, height, width], size, { stride, padding, dilation }, visit) {
  const { kernel: [KH, KW], out: [OH, OW] } = size, [top, , left] = padding;
  for (let row = 0; row < channels * KH * KW; row++) { // c, u, v in one index
    const v = row % KW, u = Math.floor(row / KW) % KH, c = Math.floor(row / (KW * KH));
    for (let i = 0; i < OH; i++) {
      const y = i * stride[0] + u * dilation[0] - top;
      if (y < 0 || y >= height) continue;
      const line = (c * height + y) * width, columns = (row * OH + i) * OW;
      for (let j = 0; j < OW; j++) {
        const x = j * stride[1] + v * dilation[1] - left;
        if (x >= 0 && x < width) visit(columns + j, line + x);
      }
    }
  }
}

// The share of one image and one group of channels in all arrays of a convolution.
function* shares(x, weight, out) {
  const groups = x.shape[1] / weight.shape[1];
  const image = [weight.shape[1], x.shape[2], x.shape[3]];
  const pixels = out.shape[2] * out.shape[3], filters = weight.shape[0] / groups;
  const depth = weight.shape[1] * weight.shape[2] * weight.shape[3];
  const inside = image[0] * image[1] * image[2];
  for (let n = 0; n < x.shape[0]; n++) {
    for (let g = 0; g < groups; g++) {
      yield {
        image, pixels, filters, depth,
        x: [(n * groups + g) * inside, (n * groups + g + 1) * inside],
        weight: [g * filters * depth, (g + 1) * filters * depth],
        out: [(n * groups + g) * filters * pixels, (n * groups + g + 1) * filters * pixels],
        size: { kernel: weight.shape.slice(2), out: out.shape.slice(2) },
      };
    }
  }
}

function columnsOf(x, share, hyper) {
  const columns = new Float32Array(share.depth * share.pixels), image = x.data.subarray(...share.x);
  forWindows(share.image, share.size, hyper, (column, pixel) => { columns[column] = image[pixel]; });
  return columns;
}

function addToGradient(into, from) {
  for (let i = 0; i < into.length; i++) into[i] += from[i];
}

export const Conv2d = {
  forward({ inputs: [x, weight, bias], hyper, shape }) {
    const out = new Tensor(shape);
    for (const share of shares(x, weight, out)) {
      const columns = columnsOf(x, share, hyper);
      const filters = weight.data.subarray(...share.weight);
      matmul(filters, columns, share.filters, share.depth, share.pixels, out.data.subarray(...share.out));
    }
    if (bias) {
      const pixels = shape[2] * shape[3];
      for (let i = 0; i < out.data.length; i++) out.data[i] += bias.data[Math.floor(i / pixels) % shape[1]];
    }
    return out;
  },

  backward({ inputs: [x, weight, bias], hyper }, grad) {
    const gradX = new Tensor(x.shape), gradWeight = new Tensor(weight.shape);
    for (const share of shares(x, weight, grad)) {
      const { filters, depth, pixels } = share;
      const part = grad.data.subarray(...share.out);
      const rows = transposed(columnsOf(x, share, hyper), depth, pixels);
      addToGradient(gradWeight.data.subarray(...share.weight), matmul(part, rows, filters, pixels, depth));
      const across = transposed(weight.data.subarray(...share.weight), filters, depth);
      const gradColumns = matmul(across, part, depth, filters, pixels);
      const image = gradX.data.subarray(...share.x);
      forWindows(share.image, share.size, hyper, (column, pixel) => { image[pixel] += gradColumns[column]; });
    }
    return [gradX, gradWeight, bias && channelSums(grad)];
  },
};

// The input gradient of a convolution as an operation: what is x here is the gradient of the output there.
export const ConvTranspose2d = {
  forward({ inputs: [x, weight, bias], hyper, shape }) {
    const [out] = Conv2d.backward({ inputs: [new Tensor(shape), weight, null], hyper }, x);
    const pixels = shape[2] * shape[3];
    if (bias) out.data.forEach((value, i) => { out.data[i] = value + bias.data[Math.floor(i / pixels) % shape[1]]; });
    return out;
  },

  backward({ inputs: [x, weight, bias], hyper }, grad) {
    const gradX = Conv2d.forward({ inputs: [grad, weight, null], hyper, shape: x.shape });
    const [, gradWeight] = Conv2d.backward({ inputs: [grad, weight, null], hyper }, x);
    return [gradX, gradWeight, bias && channelSums(grad)];
  },
};

// The sum over images and pixels of each channel of (N, C, H, W).
export function channelSums(grad) {
  const [, channels, ...size] = grad.shape;
  const pixels = size.reduce((product, length) => product * length, 1), sums = new Float64Array(channels);
  for (let i = 0; i < grad.data.length; i++) sums[Math.floor(i / pixels) % channels] += grad.data[i];
  return new Tensor([channels], Float32Array.from(sums));
}
