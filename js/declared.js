/** For the type checker alone: the declarations promise nothing that the code does not do. Not part of the package. */

import * as exact from "../src/bittrue/web/exact/index.js";

/** @type {Pick<typeof import("./index.d.ts"), "load" | "loadInWorker" | "ExactError" | "SEMANTICS">} */
export const declared = exact;
