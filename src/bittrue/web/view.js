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
const MIB = 2 ** 20;

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
  }

  /** @param {string} id */
  #element(id) {
    return /** @type {HTMLElement} */ (this.document.getElementById(id));
  }

  /** @param {string} target */
  begin(target) {
    this.#element("target").textContent = target;
    this.document.title = `${target} – Bittrue`;
  }

  /**
   * Take notice of a frame that goes out.
   *
   * @param {Header} header
   * @param {number} bytes of its payload
   */
  note(header, bytes) {
    if (header.type === "phase") this.#phase(header);
    else if (header.type === "environment") this.#facts(header);
    else if (header.type === "model") this.total = header.bytes;
    else if (header.type === "record") this.#record(header, bytes);
    else if (header.type === "done") this.finished("Finished: everything has been sent");
    else if (header.type === "error") this.failed(header.message);
  }

  /** @param {Header} header */
  #phase({ phase, window, windows }) {
    const several = window !== null && (windows === null || windows > 1);
    const part = several ? ` (part ${window}${windows ? ` of ${windows}` : ""})` : "";
    this.#element("phase").textContent = `${PHASES[phase] ?? phase}${part}`;
    this.#draw();
  }

  /** @param {Header} header */
  #facts({ backend, version, adapter, software }) {
    const facts = [["Backend", backend], ["TensorFlow.js", version]];
    if (adapter !== null) facts.push(["Adapter", software ? `${adapter} (software)` : adapter]);
    const rows = facts.flatMap(([name, value]) => [this.#create("dt", name), this.#create("dd", value)]);
    this.#element("facts").replaceChildren(...rows);
  }

  /** @param {string} tag @param {string} text */
  #create(tag, text) {
    const element = this.document.createElement(tag);
    element.textContent = text;
    return element;
  }

  /** @param {Header} header @param {number} bytes */
  #record({ kind, path }, bytes) {
    this.sent += bytes;
    if (kind === "output") this.outputs += bytes;
    this.layer = `${kind} of ${path.join("/")}`;
    if (performance.now() - this.drawn > PERIOD) this.#draw();
  }

  #draw() {
    this.drawn = performance.now();
    const progress = /** @type {HTMLProgressElement} */ (this.#element("progress"));
    if (this.total) progress.value = Math.min(1, this.outputs / this.total);
    if (this.sent > 0) this.#element("sent").textContent = `${(this.sent / MIB).toFixed(1)} MiB · ${this.layer}`;
  }

  /** @param {string} message */
  finished(message) {
    this.#end("finished", message);
  }

  /** @param {string} message */
  failed(message) {
    this.#end("failed", message);
  }

  /** @param {string} state @param {string} message */
  #end(state, message) {
    this.#draw();
    const { body } = this.document;
    if (body.dataset.state === "failed") return; // what happens after a failure explains nothing
    body.dataset.state = state;
    this.#element("phase").textContent = message;
    const progress = /** @type {HTMLProgressElement} */ (this.#element("progress"));
    progress.value = state === "finished" ? 1 : this.outputs / (this.total || Infinity);
  }
}
