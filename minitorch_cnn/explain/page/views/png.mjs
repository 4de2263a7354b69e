// PNG files of 16 bits a pixel, of which a browser keeps the upper 8; here each becomes the nearest of 0 to 255.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const COLOURS = { 0: "grey", 2: "colour" };

// What a PNG file says of itself, the names of its chunks, and the parts of its compressed lines; null for other files.
function chunksOf(bytes) {
  if (SIGNATURE.some((value, i) => bytes[i] !== value)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset), parts = [], names = new Set();
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    names.add(name);
    if (name === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  return { width, height, depth: bytes[24], kind: COLOURS[bytes[25]], interlaced: bytes[28] > 0, parts, names };
}

async function inflated(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo the filters of PNG: each line begins with the number of its own, which predicts a byte from those before.
function unfiltered(lines, height, length, step) {
  const out = new Uint8Array(height * length);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (length + 1)];
    for (let i = 0; i < length; i++) {
      const left = i < step ? 0 : out[y * length + i - step], above = y ? out[(y - 1) * length + i] : 0;
      const corner = y && i >= step ? out[(y - 1) * length + i - step] : 0;
      const near = [left, above, corner].map((value) => Math.abs(left + above - corner - value));
      const paeth = near[0] <= near[1] && near[0] <= near[2] ? left : near[1] <= near[2] ? above : corner;
      const predicted = [0, left, above, (left + above) >> 1, paeth][filter];
      out[y * length + i] = lines[y * (length + 1) + 1 + i] + predicted;
    }
  }
  return out;
}

// RGB bytes { rgb, width, height } of a grey PNG of 16 bits; null for any other file. Throws for what nobody can read.
export async function readDeepGrey(bytes) {
  const png = chunksOf(bytes);
  if (!png) return null;
  const { width, height, depth, kind, names } = png;
  if (names.has("tRNS") && kind && (depth === 16 || (kind === "grey" && (depth === 2 || depth === 4)))) {
    throw new Error(`a transparent colour of ${depth} bits`);
  }
  if (depth !== 16 || kind !== "grey" || png.interlaced || names.has("eXIf") || names.has("iCCP")) return null;
  const values = unfiltered(await inflated(png.parts), height, 2 * width, 2);
  const rgb = new Uint8ClampedArray(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    rgb.fill(Math.floor((256 * values[2 * i] + values[2 * i + 1] + 128) / 257), 3 * i, 3 * i + 3);
  }
  return { rgb, width, height };
}
