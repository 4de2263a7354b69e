// Problems of a slide that a program can see.

const ownText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());

function textBoxes(element) {
  const range = document.createRange();
  return [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).flatMap((node) => {
    range.selectNodeContents(node);
    return [...range.getClientRects()];
  });
}

const parts = (colour) => {
  const numbers = colour.match(/[\d.]+/g).map(Number), scale = colour.startsWith("color(") ? 255 : 1;
  return [...numbers.slice(0, 3).map((part) => part * scale), numbers[3] ?? 1];
};

function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map((part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

function background(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return [255, 255, 255, 1];
}

function contrast(element) {
  const style = getComputedStyle(element), svg = element.namespaceURI.endsWith("svg");
  const [light, dark] = [parts(svg ? style.fill : style.color), background(element)].map(luminance).sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function problemsOf(slide) {
  const found = [], stage = slide.getBoundingClientRect(), scale = stage.width / 1280, boxes = [];
  for (const element of slide.querySelectorAll("*")) {
    if (element.matches("input[type=number]") && element.scrollWidth > element.clientWidth + 1) found.push(`clipped ${element.value}`);
    if (!ownText(element) || element.closest("option")) continue;
    const style = getComputedStyle(element), text = element.textContent.trim().slice(0, 40);
    if (parseFloat(style.fontSize) < 18) found.push(`${style.fontSize} "${text}"`);
    if (contrast(element) < 4.5) found.push(`contrast ${contrast(element).toFixed(2)} "${text}"`);
    if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth && style.overflow === "hidden") found.push(`clipped "${text}"`);
    if (element.closest(".scroller, select")) continue;
    for (const box of textBoxes(element)) {
      if (box.right > stage.right + 1 || box.bottom > stage.bottom + 1 || box.left < stage.left - 1) found.push(`outside "${text}"`);
      const other = boxes.find(([b]) => Math.min(b.right, box.right) - Math.max(b.left, box.left) > 3 * scale &&
        Math.min(b.bottom, box.bottom) - Math.max(b.top, box.top) > 6 * scale);
      if (other) found.push(`"${text}" over "${other[1]}"`);
      boxes.push([box, text]);
    }
  }
  const figures = [...slide.querySelectorAll(".figure, .figure canvas, .figure svg, .text")];
  for (const element of figures) {
    const box = element.getBoundingClientRect();
    if (element.closest(".scroller")) continue;
    if (box.bottom > stage.bottom - 30 * scale || box.right > stage.right - 20 * scale) {
      found.push(`${element.className.baseVal ?? element.className} ${element.tagName} reaches the edge`);
    }
  }
  const bottom = Math.max(...[...slide.querySelectorAll(".figure *")].filter((e) => !e.closest("svg, .scroller")).map((e) => e.getBoundingClientRect().bottom));
  if (bottom > stage.bottom - 24 * scale) found.push(`a figure ends ${Math.round((bottom - stage.top) / scale)} px from the top`);
  return found;
}
