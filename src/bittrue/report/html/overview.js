/** A long model at a glance: for each target one bar, from the first layer to the last, in runs of one verdict. */

import { STYLES, element, labelOf, place, verdictOf } from "./data.js";

/**
 * @typedef {import("./data.js").Facts} Facts
 * @typedef {{from: number, to: number, verdict: string}} Stretch
 */

const SHORT = 40; // layers that the table shows well enough
const MANY = 120; // stretches beyond which none is given more room than its layers take
const QUIET = new Set(["identical", "rounding"]);

/**
 * The layers of one target as runs of the same verdict, first to last; identical and rounding are one.
 *
 * @param {(Facts | null)[]} layers
 * @returns {Stretch[]}
 */
export function stretches(layers) {
  /** @type {Stretch[]} */
  const found = [];
  layers.forEach((layer, at) => {
    const verdict = verdictOf(layer ?? undefined);
    const last = found.at(-1);
    if (last && (last.verdict === verdict || (QUIET.has(last.verdict) && QUIET.has(verdict)))) {
      last.to = at;
      if (verdict === "rounding") last.verdict = verdict;
    } else {
      found.push({ from: at, to: at, verdict });
    }
  });
  return found;
}

/**
 * Draw the bars, where the model is long. `select` is called with the layer's place and the target's.
 *
 * @param {Facts} data
 * @param {Facts[]} targets
 * @param {(layer: number, target: number) => void} select
 */
export function drawOverview(data, targets, select) {
  const box = place("overview");
  box.hidden = data.rows.length <= SHORT;
  if (box.hidden) return;
  const rows = targets.map((target, which) => {
    const found = stretches(target.layers);
    const bar = element("div", { class: `stretches${found.length > MANY ? " many" : ""}` });
    const reachable = found.length <= MANY; // by the keyboard; else the table is, and this would only be in the way
    for (const one of found) bar.append(stretch(one, data, reachable, () => select(one.from, which)));
    return element("div", { class: "whole", role: "group", "aria-label": `${target.target}, all layers` }, element("span", { class: "small" }, target.target), bar);
  });
  box.replaceChildren(element("p", { class: "soft small" }, `All ${data.rows.length} layers, from the first to the last; choose a part to go there.`), ...rows);
}

/** @param {Stretch} one @param {Facts} data @param {boolean} reachable @param {() => void} go */
function stretch({ from, to, verdict }, data, reachable, go) {
  const first = labelOf(data.rows[from]);
  const label = from === to ? `${first}: ${verdict}` : `${first} to ${labelOf(data.rows[to])}, ${to - from + 1} layers: ${verdict}`;
  const quiet = QUIET.has(verdict) ? " quiet" : "";
  const button = element("button", { type: "button", class: `${STYLES[verdict] ?? "unknown"}${quiet}`, style: `flex-grow:${to - from + 1}`, title: label, "aria-label": label, tabindex: reachable ? 0 : -1 });
  button.addEventListener("click", go);
  return button;
}
