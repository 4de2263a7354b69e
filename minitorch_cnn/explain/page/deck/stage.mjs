// The stage: which slide is seen, how keys, clicker and address move it, overview, theme, black screen.

import { button, make } from "../views/dom.mjs";
import { pause } from "../views/session.mjs";
import { constantsOf } from "../views/content.mjs";
import { Session } from "../views/session.mjs";
import { Pen } from "./pen.mjs";
import { Speaker } from "./speaker.mjs";

const WIDTH_UPRIGHT = 560,
  WIDTH_STAGE = 1280,
  HEIGHT_STAGE = 720,
  TEXT_END = 680, // where the text of a slide ends
  SMALLEST = 18;
const KEYS = [
  ["\u2192 PageDown Space", "next step or slide"],
  ["\u2190 PageUp", "back"],
  ["Home End", "first and last slide"],
  ["o", "overview"],
  ["s", "speaker notes in a second window"],
  ["f", "full screen"],
  ["b .", "black screen"],
  ["p", "pen"],
  ["e", "erase what the pen drew"],
  ["t", "light and dark"],
  ["Esc", "leave a figure"],
  ["?", "this list"],
];

// Set a long heading above a figure, and a long text, in smaller letters, but no smaller than 18 pixels; what is still
// longer scrolls below the heading.
function fit(slide) {
  const text = slide.querySelector(".text"),
    heading = text.firstElementChild;
  const shrink = (element, from, tooLarge) => {
    for (let size = from; size >= SMALLEST && tooLarge(); size--) element.style.fontSize = `${size}px`;
  };
  shrink(heading, 39, () => slide.matches(".with-figure") && heading.offsetHeight > 74);
  const tooLong = () => text.offsetTop + text.scrollHeight > TEXT_END;
  shrink(text, 21, tooLong);
  if (!tooLong()) return;
  const rest = make("div", { className: "long", tabIndex: 0 });
  rest.append(...[...text.children].slice(1));
  text.append(rest);
  const top = rest.offsetTop + (rest.offsetParent === text ? text.offsetTop : 0);
  rest.style.maxHeight = `${TEXT_END - top}px`;
}

export class Stage {
  constructor(content, figures, source) {
    Object.assign(this, { content, figures, source, index: 0, step: 0 });
    this.said = new Set(); // all words that figures have asked for
    this.slides = [...document.querySelectorAll(".slide")];
    this.pen = new Pen(document.getElementById("ink"));
    this.speaker = new Speaker(this);
  }

  // A word of the page in the language of the deck.
  say(word) {
    this.said.add(word);
    return this.content.words[word] ?? word;
  }

  // A network by its name, with its weights; all figures that show it share them.
  network(name) {
    const network = this.content.networks[name];
    network.constants ??= constantsOf(network);
    return network;
  }

  // A network at work; each figure has its own.
  async session(name) {
    const network = this.network(name), session = new Session(network.graph, network.constants, this.source);
    await session.start();
    return session;
  }

  async start() {
    this.listen();
    this.read();
    this.built = this.slides.map(() => false);
    await this.build(this.index);
    await Promise.allSettled([...document.images].map((image) => image.decode())); // their heights count
    document.body.classList.remove("upright"); // there slides scroll
    this.slides.forEach(fit);
    this.scale();
    for (const [i] of this.slides.entries()) {
      await pause(0);
      await this.build(i);
    }
  }

  // Make the figures of a slide, once.
  async build(index) {
    if (this.built[index]) return;
    this.built[index] = true;
    const boxes = this.slides[index].querySelectorAll(".figure");
    await Promise.all(
      this.content.figures[index].map(async ({ name, arguments: given, more }, i) => {
        try {
          await this.figures[name](boxes[i], given, this, more);
        } catch (error) {
          boxes[i].textContent = `figure ${name}: ${error.message}`;
          reportError(error); // not thrown: the figures of later slides have to be made, too
        }
      }),
    );
  }

  get steps() {
    return [...this.slides[this.index].querySelectorAll(".steps li")];
  }

  // Show a slide; `step` is how many items of its list can be seen.
  show(index, step = 0) {
    this.index = Math.max(0, Math.min(this.slides.length - 1, index));
    this.step = Math.min(step, this.steps.length);
    this.slides.forEach((slide, i) => slide.classList.toggle("current", i === this.index));
    this.steps.forEach((item, i) => item.classList.toggle("later", i >= this.step));
    const count = document.getElementById("count");
    count.textContent = `${this.index + 1} / ${this.slides.length}`;
    if (window.location.hash !== `#/${this.index + 1}`) window.history.replaceState(null, "", `#/${this.index + 1}`);
    this.pen.clear();
    this.speaker.show();
  }

  next() {
    if (this.step < this.steps.length) this.show(this.index, this.step + 1);
    else if (this.index < this.slides.length - 1) this.show(this.index + 1);
  }

  back() {
    if (this.step > 0) this.show(this.index, this.step - 1);
    else if (this.index > 0) this.show(this.index - 1, Infinity);
  }

  // The address may name a slide: #/12.
  read() {
    const found = /^#\/(\d+)$/.exec(window.location.hash);
    this.show(found ? Number(found[1]) - 1 : 0);
  }

  // The stage fills the window; on a phone held upright, its width.
  scale() {
    // Not innerWidth: on a phone that is the width of all that is laid out, before it is scaled.
    const { clientWidth: width, clientHeight: height } = document.documentElement;
    const upright = width < 0.8 * height;
    document.body.classList.toggle("upright", upright);
    if (upright) {
      document.getElementById("stage").style.transform = `scale(${width / WIDTH_UPRIGHT})`;
      this.pen.resize();
      return;
    }
    const factor = Math.min(width / WIDTH_STAGE, height / HEIGHT_STAGE);
    const left = (width - factor * WIDTH_STAGE) / 2,
      top = (height - factor * HEIGHT_STAGE) / 2;
    document.getElementById("stage").style.transform = `translate(${left}px, ${top}px) scale(${factor})`;
    this.pen.resize();
  }

  setTheme(name) {
    document.documentElement.dataset.theme = name;
    document.dispatchEvent(new Event("themechange"));
  }

  overview(on = !document.body.classList.contains("overview")) {
    document.body.classList.toggle("overview", on);
    if (on) this.slides[this.index].scrollIntoView({ block: "nearest" });
    else window.scrollTo(0, 0);
  }

  help() {
    const box = document.getElementById("help"),
      table = make("table");
    for (const [keys, text] of KEYS) {
      const row = table.insertRow();
      row.append(make("th", { textContent: keys, scope: "row" }), make("td", { textContent: this.say(text) }));
    }
    box.replaceChildren(
      table,
      button(this.say("close"), () => box.close()),
    );
    box.showModal();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  }

  black() {
    const cover = document.getElementById("black");
    cover.hidden = !cover.hidden;
  }

  listen() {
    this.scale();
    window.addEventListener("resize", () => this.scale());
    window.addEventListener("hashchange", () => this.read());
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("beforeprint", () => document.body.classList.remove("upright", "overview"));
    window.addEventListener("afterprint", () => this.scale());
    for (const name of ["next", "back"]) {
      const made = document.getElementById(name);
      made.addEventListener("click", ({ detail }) => {
        this[name]();
        if (detail) made.blur(); // after the mouse, the keys belong to the slides again
      });
    }
    this.slides.forEach((slide, i) =>
      slide.addEventListener("click", () => {
        if (!document.body.classList.contains("overview")) return;
        this.overview(false);
        this.show(i);
      }),
    );
  }

  // A figure keeps the keys that it uses; PageUp and PageDown, which a clicker sends, always move the deck.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
    const inFigure = event.target.closest?.(".figure, .long, #walk"),
      typing = event.target.matches?.("input, select, textarea");
    if (event.key === "Escape") {
      document.activeElement?.blur();
      this.overview(false);
    }
    const action = {
      PageDown: () => this.next(),
      PageUp: () => this.back(),
      ...(inFigure
        ? {}
        : {
            " ": () => this.next(),
            ArrowRight: () => this.next(),
            ArrowDown: () => this.next(),
            ArrowLeft: () => this.back(),
            ArrowUp: () => this.back(),
            Home: () => this.show(0),
            End: () => this.show(Infinity),
            Enter: () => this.overview(false),
          }),
      ...(typing
        ? {}
        : {
            o: () => this.overview(),
            s: () => this.speaker.open(),
            f: () => this.fullScreen(),
            b: () => this.black(),
            ".": () => this.black(),
            p: () => this.pen.toggle(),
            e: () => this.pen.clear(),
            t: () => this.setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
            "?": () => this.help(),
          }),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
