// The lecture: the figures by the names that blocks in Markdown use, and the stage that shows them.

import { serve } from "../views/session.mjs";
import { arithmeticFigure, connectivityFigure, growthFigure } from "./arithmetic.mjs";
import { bankFigure, fieldFigure, filterFigure, filtersFigure, networkFigure, patchesFigure } from "./live.mjs";
import { denseFigure, shortcutsFigure } from "./shortcuts.mjs";
import { Stage } from "./stage.mjs";
import { costsFigure, ladderFigure, layersFigure, transferFigure, variantsFigure } from "./tables.mjs";
import { impulseFigure, poolingFigure, windowFigure } from "./windows.mjs";

const figures = {
  arithmetic: arithmeticFigure,
  bank: bankFigure,
  connectivity: connectivityFigure,
  costs: costsFigure,
  dense: denseFigure,
  field: fieldFigure,
  filter: filterFigure,
  filters: filtersFigure,
  growth: growthFigure,
  impulse: impulseFigure,
  ladder: ladderFigure,
  layers: layersFigure,
  network: networkFigure,
  patches: patchesFigure,
  pooling: poolingFigure,
  shortcuts: shortcutsFigure,
  transfer: transferFigure,
  variants: variantsFigure,
  window: windowFigure,
};

if (typeof document === "undefined") {
  serve(self);
} else {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches,
    find = (id) => document.getElementById(id);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const stage = new Stage(JSON.parse(find("content").textContent), figures, find("script").textContent);
  window.deck = stage; // for a reader's console, and for tests
  stage.ready = stage.start();
}
