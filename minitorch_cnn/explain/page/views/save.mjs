// Any picture of the page as a file: PNG with twice the pixels, or SVG that holds the same pixels as sharp squares.

import { bytesOf } from "./content.mjs";
import { button, choice, make } from "./dom.mjs";

// A copy of a canvas, `scale` times as large, with sharp edges.
function magnified(canvas, scale) {
  const copy = make("canvas", { width: canvas.width * scale, height: canvas.height * scale });
  const context = copy.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, copy.width, copy.height);
  return copy;
}

// The bytes of a PNG of at least 1000 pixels across, with what is drawn over the canvas.
export function pngOf(canvas, over = null) {
  const copy = magnified(canvas, Math.max(1, Math.ceil(1000 / canvas.width)));
  if (over?.width) {
    const context = copy.getContext("2d");
    context.drawImage(over, 0, 0, copy.width, copy.height);
  }
  return bytesOf(copy.toDataURL("image/png").split(",")[1]);
}

// An SVG: rows of equal pixels become rectangles, so that it stays sharp and can be edited.
export function svgOf(canvas, title) {
  const { width, height } = canvas, { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const pixels = new Uint32Array(data.buffer), parts = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width;) {
      const start = x, colour = pixels[y * width + x], at = 4 * (y * width + x);
      while (x < width && pixels[y * width + x] === colour) x++;
      if (!data[at + 3]) continue;
      const hex = [...data.subarray(at, at + 3)].map((part) => part.toString(16).padStart(2, "0")).join("");
      parts.push(`<rect x="${start}" y="${y}" width="${x - start}" height="1" fill="#${hex}"/>`);
    }
  }
  const name = title.replace(/[&<>]/g, "");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" shape-rendering="crispEdges">` +
    `<title>${name}</title>${parts.join("")}</svg>`;
}

function download(content, type, name) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// A menu of pictures, and a button for each kind of file. pictures(): [[name, canvas, what is drawn over it], ...].
export function saveButtons(box, pictures, title) {
  let chosen = pictures()[0][0];
  const found = () => pictures().find(([name]) => name === chosen);
  const file = (ending) => `${title} ${chosen}.${ending}`.toLowerCase().replace(/[^a-z0-9.]+/g, "-");
  box.append(
    choice("picture to save", pictures().map(([name]) => [name, name]), chosen, (name) => { chosen = name; }),
    button("PNG", () => download(pngOf(...found().slice(1)), "image/png", file("png"))),
    button("SVG", () => download(svgOf(found()[1], `${title}: ${chosen}`), "image/svg+xml", file("svg"))),
  );
}
