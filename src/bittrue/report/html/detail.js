/** One layer on one target: figures, histogram, where the differences lie, the worst elements, causes and fixes. */

import { drawHistogram, drawParts } from "./charts.js";
import { badge, colour, element, figure, labelOf, place, verdictOf } from "./data.js";
import { markSelected } from "./matrix.js";

/**
 * @typedef {import("./data.js").Facts} Facts
 */

/** @type {{layer: number, target: number}} */
const chosen = { layer: -1, target: 0 };

/** @param {Facts} data */
export function prepareDetail(data) {
  const targets = shownTargets(data);
  const layers = /** @type {HTMLSelectElement} */ (place("layer"));
  const where = /** @type {HTMLSelectElement} */ (place("target"));
  layers.replaceChildren(...data.rows.map((/** @type {Facts} */ row, /** @type {number} */ i) => element("option", { value: i }, labelOf(row))));
  where.replaceChildren(...targets.map(({ target }, i) => element("option", { value: i }, target)));
  const changed = () => showLayer(data, Number(layers.value), Number(where.value));
  layers.addEventListener("change", changed);
  where.addEventListener("change", changed);
  place("previous").addEventListener("click", () => showLayer(data, Math.max(0, chosen.layer - 1), chosen.target));
  place("next").addEventListener("click", () => showLayer(data, Math.min(data.rows.length - 1, chosen.layer + 1), chosen.target));
}

/** @param {Facts} data @returns {Facts[]} */
export function shownTargets(data) {
  return data.targets.filter((/** @type {Facts} */ target) => target.layers.length > 0);
}

/** @param {Facts} data @param {number} layer @param {number} which */
export function showLayer(data, layer, which) {
  const target = shownTargets(data)[which];
  const row = data.rows[layer];
  if (!target || !row) return;
  const other = chosen.target !== which || chosen.layer < 0;
  Object.assign(chosen, { layer, target: which });
  /** @type {HTMLSelectElement} */ (place("layer")).value = String(layer);
  /** @type {HTMLSelectElement} */ (place("target")).value = String(which);
  markSelected(layer, which);
  if (other) {
    place("parts-of").textContent = target.target;
    drawParts(data, target);
  }
  const found = target.layers[layer];
  const verdict = verdictOf(found);
  place("detail-title").replaceChildren(`${labelOf(row)} on ${target.target} `, badge(verdict));
  place("detail-say").textContent = found?.sentence || (found ? "" : "This target has no such tensor.");
  place("detail").hidden = !found;
  if (!found) return;
  place("figures").replaceChildren(...figures(row, found));
  place("causes").replaceChildren(...causes(found));
  drawHistogram(found.ulp_histogram ?? null);
  drawMap(found.map ?? null);
  place("worst").replaceChildren(worst(found));
}

/** @param {Facts} row @param {Facts} layer */
function figures(row, layer) {
  const evidence = layer.evidence;
  /** @type {[string, any][]} */
  const facts = [
    ["layer", `${row.class ?? ""}, ${layer.dtype} [${layer.shape.join(", ")}]`],
    ["different values", `${figure(layer.different_values)} of ${figure(layer.size)}`],
    ["largest |difference|", `${figure(layer.max_abs)} (average ${figure(layer.average_difference)})`],
    ["relative to the largest |value|", `${figure(layer.max_abs_to_scale)} of ${figure(layer.scale)}`],
    ["ULP: median, mean, largest", `${figure(layer.median_ulp)}, ${figure(layer.mean_ulp)}, ${figure(layer.max_ulp)}`],
    ["signal to noise", layer.snr_db == null ? "–" : `${figure(layer.snr_db)} dB`],
    ["NaN, infinities, zeros' signs that differ", `${figure(layer.mismatched_nan)}, ${figure(layer.mismatched_inf)}, ${figure(layer.mismatched_zero_sign)}`],
  ];
  if (layer.float64) facts.push(["largest distance from float64", `${figure(layer.float64.max_abs)} (reference ${figure(layer.reference_float64?.max_abs)})`]);
  if (evidence) {
    facts.push(
      ["own error, largest", `${figure(evidence.own_error.max_abs)} = ${figure(evidence.own_error.bound_share)} of what rounding allows`],
      ["inherited, largest", figure(evidence.inherited.max_abs)],
      ["reference's own error, largest", `${figure(evidence.reference_error.max_abs)} = ${figure(evidence.reference_error.bound_share)} of what rounding allows`],
      ["amplification", `${figure(evidence.amplification.absolute)} absolute, ${figure(evidence.amplification.relative)} relative; values grow ${figure(evidence.amplification.growth)} times`],
      ["outside the rigorous bound", `${figure(evidence.own_error.outside)} of ${figure(layer.size)}`],
    );
  }
  if (layer.no_truth) facts.push(["no float64 answer", layer.no_truth]);
  if (layer.assumes?.length) facts.push(["assumed", layer.assumes.join("; ")]);
  return facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { class: "mono" }, String(value))]);
}

/** @param {Facts} layer */
function causes(layer) {
  return (layer.causes ?? []).map((/** @type {Facts} */ { sentence, proven, proof, fix }) => element(
    "div", { class: `cause${proven ? " proven" : ""}` },
    element("strong", {}, proven ? "Proven: " : "Consistent with: "), sentence,
    element("div", { class: "soft small" }, proof),
    fix ? element("pre", {}, fix) : null,
  ));
}

/** @param {Facts} layer */
function worst(layer) {
  const rows = layer.elements ?? [];
  if (rows.length === 0) return element("p", { class: "soft" }, layer.identical ? "Every bit is the same." : "Not kept in this report.");
  const table = element("table", {}, element("caption", {}, "The elements that differ most, with their bits"));
  const head = element("tr");
  for (const title of ["index", "reference", "candidate", "reference's bits", "candidate's bits"]) head.append(element("th", { scope: "col", class: title === "index" ? "" : "n" }, title));
  const body = element("tbody");
  for (const { index, reference, candidate, reference_bits: ours, candidate_bits: theirs } of rows) {
    body.append(element("tr", {}, element("td", { class: "mono" }, `[${index.join(", ")}]`), ...[reference, candidate, ours, theirs].map((value) => element("td", { class: "n" }, String(value ?? "NaN or infinite")))));
  }
  table.append(element("thead", {}, head), body);
  return element("div", { class: "scroll" }, table);
}

/**
 * Where in the tensor the differences lie: a grid of levels, "." for equal bits, then "0" to "9" by powers of ten.
 *
 * @param {Facts | null} map
 */
function drawMap(map) {
  const box = place("map");
  if (!map) {
    box.replaceChildren(element("p", { class: "soft" }, "No difference to show."));
    return;
  }
  const [rows, columns] = map.size;
  const canvas = /** @type {HTMLCanvasElement} */ (element("canvas", { class: "map", width: columns, height: rows, role: "img", "aria-label": map.words }));
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  const context = canvas.getContext("2d");
  if (!context) return;
  for (let at = 0; at < rows * columns; at++) {
    const level = map.levels[at];
    context.fillStyle = level === "." ? colour("--page") : shade(Number(level));
    context.fillRect(at % columns, Math.floor(at / columns), 1, 1);
  }
  const used = [...new Set([...map.levels].filter((level) => level !== "."))].sort();
  const legend = element("p", { class: "small legend" }, swatch(colour("--page")), "same bits ");
  for (const level of used) legend.append(swatch(shade(Number(level))), `${level === "0" ? "up to " : ""}1e${Number(level) - 9} `);
  box.replaceChildren(canvas, legend, element("p", { class: "soft small" }, `Of the largest |value|; ${map.words}.`));
}

/** From pale to dark, and from yellow to red, so that it reads without colour as well. @param {number} level */
function shade(level) {
  return `hsl(${52 - 5.4 * level} 88% ${82 - 6 * level}%)`;
}

/** @param {string} fill */
function swatch(fill) {
  return element("span", { class: "swatch", style: `background:${fill}` });
}
