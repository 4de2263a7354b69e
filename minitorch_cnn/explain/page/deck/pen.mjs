// A pen to draw on slides with; what it drew goes with the slide.

export class Pen {
  constructor(canvas) {
    this.canvas = canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.line(event, true);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.line(event, false);
    });
  }

  resize() {
    this.canvas.width = window.innerWidth;
    this.canvas.height = window.innerHeight;
  }

  toggle() {
    document.body.classList.toggle("pen");
  }

  line({ clientX, clientY }, begins) {
    const context = this.canvas.getContext("2d");
    const style = { lineWidth: 4, lineCap: "round", lineJoin: "round" };
    Object.assign(context, style, {
      strokeStyle: getComputedStyle(document.documentElement).getPropertyValue("--output"),
    });
    if (begins) {
      context.beginPath();
      context.moveTo(clientX, clientY);
    }
    context.lineTo(clientX, clientY);
    context.stroke();
  }

  clear() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}
