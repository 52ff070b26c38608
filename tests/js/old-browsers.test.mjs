/** What a phone's browser has to read is no newer than ECMAScript 2020: what it cannot read it cannot even complain of. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../src/bittrue/web/", import.meta.url);

/** Syntax, and the few functions that somebody might reach for, of 2021 and later. */
const NEWER = {
  "a private member": /#[A-Za-z_]\w*\s*[(=;]|\.#[A-Za-z_]/,
  "a logical assignment": /(\?\?|\|\||&&)=/,
  "a numeric separator": /\b\d+_\d/,
  "a class field": /^  (static )?[A-Za-z_]\w* = /m,
  "an await outside of any function": /^(const|let|var)?[^\n]*\bawait\b(?=[^\n]*;$)/m,
  "Array.prototype.at": /\.at\(/,
  "String.prototype.replaceAll": /\.replaceAll\(/,
  "Object.hasOwn": /\.hasOwn\(/,
  "structuredClone": /\bstructuredClone\(/,
};

/** @param {string} text without its comments */
const code = (text) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");

/** @param {string} text */
function newer(text) {
  const lines = code(text);
  return Object.entries(NEWER).filter(([name, pattern]) => {
    const where = name.startsWith("an await") ? lines.split("\n").filter((line) => /^\S/.test(line) && !/^(async|export async)/.test(line)).join("\n") : lines;
    return pattern.test(where);
  }).map(([name]) => name);
}

/** @param {string} entry @returns {Map<string, string>} the modules that it loads, but for those that only some jobs need */
function reached(entry) {
  const found = new Map();
  const waiting = [entry];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    const text = readFileSync(new URL(name, WEB), "utf8");
    found.set(name, text);
    const lines = code(text);
    for (const [, next] of lines.matchAll(/^import [^;]*?"\.\/([^"]+)";/gm)) waiting.push(next);
    if (name === "door.js") for (const [, next] of lines.matchAll(/\bimport\("\.\/([^"]+)"\)/g)) waiting.push(next);
  }
  return found;
}

const modules = reached("door.js");

test("the page of a device loads what runs a model", () => {
  for (const name of ["page.js", "session.js", "job.js", "capture.js", "sha256.js"]) assert.ok(modules.has(name), name);
});

for (const [name, text] of modules) {
  test(`${name} is ECMAScript 2020`, () => assert.deepEqual(newer(text), []));
}

test("what is newer is noticed", () => {
  const samples = ["class A { #x() {} }", "a ??= b;", "const n = 1_000;", "class A {\n  x = 1;\n}", "const a = await b;", "a.at(-1)"];
  for (const sample of samples) assert.equal(newer(sample).length, 1, sample);
});
