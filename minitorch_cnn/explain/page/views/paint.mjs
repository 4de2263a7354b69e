// Numbers as colours: 0 is the paper's colour, positive and negative go to two colours that everybody can tell apart.

const PALETTES = {
  light: { paper: [255, 255, 255], value: [[0, 90, 181], [213, 94, 0]], gradient: [[90, 30, 150], [0, 120, 80]] },
  dark: { paper: [24, 26, 30], value: [[110, 180, 255], [255, 150, 60]], gradient: [[200, 150, 255], [80, 220, 160]] },
};

export function theme() {
  return document.documentElement.dataset.theme === "dark" ? PALETTES.dark : PALETTES.light;
}

// The largest absolute value among finite elements, 1 if there is none, so that it can be divided by.
export function largestOf(data) {
  let largest = 0;
  for (let i = 0; i < data.length; i++) { // a million weights: several times as fast as for ... of
    const size = Math.abs(data[i]);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest || 1;
}

// [r, g, b] of a value between -1 and 1. The square root lets small values be seen.
export function colourOf(share, kind) {
  const { paper, [kind]: [positive, negative] } = theme();
  const ink = share >= 0 ? positive : negative, weight = Math.sqrt(Math.min(Math.abs(share), 1));
  return ink.map((to, i) => Math.round(paper[i] + (to - paper[i]) * weight));
}

export function css([r, g, b]) {
  return `rgb(${r} ${g} ${b})`;
}

// Black or white, whichever has more contrast with a colour: by its relative luminance, as WCAG defines it.
export function inkOn(colour) {
  const [r, g, b] = colour.map((part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// The maps of a Tensor (1, C, H, W) or (1, K): how many, and their size. A vector counts as maps of one element.
export function mapsOf(tensor) {
  const [, channels, height = 1, width = 1] = tensor.shape;
  return { channels, height, width, pixels: height * width };
}

const STEPS = 1023; // of colour between 0 and 1
const tables = new Map();

// The colours of the shares -1, ..., 1 in steps, and red for NaN at the end, four bytes each; made once for each theme.
function colourTable(kind) {
  const key = `${kind} ${theme().paper}`;
  if (!tables.has(key)) {
    const bytes = new Uint8Array(4 * (2 * STEPS + 2)).fill(255);
    for (let i = 0; i <= 2 * STEPS; i++) bytes.set(colourOf((i - STEPS) / STEPS, kind), 4 * i);
    bytes.set([255, 0, 0], 4 * (2 * STEPS + 1));
    tables.set(key, new Uint32Array(bytes.buffer));
  }
  return tables.get(key);
}

// An ImageData of one map, a pixel an element.
function imageOf(tensor, channel, largest, kind) {
  const { height, width, pixels } = mapsOf(tensor), image = new ImageData(width, height);
  const out = new Uint32Array(image.data.buffer), colours = colourTable(kind);
  for (let i = 0; i < pixels; i++) {
    const share = Math.min(Math.max(tensor.data[channel * pixels + i] / largest, -1), 1);
    out[i] = colours[Number.isNaN(share) ? 2 * STEPS + 1 : Math.round(share * STEPS) + STEPS];
  }
  return image;
}

let scratch = null; // made on first use: a Worker has no document

// Draw one map into a rectangle of a canvas, with sharp pixels.
export function paintMap(canvas, tensor, channel, { x, y, width, height, largest, kind }) {
  const maps = mapsOf(tensor);
  scratch ??= document.createElement("canvas");
  scratch.width = maps.width;
  scratch.height = maps.height;
  scratch.getContext("2d").putImageData(imageOf(tensor, channel, largest, kind), 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, x, y, width, height);
}

// How a canvas of a given width is divided among maps: columns, rows, and the size of each cell.
export function gridOf(tensor, width, { most = Infinity, gap = 2, square = false } = {}) {
  const maps = mapsOf(tensor), shown = Math.min(maps.channels, most);
  const least = maps.pixels === 1 ? 14 : 34;
  const wanted = square ? Math.ceil(Math.sqrt(shown)) : Math.ceil(Math.sqrt(shown * 1.3));
  const columns = Math.max(1, square ? wanted : Math.min(wanted, Math.floor(width / least)));
  const side = Math.max(1, Math.min(Math.floor(width / columns) - gap, square ? width : 96));
  const high = Math.max(1, Math.round((side * maps.height) / maps.width));
  return { shown, columns, rows: Math.ceil(shown / columns), side, high, gap };
}

// Give a canvas the size of a grid; returns the screen's pixels for each pixel of the page.
export function sizeCanvas(canvas, grid) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = grid.columns * (grid.side + grid.gap) * ratio;
  canvas.height = grid.rows * (grid.high + grid.gap) * ratio;
  canvas.style.width = `${canvas.width / ratio}px`;
  canvas.style.height = `${canvas.height / ratio}px`;
  return ratio;
}

// Draw maps side by side; all have one scale, so that they can be compared.
export function paintGrid(canvas, tensor, kind, grid) {
  const ratio = sizeCanvas(canvas, grid);
  const largest = largestOf(tensor.data);
  for (let i = 0; i < grid.shown; i++) {
    const x = (i % grid.columns) * (grid.side + grid.gap), y = Math.floor(i / grid.columns) * (grid.high + grid.gap);
    const at = { x: x * ratio, y: y * ratio, width: grid.side * ratio, height: grid.high * ratio };
    paintMap(canvas, tensor, i, { ...at, largest, kind });
  }
}

// A number in few digits, with a real minus sign.
export function short(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text = size >= 10 ** digits ? String(Math.round(value)) : value.toPrecision(digits);
  if (size >= 1e4 || size < 1e-3) text = value.toExponential(1);
  return text.replaceAll("-", "\u2212");
}

// A table cell for a number, in its colour; small ones with one digit, so that columns stay narrow.
export function numberCell(value, largest, kind = "value") {
  const cell = document.createElement("td"), colour = colourOf(value / largest, kind), size = Math.abs(value);
  const tiny = size > 0 && size < 1e-3;
  cell.textContent = tiny ? value.toExponential(0).replaceAll("-", "\u2212") : short(value, size < 0.01 ? 1 : 2);
  cell.style.background = css(colour);
  cell.style.color = inkOn(colour);
  return cell;
}
