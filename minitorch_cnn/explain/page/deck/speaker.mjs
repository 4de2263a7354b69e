// Notes in a second window: for the speaker's own screen, with the time and the title of the next slide.

import { make } from "../views/dom.mjs";

const LOOK =
  "body { font: 22px/1.45 system-ui, sans-serif; margin: 24px; } h1 { font-size: 28px; } " +
  "#next { color: #57606a; } #time { float: right; font-variant-numeric: tabular-nums; }";

export class Speaker {
  constructor(stage) {
    this.stage = stage;
  }

  open() {
    this.screen = window.open("", "notes", "width=720,height=640");
    if (!this.screen) return; // the browser forbids it
    const { document: page } = this.screen;
    page.title = "notes";
    page.head.replaceChildren(page.adoptNode(make("style", { textContent: LOOK })));
    page.onkeydown = (event) => this.stage.key(event);
    this.since ??= performance.now();
    clearInterval(this.clock);
    this.clock = setInterval(() => this.tick(), 1000);
    this.show();
  }

  titleOf(index) {
    return this.stage.slides[index]?.querySelector("h1, h2")?.textContent ?? "";
  }

  show() {
    if (!this.screen || this.screen.closed) return;
    const { index, slides, content } = this.stage,
      { document: page } = this.screen;
    const next = this.titleOf(index + 1);
    page.body.replaceChildren(
      ...[
        make("span", { id: "time" }),
        make("h1", { textContent: `${index + 1} / ${slides.length}  ${this.titleOf(index)}` }),
        make("div", { innerHTML: content.notes[index] }),
        make("p", { id: "next", textContent: next && `\u2192 ${next}` }),
      ].map((element) => page.adoptNode(element)),
    );
    this.tick();
  }

  tick() {
    const place = this.screen?.document?.getElementById("time");
    if (!place) return;
    const seconds = Math.floor((performance.now() - this.since) / 1000);
    place.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}
