/** The charts, drawn by uPlot: growth with depth, own against inherited error, ULP histograms. */

import { colour, labelOf, place } from "./data.js";

/**
 * @typedef {import("./data.js").Facts} Facts
 */

/** @type {{[metric: string]: {title: string, of: (layer: Facts) => any, reference: (layer: Facts) => any, band: (layer: Facts) => any}}} */
export const METRICS = {
  absolute: {
    title: "largest |difference|",
    of: (layer) => layer.max_abs,
    reference: (layer) => layer.reference_float64?.max_abs,
    band: (layer) => layer.evidence?.own_error?.allowed,
  },
  relative: {
    title: "largest relative difference",
    of: (layer) => layer.max_abs_to_scale,
    reference: (layer) => layer.reference_float64?.max_abs_to_scale,
    band: (layer) => (layer.scale ? ratio(layer.evidence?.own_error?.allowed, layer.scale) : null),
  },
  ulp: {
    title: "largest distance in ULP",
    of: (layer) => layer.max_ulp,
    reference: (layer) => layer.reference_float64?.max_ulp,
    band: () => null,
  },
};

/** @param {any} value @param {number} scale */
function ratio(value, scale) {
  return typeof value === "number" ? value / scale : null;
}

/** What a logarithmic axis can show. @param {any} value */
function positive(value) {
  return typeof value === "number" && value > 0 && Number.isFinite(value) ? value : null;
}

const DISTINCT = 250; // points that a curve across the page can show one by one

/** @type {Map<string, any>} */
const drawn = new Map();

/**
 * @param {string} id of the place
 * @param {Facts} options
 * @param {any[][]} values
 */
function plot(id, options, values) {
  const box = place(id);
  drawn.get(id)?.destroy();
  box.replaceChildren();
  const width = Math.max(280, box.clientWidth);
  const axes = options.axes.map((/** @type {Facts} */ own) => {
    const line = { stroke: colour("--line"), width: 1, ...(own.values === powers ? { filter: decades } : {}) };
    return { stroke: colour("--soft"), grid: line, ticks: line, ...own };
  });
  const uPlot = /** @type {any} */ (globalThis).uPlot;
  drawn.set(id, new uPlot({ width, height: 300, ...options, axes }, values, box));
}

/** Numbers of a logarithmic axis, powers of ten alone. @param {any} _ @param {(number | null)[]} values */
function powers(_, values) {
  return values.map((value) => {
    if (value === null || value <= 0) return "";
    const exponent = Math.log10(value);
    if (Math.abs(exponent - Math.round(exponent)) > 1e-6) return "";
    return Math.abs(exponent) < 4 ? String(Number(value.toPrecision(1))) : `1e${Math.round(exponent)}`;
  });
}

/** Lines of a logarithmic axis: where it spans many decades, one for each. @param {any} _ @param {(number | null)[]} values */
function decades(_, values) {
  const shown = values.filter((value) => value !== null && value > 0).map((value) => Math.log10(/** @type {number} */ (value)));
  if (Math.max(...shown) - Math.min(...shown) <= 3) return values;
  return values.map((value) => (value !== null && powers(null, [value])[0] ? value : null));
}

/** @param {Facts[]} rows @param {string} title */
function depthAxes(rows, title) {
  const names = rows.map(shortened);
  const narrow = document.documentElement.clientWidth < 600 && names.some((name) => name.length > 9);
  const named = narrow ? rows.map((_, i) => String(i + 1)) : names; // what would be left of a name tells nothing
  const longest = Math.max(...named.map(({ length }) => length));
  return [
    { values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((i) => named[i] ?? ""), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], space: Math.max(70, 8 * longest + 12), label: "layer, in the order of execution" },
    { label: title, values: powers, size: 64 },
  ];
}

/** @param {Facts} row */
function shortened(row) {
  const label = labelOf(/** @type {any} */ (row));
  return label.length > 14 ? `…${label.slice(-13)}` : label;
}

/** How wide a line is that has so many points. @param {number} points */
function widthOf(points) {
  return points > DISTINCT ? 1 : 2;
}

/**
 * Of a curve with more points than a screen can tell apart, each with the largest of its neighbours: the curve's upper edge.
 *
 * @param {(number | null)[]} values
 * @param {number} reach how many neighbours on either side
 */
export function upperEdge(values, reach) {
  if (reach === 0) return values;
  return values.map((_, at) => {
    const near = values.slice(Math.max(0, at - reach), at + reach + 1).filter((value) => value !== null);
    return near.length > 0 ? Math.max(.../** @type {number[]} */ (near)) : null;
  });
}

/**
 * How the difference grows with depth, for every target.
 *
 * @param {Facts} data
 * @param {string} name of the metric
 */
export function drawGrowth(data, name) {
  const metric = METRICS[name];
  const targets = data.targets.filter((/** @type {Facts} */ target) => target.layers.length > 0);
  const layers = targets[0]?.layers ?? [];
  const series = [{ label: "layer", value: (/** @type {any} */ _, /** @type {number | null} */ i) => (i === null ? "–" : labelOf(data.rows[i])) }];
  const values = [data.rows.map((/** @type {any} */ _, /** @type {number} */ i) => i)];
  const reference = layers.map((/** @type {Facts} */ layer) => positive(metric.reference(layer)));
  const band = data.rows.map((/** @type {any} */ _, /** @type {number} */ i) => positive(Math.max(...targets.map((/** @type {Facts} */ target) => metric.band(target.layers[i] ?? {}) ?? 0))));
  const add = (/** @type {Facts} */ one, /** @type {any[]} */ points) => {
    series.push(/** @type {any} */ ({ value: shown, ...one }));
    values.push(points);
  };
  targets.forEach((/** @type {Facts} */ target, /** @type {number} */ i) => {
    add({ label: target.target, stroke: colour(`--t${i % 8}`), width: widthOf(data.rows.length), points: { size: 5 } }, data.rows.map((/** @type {any} */ _, /** @type {number} */ at) => positive(metric.of(target.layers[at] ?? {}))));
  });
  if (reference.some((/** @type {any} */ value) => value !== null)) add({ label: "reference from float64", stroke: colour("--ref"), dash: [6, 4], width: 1.5 }, reference);
  if (band.some((/** @type {any} */ value) => value !== null)) {
    const reach = Math.floor(data.rows.length / DISTINCT);
    const label = reach ? `rounding of one layer allows (most of ${2 * reach + 1})` : "rounding of one layer allows";
    add({ label, stroke: colour("--rounding"), width: 1, fill: `${colour("--rounding")}22`, fillTo: (/** @type {any} */ self) => self.scales.y.min }, upperEdge(band, reach));
  }
  plot("growth", { scales: { x: { time: false }, y: { distr: 3 } }, series, axes: depthAxes(data.rows, metric.title), cursor: { drag: { x: true, y: false } } }, values);
}

/** @param {any} _ @param {number | null} value @param {number} __ @param {number | null} at */
function shown(_, value, __, at) {
  if (at === null || at === undefined) return "–";
  return value === null ? "0" : value.toExponential(2);
}

/**
 * A target's own error of each layer against what it inherited.
 *
 * @param {Facts} data
 * @param {Facts} target
 */
export function drawParts(data, target) {
  const of = (/** @type {(evidence: Facts) => any} */ read) => target.layers.map((/** @type {Facts} */ layer) => (layer?.evidence ? positive(read(layer.evidence)) : null));
  const lines = [
    { label: "own error", stroke: colour("--t1"), points: of((evidence) => evidence.own_error.max_abs) },
    { label: "inherited", stroke: colour("--t0"), points: of((evidence) => evidence.inherited.max_abs) },
    { label: "reference's own error", stroke: colour("--ref"), dash: [6, 4], points: of((evidence) => evidence.reference_error.max_abs) },
  ];
  const series = [{ label: "layer", value: (/** @type {any} */ _, /** @type {number | null} */ i) => (i === null ? "–" : labelOf(data.rows[i])) }, ...lines.map(({ points, ...one }) => ({ value: shown, width: widthOf(data.rows.length), ...one, points: { size: 5 } }))];
  const values = [data.rows.map((/** @type {any} */ _, /** @type {number} */ i) => i), ...lines.map(({ points }) => points)];
  plot("parts", { scales: { x: { time: false }, y: { distr: 3 } }, series, axes: depthAxes(data.rows, "largest |error|") }, values);
}

/**
 * How many elements lie how many ULP apart; bin 0 is equal values, bin k from 2^(k-1) on.
 *
 * @param {number[] | null} histogram
 */
export function drawHistogram(histogram) {
  if (!histogram) {
    place("histogram").replaceChildren("These are no floats: they have no ULP.");
    return;
  }
  const used = Math.max(4, histogram.reduce((last, count, bin) => (count > 0 ? bin : last), 0) + 1);
  const bins = histogram.slice(0, used);
  const label = (/** @type {number} */ bin) => (bin === 0 ? "0" : bin === 1 ? "1" : bin < 12 ? `${2 ** (bin - 1)}…` : `2^${bin - 1}…`);
  const uPlot = /** @type {any} */ (globalThis).uPlot;
  plot("histogram", {
    height: 240,
    scales: { x: { time: false, range: [-0.6, used - 0.4] }, y: { distr: 3, range: (/** @type {any} */ _, /** @type {any} */ __, /** @type {number} */ most) => [0.7, Math.max(2, most * 1.3)] } },
    series: [{ label: "ULP", value: (/** @type {any} */ _, /** @type {number | null} */ bin) => (bin === null ? "–" : label(bin)) }, { label: "elements", stroke: colour("--t0"), fill: `${colour("--t0")}66`, paths: uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false }, value: (/** @type {any} */ _, /** @type {number | null} */ count) => (count === null ? "0" : count.toLocaleString("en")) }],
    axes: [{ values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((bin) => (Number.isInteger(bin) && bin >= 0 && bin < used ? label(bin) : "")), incrs: [1, 2, 4, 8], space: 44, label: "distance in ULP, by powers of two" }, { label: "elements", values: powers, size: 60 }],
  }, [bins.map((_, bin) => bin), bins.map((count) => (count > 0 ? count : null))]);
}
