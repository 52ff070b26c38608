/** Everything that the page does once it is there. */

import { METRICS, drawGrowth, drawParts } from "./charts.js";
import { place, readData, verdictOf } from "./data.js";
import { prepareDetail, showLayer, shownTargets } from "./detail.js";
import { drawMatrix, reveal } from "./matrix.js";
import { drawOverview } from "./overview.js";

/**
 * @typedef {import("./data.js").Facts} Facts
 */

const SEVERE = ["identical", "rounding", "no truth", "differs", "approximation", "reduced precision", "suspicious", "non-finite", "bug"];

/** The place that a reader most wants to see: the first fault, else the most serious verdict, else the last layer. @param {Facts} data */
function firstOfInterest(data) {
  let best = { layer: data.rows.length - 1, target: 0, severity: 1 };
  shownTargets(data).forEach((target, which) => target.layers.forEach((/** @type {Facts | null} */ layer, /** @type {number} */ at) => {
    const severity = layer ? SEVERE.indexOf(verdictOf(layer)) : -1;
    if (severity > best.severity) best = { layer: at, target: which, severity };
  }));
  return best;
}

/** @param {Facts} data */
function start(data) {
  if (shownTargets(data).length === 0) return;
  for (const section of document.querySelectorAll("section[hidden]")) /** @type {HTMLElement} */ (section).hidden = false;
  drawMatrix(data, (layer, target) => showLayer(data, layer, target));
  drawOverview(data, shownTargets(data), (layer, target) => {
    showLayer(data, layer, target);
    reveal(layer, target);
  });
  prepareDetail(data);
  const radios = [...document.querySelectorAll('input[name="metric"]')].map((one) => /** @type {HTMLInputElement} */ (one));
  const growth = () => drawGrowth(data, radios.find(({ checked }) => checked)?.value ?? "relative");
  radios.forEach((radio) => radio.addEventListener("change", growth));
  growth();
  const { layer, target } = firstOfInterest(data);
  showLayer(data, layer, target);
  if (layer < data.rows.length - 1) reveal(layer, target);
  place("shown").textContent = `${data.rows.length} layers`;
  const again = () => {
    growth();
    drawParts(data, shownTargets(data)[Number(/** @type {HTMLSelectElement} */ (place("target")).value)]);
    showLayer(data, Number(/** @type {HTMLSelectElement} */ (place("layer")).value), Number(/** @type {HTMLSelectElement} */ (place("target")).value));
  };
  let width = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return; // a phone's address bar comes and goes
    width = document.documentElement.clientWidth;
    again();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  document.documentElement.dataset.ready = String(Object.keys(METRICS).length);
}

start(readData());
