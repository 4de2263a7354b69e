// From any picture to what the network takes, as `mcnn predict` does it: the middle cut out, scaled, normalised.

import { readDeepGrey } from "./png.mjs";

const PRECISION = 22; // bits behind the point of the weights, as in Pillow

// For each output pixel: the first input pixel that it reads, and the weights, integers of 2^-22.
function weightsOf(start, end, length, outLength) {
  const scale = (end - start) / outLength, reach = Math.max(scale, 1);
  return Array.from({ length: outLength }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(length, Math.trunc(centre + reach + 0.5));
    const nearness = [];
    for (let j = first; j < last; j++) nearness.push(Math.max(0, 1 - Math.abs((j - centre + 0.5) / reach)));
    const sum = nearness.reduce((a, b) => a + b, 0);
    return { first, weights: nearness.map((weight) => Math.trunc(0.5 + (weight / sum) * 2 ** PRECISION)) };
  });
}

// Scale along one axis; lines (count, length, step): element k of line j is data[j.start + k * step].
function resampled(data, out, taps, { lines, from, to }) {
  for (const [source, target] of lines) {
    taps.forEach(({ first, weights }, i) => {
      let sum = 2 ** (PRECISION - 1);
      for (let k = 0; k < weights.length; k++) sum += data[source + (first + k) * from] * weights[k];
      out[target + i * to] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** PRECISION)));
    });
  }
  return out;
}

// The largest part around the middle with the proportions of the output, [left, top, right, bottom] in pixels.
export function middlePart(width, height, outWidth, outHeight) {
  const wanted = outWidth / outHeight, have = width / height;
  let partWidth = width, partHeight = height;
  if (have > wanted) partWidth = wanted * height;
  else if (have < wanted) partHeight = width / wanted;
  const left = (width - partWidth) / 2, top = (height - partHeight) / 2;
  return [left, top, left + partWidth, top + partHeight];
}

// RGB bytes (height, width, 3) scaled to (outHeight, outWidth, 3).
export function fitted(rgb, width, height, outWidth, outHeight) {
  const [left, top, right, bottom] = middlePart(width, height, outWidth, outHeight);
  let data = rgb;
  if (outWidth !== width || left || right !== width) {
    const lines = [];
    for (let i = 0; i < height * 3; i++) {
      const row = Math.floor(i / 3), colour = i % 3;
      lines.push([row * width * 3 + colour, row * outWidth * 3 + colour]);
    }
    const taps = weightsOf(left, right, width, outWidth);
    data = resampled(data, new Uint8ClampedArray(height * outWidth * 3), taps, { lines, from: 3, to: 3 });
  }
  if (outHeight !== height || top || bottom !== height) {
    const lines = Array.from({ length: outWidth * 3 }, (_, i) => [i, i]), step = outWidth * 3;
    const taps = weightsOf(top, bottom, height, outHeight);
    data = resampled(data, new Uint8ClampedArray(outHeight * step), taps, { lines, from: step, to: step });
  }
  return data;
}

// One channel of grey, as Pillow computes it.
export function greyOf(rgb) {
  return Uint8ClampedArray.from({ length: rgb.length / 3 }, (_, i) =>
    (19595 * rgb[3 * i] + 38470 * rgb[3 * i + 1] + 7471 * rgb[3 * i + 2] + 0x8000) >> 16);
}

// Bytes (H, W, C) as the network takes them: { shape, data } of float32 (1, C, H, W).
export function normalised(pixels, shape, mean, std) {
  const [, channels, height, width] = shape, data = new Float32Array(pixels.length);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < height * width; i++) {
      data[c * height * width + i] = (pixels[i * channels + c] / 255 - mean[c]) / std[c];
    }
  }
  return { shape, data };
}

// The RGB bytes of anything that a canvas can draw, transparent pixels on white.
export function rgbOf(drawable, width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(drawable, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height), rgb = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return rgb;
}

// A picture file as RGB bytes: { rgb, width, height }.
async function decoded(blob) {
  const deep = await readDeepGrey(new Uint8Array(await blob.arrayBuffer()));
  if (deep) return deep;
  const bitmap = await createImageBitmap(blob), { width, height } = bitmap;
  const rgb = rgbOf(bitmap, width, height);
  bitmap.close();
  return { rgb, width, height };
}

// A picture file, or a blob from the clipboard, as bytes (H, W, C) of the size in `shape`.
export async function readPicture(blob, shape) {
  const [, channels, outHeight, outWidth] = shape, { rgb, width, height } = await decoded(blob);
  const pixels = fitted(rgb, width, height, outWidth, outHeight);
  return channels === 3 ? pixels : greyOf(pixels);
}

// Draw bytes (H, W, C) into a canvas, one canvas pixel an image pixel.
export function paintPicture(canvas, pixels, [, channels, height, width]) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
