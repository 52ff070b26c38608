/**
 * The page that a person opens on a device: it says what is to be run, and begins when its button is pressed.
 *
 * Everything that runs a model is loaded with the button, so that a browser that is too old for it can be told so.
 */

import { View, inUnits } from "./view.js";

/**
 * @typedef {object} Offer  what the host has to run, as `bittrue.runtimes.device.described` says it
 * @property {"idle" | "waiting" | "taken"} state
 * @property {string} session
 * @property {string} host
 * @property {string} target
 * @property {string} backend
 * @property {boolean} half
 * @property {string} model
 * @property {number} layers
 * @property {number} parameters
 * @property {{name: string, shape: number[], dtype: string}[]} inputs
 * @property {number} download
 * @property {number} runs
 * @property {string} version
 */

const PERIOD = 2000; // milliseconds between two questions to the host, while there is nothing to do

/** @type {{[backend: string]: string}} */
const PLACES = {
  webgl: "the graphics processor (WebGL)",
  webgpu: "the graphics processor (WebGPU)",
  wasm: "the processor (WebAssembly)",
  cpu: "the processor (JavaScript)",
  exact: "the processor (the exact runtime)",
};

const view = new View(document);
/** @type {import("./page.js").Connection | null} */
let connection = null;
/** @type {Offer | null} */
let offer = null;
/** Whether the connection was ever there. */
let opened = false;
/** Whether it has gone on by itself to the session after one that a person had started. */
let tried = false;

/**
 * Show a state: what it is called, and a sentence about it.
 *
 * @param {string} state
 * @param {string} title
 * @param {string} [said]
 */
function show(state, title, said = "") {
  const changed = view.element("title").textContent !== title;
  document.body.dataset.state = state;
  view.element("title").textContent = title;
  view.element("said").textContent = said;
  if (changed) view.element("title").focus();
}

/** @returns {Promise<Offer | null>} null where nobody answers any more */
async function ask() {
  try {
    const response = await fetch("offer", { cache: "no-store" });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** Ask until there is something to run here, or nobody to ask. */
async function look() {
  for (;;) {
    offer = await ask();
    if (offer === null) {
      show("gone", "This run is over", "The computer no longer answers at this address. Ask for a new one there.");
      return;
    }
    if (offer.state === "waiting") return propose(offer);
    if (offer.state === "taken") {
      show("taken", "It is already running elsewhere", "Another tab or another device has started this run. Should it leave, this page offers the run again.");
    } else {
      show("idle", "Nothing to run right now", "The computer is at work on something else. This page goes on by itself.");
    }
    await new Promise((resolve) => setTimeout(resolve, PERIOD));
  }
}

/** @param {Offer} found */
function propose(found) {
  const agreed = new URLSearchParams(location.search).get("go") === found.session;
  if (agreed && !tried) {
    tried = true;
    start();
    return;
  }
  show("ready", `Run the model “${found.model}” on this device?`);
  view.list("offer", [
    ["Model", `${count(found.layers, "layer")}, ${count(found.parameters, "parameter")}`],
    ["Runs on", (PLACES[found.backend] ?? found.backend) + (found.half ? ", in half precision" : "")],
    ["Input", found.inputs.map(({ shape, dtype }) => `${shape.join(" × ")} ${dtype}`).join("; ")],
    ["Download", inUnits(found.download)],
    ["Recorded", "What every layer returns, the weights as this browser holds them, and what it says of itself: its version, graphics processor, precision and limits"],
  ]);
  view.element("privacy").textContent =
    `All of it goes to the computer “${found.host}” (${location.hostname}), not encrypted, and nowhere else. Nothing stays on this device.`;
}

/** @param {number} number @param {string} what */
function count(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

/** @type {Promise<void> | null} */
let starting = null;

function start() {
  if (starting === null) starting = connect();
}

async function connect() {
  if (offer === null) return;
  show("running", `Running “${offer.model}”`);
  view.element("phase").textContent = "Connecting";
  keepAwake();
  try {
    const { Connection, socketAddress } = await import("./page.js");
    connection = new Connection(view, socketAddress(`session/${offer.session}/socket`), {
      opened: () => (opened = true),
      stopped,
      lost,
    });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    show("gone", "This browser is too old", "It cannot run what Bittrue runs a model with. Open this address in a newer one.");
  }
}

/** Where the browser allows it, which it does not on a page that is not encrypted. */
function keepAwake() {
  /** @type {any} */ (navigator).wakeLock?.request("screen").catch(() => {});
}

function stopped() {
  const state = document.body.dataset.state;
  if (state === "failed" || state === "cancelled") return;
  show("finished", "Done", `The results are on the computer “${offer?.host ?? ""}”. This page can be closed.`);
  document.title = "Done – Bittrue";
}

/** @param {boolean} over */
async function lost(over) {
  if (!opened) {
    connection = null;
    starting = null;
    await look(); // somebody else was faster, or the run is over
    return;
  }
  const state = document.body.dataset.state;
  if (state === "failed" || state === "cancelled") return;
  if (over) show("finished", "Done", "Everything was sent; the computer has ended the run. This page can be closed.");
  else show("failed", "The connection is lost", "What had arrived is on the computer, which goes on without this device.");
}

async function cancel() {
  await starting;
  await connection?.cancel();
  show("cancelled", "Cancelled", "Nothing more is run here. The computer keeps what had arrived and goes on with its other targets.");
}

/** What a run ended with, seen in the state that the view has set. */
function ended() {
  const state = document.body.dataset.state;
  const said = view.element("phase").textContent ?? "";
  if (state === "finished" && view.element("title").textContent !== "Done") {
    show("sent", "Everything has been sent", "The computer compares it now, and may run something more here.");
  } else if (state === "failed" && view.element("title").textContent?.startsWith("Running")) {
    show("failed", "It failed on this device", said);
  }
}

view.element("start").addEventListener("click", start);
view.element("cancel").addEventListener("click", cancel);
view.element("again").addEventListener("click", () => location.replace(location.pathname));
new MutationObserver(ended).observe(document.body, { attributes: true, attributeFilter: ["data-state"] });
look();
