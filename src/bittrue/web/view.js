/** The page as a person sees it: what is run, how far it is, and how it ended. */

/** @typedef {import("./types.js").Header} Header */

/** @type {{[phase: string]: string}} */
const PHASES = {
  loading: "Loading TensorFlow.js and the model",
  building: "Building the model",
  predicting: "Predicting",
  capturing: "Capturing every layer",
  sending: "Sending tensors",
};

const PERIOD = 250; // milliseconds between two updates of the figures; drawing takes from what computes and sends
const MEMORY = 2000; // milliseconds over which a rate is taken
const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** @param {number} bytes @returns {string} for people */
export function inUnits(bytes) {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 2 ** (10 * unit);
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export class View {
  /** @param {Document} document */
  constructor(document) {
    this.document = document;
    this.sent = 0;
    this.outputs = 0;
    /** Bytes of outputs to come, if known. @type {number | null} */
    this.total = null;
    this.layer = "";
    this.drawn = 0;
    /** What was sent when. @type {[when: number, bytes: number][]} */
    this.marks = [];
  }

  /** @param {string} id */
  element(id) {
    return /** @type {HTMLElement} */ (this.document.getElementById(id));
  }

  /** @param {string} target */
  begin(target) {
    this.element("target").textContent = target;
    this.document.title = `${target} – Bittrue`;
  }

  /**
   * Take notice of a frame that goes out.
   *
   * @param {Header} header
   * @param {number} bytes of its payload
   */
  note(header, bytes) {
    if (header.type === "phase") this.phase(header);
    else if (header.type === "environment") this.facts(header);
    else if (header.type === "model") this.total = header.bytes;
    else if (header.type === "record") this.record(header, bytes);
    else if (header.type === "done") this.finished("Finished: everything has been sent");
    else if (header.type === "error" && header.code === "cancelled") this.end("cancelled", "Cancelled");
    else if (header.type === "error") this.failed(header.message);
  }

  /** @param {Header} header */
  phase({ phase, window, windows }) {
    const several = window !== null && (windows === null || windows > 1);
    const part = several ? ` (part ${window}${windows ? ` of ${windows}` : ""})` : "";
    this.element("phase").textContent = `${PHASES[phase] ?? phase}${part}`;
    this.draw();
  }

  /** @param {Header} header */
  facts({ backend, version, adapter, software }) {
    /** @type {[string, string][]} */
    const facts = [["Backend", backend], ["TensorFlow.js", version]];
    if (adapter !== null) facts.push(["Adapter", software ? `${adapter} (software)` : adapter]);
    this.list("facts", facts);
  }

  /** @param {string} id of a description list @param {[string, string][]} facts */
  list(id, facts) {
    const rows = facts.flatMap(([name, value]) => [this.create("dt", name), this.create("dd", value)]);
    this.element(id).replaceChildren(...rows);
  }

  /** @param {string} tag @param {string} text */
  create(tag, text) {
    const element = this.document.createElement(tag);
    element.textContent = text;
    return element;
  }

  /** @param {Header} header @param {number} bytes */
  record({ kind, path }, bytes) {
    this.sent += bytes;
    if (kind === "output") this.outputs += bytes;
    this.layer = `${kind} of ${path.join("/")}`;
    if (performance.now() - this.drawn > PERIOD) this.draw();
  }

  draw() {
    this.drawn = performance.now();
    const progress = /** @type {HTMLProgressElement} */ (this.element("progress"));
    if (this.total) progress.value = Math.min(1, this.outputs / this.total);
    if (this.sent === 0) return;
    this.marks = [...this.marks.filter(([when]) => this.drawn - when < MEMORY), [this.drawn, this.sent]];
    this.element("sent").textContent = [inUnits(this.sent), this.rate(), this.layer].filter(Boolean).join(" · ");
  }

  /** Of the last moments; empty where there were none. */
  rate() {
    const [since, before] = this.marks[0];
    const seconds = (this.drawn - since) / 1000;
    return seconds > 0 && this.sent > before ? `${inUnits((this.sent - before) / seconds)}/s` : "";
  }

  /** @param {string} message */
  finished(message) {
    this.end("finished", message);
  }

  /** @param {string} message */
  failed(message) {
    this.end("failed", message);
  }

  /** @param {string} state @param {string} message */
  end(state, message) {
    this.draw();
    const { body } = this.document;
    if (["failed", "cancelled"].includes(body.dataset.state ?? "")) return; // what happens after it explains nothing
    body.dataset.state = state;
    this.element("phase").textContent = message;
    const progress = /** @type {HTMLProgressElement} */ (this.element("progress"));
    progress.value = state === "finished" ? 1 : this.outputs / (this.total || Infinity);
  }
}
