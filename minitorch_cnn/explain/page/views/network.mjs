// The network from left to right: a card for each layer with its maps, and arcs where a layer reads an earlier one.

import { make } from "./dom.mjs";
import { gridOf, paintGrid, sizeCanvas } from "./paint.mjs";

const WIDTH = 108; // of a card's picture, pixels
const CARD = { most: 16, gap: 1, square: true }; // how maps are laid out on it
const NAMES = {
  input: "image", conv: "conv", full: "fully connected", pool: "pool", resize: "resize", add: "sum",
  product: "product", concat: "concatenation", "": "operation",
};

const asIs = (word) => word;

// Such as "conv 3x3 /2"; `say` translates words.
export function titleOf(layer, say = asIs) {
  return `${say(NAMES[layer.kind])} ${layer.text}`.trim();
}

function sizeText([, ...shape], say) {
  if (shape.length < 2) return `${shape[0]} ${say("numbers")}`;
  return `${shape[0]} ${say(shape[0] === 1 ? "map" : "maps")} ${shape[1]} \u00d7 ${shape[2]}`;
}

// Write the most probable classes into a list, and return the first; `label` is the right class or null.
export function showAnswer(list, probabilities, classes, label, count = 5) {
  const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]).slice(0, count);
  list.replaceChildren(...order.map((i) => {
    const name = make("span", { textContent: classes[i] });
    const item = make("li", {}, name, make("span", { textContent: `${(100 * probabilities[i]).toFixed(1)} %` }));
    item.style.setProperty("--share", `${100 * probabilities[i]}%`);
    item.classList.toggle("right", i === label);
    return item;
  }));
  return order[0];
}

export class NetworkView {
  // shapeOf(layer) gives the shape of what the layer shows; choose(index) is called on a click; `say` translates words.
  constructor(strip, layers, shapeOf, choose, say = asIs) {
    Object.assign(this, { strip, layers });
    this.cards = layers.map((layer, i) => {
      const card = document.createElement("button");
      card.type = "button";
      card.className = "card";
      const canvas = make("canvas");
      sizeCanvas(canvas, gridOf({ shape: shapeOf(layer) }, WIDTH, CARD)); // at once, so that nothing moves later
      card.append(canvas, titleOf(layer, say));
      const texts = { notes: layer.notes.join(", "), path: layer.path, size: sizeText(shapeOf(layer), say) };
      for (const [className, textContent] of Object.entries(texts)) {
        if (textContent) card.append(make("small", { className, textContent }));
      }
      card.addEventListener("click", () => choose(i));
      strip.append(card);
      return card;
    });
    this.visible = new Set();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const index = this.cards.indexOf(target);
        if (!isIntersecting) this.visible.delete(index);
        else if (!this.visible.has(index)) {
          this.visible.add(index);
          this.paintCard(index);
        }
      }
    });
    this.cards.forEach((card) => this.observer.observe(card));
    this.drawLinks();
  }

  // Show other Tensors; tensorOf(layer) may return undefined. Only cards that can be seen are painted.
  show(tensorOf, kind) {
    Object.assign(this, { tensorOf, kind });
    this.visible.forEach((index) => this.paintCard(index));
  }

  paintCard(index) {
    const tensor = this.tensorOf?.(this.layers[index]), canvas = this.cards[index].querySelector("canvas");
    if (tensor) paintGrid(canvas, tensor, this.kind, gridOf(tensor, WIDTH, CARD));
    else Object.assign(canvas, { width: WIDTH, height: 12 });
  }

  mark(index) {
    this.cards.forEach((card, i) => card.setAttribute("aria-current", i === index));
    this.links.forEach(({ path, from, to }) => path.classList.toggle("chosen", from === index || to === index));
  }

  // Colour a card while backward or forward passes through it; null for none.
  play(index) {
    this.cards.forEach((card, i) => card.classList.toggle("playing", i === index));
    if (index !== null) this.reveal(index);
  }

  reveal(index) {
    this.cards[index].scrollIntoView({ inline: "nearest", block: "nearest" });
  }

  drawLinks() {
    const svg = this.strip.querySelector("svg");
    this.links = [];
    this.layers.forEach((layer, to) => {
      for (const from of layer.inputs) {
        if (from === to - 1) continue;
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        svg.append(path);
        this.links.push({ path, from, to });
      }
    });
    this.strip.classList.toggle("linked", this.links.length > 0);
    this.placeLinks();
  }

  // Arcs go from the middle of one card to that of another, above all cards, longer ones higher.
  placeLinks() {
    for (const { path, from, to } of this.links) {
      const [start, end] = [from, to].map((i) => this.cards[i].offsetLeft + this.cards[i].offsetWidth / 2);
      const bottom = 38, top = Math.max(2, 30 - 5 * (to - from));
      path.setAttribute("d", `M${start} ${bottom} C${start} ${top} ${end} ${top} ${end} ${bottom}`);
    }
  }
}
