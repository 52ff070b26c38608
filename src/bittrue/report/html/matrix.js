/** Targets by layers, coloured by verdict, with the model's graph as lanes beside the layers' names. */

import { STYLES, element, figure, labelOf, place, verdictOf } from "./data.js";

/**
 * @typedef {import("./data.js").Facts} Facts
 */

const HEIGHT = 28; // of a row, as in the style sheet
const STEP = 14;
const MOST_LANES = 12;

/**
 * The table. `select` is called with the layer's place and the target's.
 *
 * @param {Facts} data
 * @param {(layer: number, target: number) => void} select
 */
export function drawMatrix(data, select) {
  const targets = data.targets.filter((/** @type {Facts} */ target) => target.layers.length > 0);
  const table = place("matrix");
  const head = element("tr", {}, element("th", { scope: "col", "aria-label": "Graph" }), element("th", { scope: "col" }, "Layer"));
  targets.forEach((/** @type {Facts} */ target) => head.append(element("th", { scope: "col" }, target.target)));
  const lanes = lanesOf(data.rows, data.edges);
  const body = element("tbody");
  data.rows.forEach((/** @type {Facts} */ row, /** @type {number} */ at) => {
    const line = element("tr", { "data-name": labelOf(row).toLowerCase() });
    const cell = element("td", { class: "lanes" });
    cell.append(drawLanes(lanes[at], worstOf(targets, at)));
    line.append(cell, element("th", { scope: "row", title: `${labelOf(row)} (${row.class ?? ""})` }, labelOf(row), " ", element("span", { class: "soft small" }, row.class ?? "")));
    targets.forEach((/** @type {Facts} */ target, /** @type {number} */ which) => line.append(cellOf(target, at, which, select)));
    body.append(line);
  });
  table.replaceChildren(element("caption", {}, "Choose a cell for its evidence; arrow keys move."), element("thead", {}, head), body);
  table.addEventListener("keydown", move);
  place("only").addEventListener("change", () => filter(targets));
  place("find").addEventListener("input", () => filter(targets));
}

/** @param {Facts} target @param {number} at @param {number} which @param {(layer: number, target: number) => void} select */
function cellOf(target, at, which, select) {
  const layer = target.layers[at];
  const verdict = verdictOf(layer);
  const own = layer?.evidence?.own_error?.max_ulp;
  const ulp = own != null ? `, own ${figure(own)} ULP` : layer?.max_ulp != null ? `, ${figure(layer.max_ulp)} ULP` : "";
  const text = layer ? verdict + (layer.identical ? "" : ulp) : "no tensor";
  const button = element("button", { type: "button", tabindex: at === 0 && which === 0 ? 0 : -1 }, text);
  button.addEventListener("click", () => select(at, which));
  button.addEventListener("focus", () => button.setAttribute("tabindex", "0"));
  return element("td", { class: `cell ${STYLES[verdict] ?? "unknown"}`, "aria-selected": "false" }, button);
}

/** Mark the chosen cell. @param {number} layer @param {number} target */
export function markSelected(layer, target) {
  for (const cell of document.querySelectorAll('#matrix [aria-selected="true"]')) cell.setAttribute("aria-selected", "false");
  document.querySelectorAll("#matrix tbody tr")[layer]?.querySelectorAll("td.cell")[target]?.setAttribute("aria-selected", "true");
}

/** Scroll the table, and nothing else, to a cell. @param {number} layer @param {number} target */
export function reveal(layer, target) {
  const line = /** @type {HTMLElement | undefined} */ (document.querySelectorAll("#matrix tbody tr")[layer]);
  const cell = /** @type {HTMLElement | undefined} */ (line?.querySelectorAll("td.cell")[target]);
  const name = /** @type {HTMLElement | null | undefined} */ (line?.querySelector("th"));
  const box = place("matrix").parentElement;
  if (!line || !cell || !name || !box) return;
  box.scrollTop = line.offsetTop - box.clientHeight / 2;
  // Its end at the right edge, unless its beginning would then lie under the names, which stay at the left.
  box.scrollLeft = Math.min(cell.offsetLeft + cell.offsetWidth - box.clientWidth, cell.offsetLeft - name.offsetWidth);
}

/** @param {KeyboardEvent} event */
function move(event) {
  const cell = /** @type {HTMLElement} */ (event.target).closest("td.cell");
  const line = /** @type {HTMLElement | null} */ (cell?.parentElement);
  if (!cell || !line) return;
  const column = [...line.children].indexOf(cell);
  const visible = [...document.querySelectorAll("#matrix tbody tr:not([hidden])")];
  const row = visible.indexOf(line);
  /** @type {{[key: string]: Element | undefined}} */
  const next = {
    ArrowDown: visible[row + 1]?.children[column], ArrowUp: visible[row - 1]?.children[column],
    ArrowRight: line.children[column + 1], ArrowLeft: line.children[column - 1],
    Home: visible[0]?.children[column], End: visible.at(-1)?.children[column],
  };
  const button = /** @type {HTMLElement | null | undefined} */ (next[event.key]?.querySelector("button"));
  if (!button) return;
  event.preventDefault();
  button.focus();
  button.click();
}

/** @param {Facts[]} targets */
function filter(targets) {
  const only = /** @type {HTMLInputElement} */ (place("only")).checked;
  const sought = /** @type {HTMLInputElement} */ (place("find")).value.trim().toLowerCase();
  let shown = 0;
  document.querySelectorAll("#matrix tbody tr").forEach((line, at) => {
    const quiet = targets.every(({ layers }) => ["identical", "rounding"].includes(verdictOf(layers[at])));
    const hidden = (only && quiet) || !(/** @type {HTMLElement} */ (line).dataset.name ?? "").includes(sought);
    /** @type {HTMLElement} */ (line).hidden = hidden;
    if (!hidden) shown++;
  });
  place("shown").textContent = `${shown} layers`;
}

const ORDER = ["identical", "rounding", "no truth", "differs", "approximation", "reduced precision", "suspicious", "non-finite", "bug"];

/** The most serious verdict of a layer. @param {Facts[]} targets @param {number} at */
function worstOf(targets, at) {
  const found = targets.map(({ layers }) => verdictOf(layers[at]));
  return found.sort((a, b) => ORDER.indexOf(b) - ORDER.indexOf(a))[0] ?? "absent";
}

/**
 * @typedef {object} Lane
 * @property {number} at  the lane of the layer itself
 * @property {[from: number, to: number][]} above  lines from the row's top to its middle
 * @property {[from: number, to: number][]} below  lines from its middle, or passing by, to its bottom
 */

/**
 * Lanes as version control draws history: a lane is held from the layer that produces a tensor to its last reader.
 *
 * @param {Facts[]} rows
 * @param {number[][]} edges for each row the rows that it reads
 * @returns {Lane[]}
 */
export function lanesOf(rows, edges) {
  const last = rows.map((_, at) => at);
  edges.forEach((from, at) => from.forEach((source) => (last[source] = Math.max(last[source], at))));
  /** @type {(number | null)[]} which row's tensor each lane carries */
  const held = [];
  return rows.map((_, at) => {
    const before = held.slice();
    const read = edges[at].map((source) => before.indexOf(source)).filter((lane) => lane >= 0);
    held.forEach((source, lane) => {
      if (source !== null && last[source] <= at) held[lane] = null;
    });
    const free = held.indexOf(null);
    const own = free >= 0 ? free : held.length;
    held[own] = last[at] > at ? at : null;
    const passing = before.flatMap((source, lane) => (source !== null && held[lane] === source && lane !== own ? [lane] : []));
    return {
      at: own,
      above: [...read.map((lane) => /** @type {[number, number]} */ ([lane, own])), ...passing.map((lane) => /** @type {[number, number]} */ ([lane, lane]))],
      below: [...passing.map((lane) => /** @type {[number, number]} */ ([lane, lane])), ...(held[own] === at ? [/** @type {[number, number]} */ ([own, own])] : [])],
    };
  });
}

/** @param {Lane} lane @param {string} verdict */
function drawLanes({ at, above, below }, verdict) {
  const space = "http://www.w3.org/2000/svg";
  const most = Math.min(MOST_LANES, Math.max(at, ...above.flat(), ...below.flat()) + 1);
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("width", String(most * STEP + 8));
  svg.setAttribute("height", String(HEIGHT));
  svg.setAttribute("aria-hidden", "true");
  const x = (/** @type {number} */ lane) => 8 + Math.min(lane, MOST_LANES - 1) * STEP;
  const draw = (/** @type {string} */ path) => {
    const line = document.createElementNS(space, "path");
    line.setAttribute("class", "lane");
    line.setAttribute("d", path);
    svg.append(line);
  };
  const middle = HEIGHT / 2;
  for (const [from, to] of above) draw(`M${x(from)} 0C${x(from)} ${middle / 2} ${x(to)} ${middle / 2} ${x(to)} ${middle}`);
  for (const [from, to] of below) draw(`M${x(from)} ${middle}L${x(to)} ${HEIGHT}`);
  const node = document.createElementNS(space, "circle");
  node.setAttribute("cx", String(x(at)));
  node.setAttribute("cy", String(middle));
  node.setAttribute("r", "4");
  node.setAttribute("class", `node ${STYLES[verdict] ?? "unknown"}`);
  node.setAttribute("stroke", "currentColor");
  svg.append(node);
  return svg;
}
