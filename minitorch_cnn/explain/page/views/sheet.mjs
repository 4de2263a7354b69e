// A sheet to draw on, and the camera: both give a picture as a blob.

import { button } from "./dom.mjs";

const SIDE = 320;

function open(dialog, content, buttons, onClose = () => {}) {
  const row = Object.assign(document.createElement("div"), { className: "buttons" });
  row.append(...buttons, button("close", () => dialog.close()));
  dialog.replaceChildren(content, row);
  dialog.addEventListener("close", onClose, { once: true });
  dialog.showModal();
}

function blobOf(drawable) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const width = drawable.videoWidth ?? drawable.width, height = drawable.videoHeight ?? drawable.height;
  const side = Math.min(width, height);
  canvas.getContext("2d").drawImage(drawable, (width - side) / 2, (height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

// Draw with the mouse, a pen or a finger; `take` gets every stroke's picture at once.
export function openSheet(dialog, take) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  const clear = () => { context.fillStyle = "#fff"; context.fillRect(0, 0, SIDE, SIDE); };
  clear();
  Object.assign(context, { lineWidth: 22, lineCap: "round", lineJoin: "round" });
  const colour = Object.assign(document.createElement("input"), { type: "color", value: "#000000", title: "colour" });
  colour.setAttribute("aria-label", "colour");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    context.strokeStyle = colour.value;
    context.beginPath();
    context.moveTo(event.offsetX, event.offsetY);
    context.lineTo(event.offsetX, event.offsetY);
    context.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    context.lineTo(event.offsetX, event.offsetY);
    context.stroke();
  });
  canvas.addEventListener("pointerup", async () => take(await blobOf(canvas)));
  open(dialog, canvas, [colour, button("clear", clear)]);
}

export async function openCamera(dialog, take) {
  const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true, playsInline: true });
  let stream = null;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const text = `allow this page to use a camera, or open a picture instead; got ${error.message}`;
    open(dialog, Object.assign(document.createElement("p"), { textContent: text }), []);
    return;
  }
  video.srcObject = stream;
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  open(dialog, video, [button("take the picture", async () => {
    const blob = await blobOf(video);
    dialog.close();
    take(blob);
  })], stop);
}
