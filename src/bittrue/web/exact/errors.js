/** What can go wrong with an exact model: one sentence, and a code for programs. */

/**
 * @typedef {"read" | "damaged" | "plan" | "version" | "input" | "cost" | "memory" | "engine" | "ended"} Code
 *
 * `read`: the file cannot be had; `damaged`: cut short, altered, or no exact model; `plan`: malformed or hostile; `version`:
 * made for another version; `input`: wrong names, shapes, dtypes or values; `cost`: more than `maxCost`; `memory`: more than
 * WebAssembly gives; `engine`: no WebAssembly or no SIMD here; `ended`: the worker was terminated, or died.
 */

export class ExactError extends Error {
  /** @param {Code} code @param {string} message one sentence */
  constructor(code, message) {
    super(message);
    this.name = "ExactError";
    this.code = code;
  }
}

/** @param {unknown} error @returns {string} the first line of what it says */
export function said(error) {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split("\n")[0].slice(0, 300);
}
