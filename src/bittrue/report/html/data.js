/** The report's data: one object in the page, its tables packed by column names. */

/**
 * @typedef {{[name: string]: any}} Facts
 */

/** @type {{[verdict: string]: string}} the style of each verdict */
export const STYLES = {
  identical: "identical", rounding: "rounding", "no truth": "unknown", approximation: "approximation",
  "reduced precision": "precision", suspicious: "suspicious", "non-finite": "bug", bug: "bug",
  differs: "unknown", failed: "failed", absent: "unknown",
};

/** @returns {Facts} the data of the page */
export function readData() {
  return unpack(JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent ?? "{}"));
}

/**
 * Undo the packing: `{"$": [names], "=": [[values], …]}` is a list of objects; a name that is a list is the name of an
 * object and those of its properties.
 *
 * @param {any} value
 * @returns {any}
 */
export function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value.$)) return value["="].map((/** @type {any[]} */ row) => objectOf(value.$, row));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unpack(item)]));
}

/** @param {any[]} heads @param {any[] | null} row @returns {Facts | null} */
function objectOf(heads, row) {
  if (row === null) return null;
  return Object.fromEntries(heads.map((head, i) => (Array.isArray(head) ? [head[0], objectOf(head.slice(1), row[i])] : [head, unpack(row[i])])));
}

/** A layer's entry in the words of a cell: its verdict, or what the bits say where nothing was diagnosed. @param {Facts | undefined} layer */
export function verdictOf(layer) {
  if (!layer) return "absent";
  return layer.verdict ?? (layer.identical ? "identical" : "differs");
}

/** @param {Facts} layer */
export function labelOf({ name, call, index }) {
  return name + (call ? `#${call}` : "") + (index ? `[${index}]` : "");
}

/** A figure in four significant digits; a dash where there is none. @param {any} value */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en");
  return Math.abs(value) >= 1e6 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/**
 * An element with attributes and children; text is always text, never markup.
 *
 * @param {string} tag
 * @param {Facts} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null) made.append(child);
  return made;
}

/** @param {string} verdict */
export function badge(verdict) {
  return element("span", { class: `badge ${STYLES[verdict] ?? "unknown"}` }, verdict);
}

/** @param {string} id @returns {HTMLElement} */
export function place(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** The colour that a variable of the style sheet has now. @param {string} name */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
