/** What can go wrong in an agent, and how it is told to the host: one sentence and a code of docs/protocol.md. */

/**
 * @typedef {"backend-fallback" | "backend-unavailable" | "context-lost" | "artifact" | "load" | "predict" | "capture"
 *   | "cancelled" | "memory" | "protocol"} Code
 */

/** An error that the host is told about as it stands. */
export class Failure extends Error {
  /**
   * @param {Code} code
   * @param {string} message one sentence
   * @param {{layer?: string, asked?: string, answered?: string}} [about]
   */
  constructor(code, message, about = {}) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.about = about;
  }
}

const OUT_OF_MEMORY = new RegExp(
  [
    "out of memory", "\\bOOM\\b", "allocation failed", "cannot enlarge memory", "invalid (typed )?array (buffer )?length",
    "requested texture size", "failed to allocate", "can't allocate",
  ].join("|"),
  "i",
);

/** @type {{[phase: string]: Code}} */
const CODE_OF_PHASE = {
  loading: "load",
  building: "load",
  predicting: "predict",
  capturing: "capture",
  sending: "capture",
};

const LONGEST = 2000; // characters of a message; some of TensorFlow.js's quote whole configurations

/**
 * Any thrown value as a Failure: a Failure as it is, anything else by what it says and when it was thrown.
 *
 * @param {unknown} error
 * @param {string} phase
 * @param {string | null} [layer] the layer at work
 * @returns {Failure}
 */
export function toFailure(error, phase, layer = null) {
  if (error instanceof Failure) return error;
  const said = messageOf(error);
  const code = OUT_OF_MEMORY.test(said) ? "memory" : (CODE_OF_PHASE[phase] ?? "protocol");
  return new Failure(code, said, layer === null ? {} : { layer });
}

/**
 * The first line of what an error says, never empty and never too long to send.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  const said = error instanceof Error ? error.message || error.name : (/** @type {any} */ (error)?.message ?? error);
  const line = String(said ?? "").trim().replace(/\s*\n\s*/g, " ");
  return line.slice(0, LONGEST) || "failed without saying why";
}

/**
 * The `error` frame of a failure.
 *
 * @param {Failure} failure
 * @param {string} phase
 */
export function errorFrame(failure, phase) {
  const { layer = null, ...rest } = failure.about;
  return { type: "error", code: failure.code, message: messageOf(failure), phase, layer, ...rest };
}
