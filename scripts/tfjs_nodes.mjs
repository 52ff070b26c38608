// Which nodes of a graph-model TensorFlow.js's executor of the pinned release knows, read off its own lists:
//
//     node scripts/tfjs_nodes.mjs > src/bittrue/conversion/tfjs/nodes-VERSION.json
//
// Each list is a module beside the executor. `asynchronous` are those for which `execute` refuses to run and sends to
// `executeAsync`, found out by asking it.

import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = join(ROOT, 'node_modules/@tensorflow/tfjs-converter');
const LISTS = join(PACKAGE, 'dist/operations/op_list');
const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const tf = createRequire(join(ROOT, 'package.json'))('@tensorflow/tfjs');

/** @param {string} name of a file */
async function opsIn(name) {
  const text = readFileSync(join(LISTS, name), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
  const { json } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  return json.map((entry) => entry.tfOpName);
}

/** Whether a model of that one node would have to be run by executeAsync. @param {string} op */
async function isAsynchronous(op) {
  const node = [
    { name: 'x', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape: { dim: [] } } } },
    { name: 'y', op, input: ['x', 'x', 'x', 'x', 'x'], attr: {} },
  ];
  try {
    const model = await tf.loadGraphModel({ load: async () => ({ modelTopology: { node, versions: {} }, weightSpecs: [], weightData: new ArrayBuffer(0) }) });
    model.execute({ x: tf.scalar(1) }, ['y']);
    return false;
  } catch (error) {
    return /executeAsync/.test(String(error));
  }
}

console.warn = console.log = () => {}; // Print prints
process.on('unhandledRejection', () => {}); // of nodes that were handed nonsense
const files = readdirSync(LISTS).filter((name) => name.endsWith('.js'));
const ops = [...new Set((await Promise.all(files.map(opsIn))).flat())].sort();
const asynchronous = [];
for (const op of ops) if (await isAsynchronous(op)) asynchronous.push(op);
process.stdout.write(`${JSON.stringify({ tfjs: version, ops, asynchronous }, null, 1)}\n`);
