// Decodes an artifact's weights with TensorFlow.js's own decodeWeights under Node.
// Reads {tfjs: path of tf.min.js, folder} from standard input; writes {name: {dtype, sha256 of its bytes}}.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';

console.warn = console.log = () => {};
const { tfjs, folder } = JSON.parse(readFileSync(0, 'utf8'));
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(tfjs, 'utf8')); // as a page's script tag does
const { tf } = globalThis;
if (!(await tf.setBackend('cpu'))) throw new Error('no cpu backend');
const { weightsManifest } = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
const found = {};
for (const { paths, weights } of weightsManifest) {
  const bytes = new Uint8Array(Buffer.concat(paths.map((path) => readFileSync(join(folder, path)))));
  for (const [name, tensor] of Object.entries(tf.io.decodeWeights(bytes.buffer, weights))) {
    const data = tensor.dataSync();
    const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    found[name] = { dtype: tensor.dtype, sha256: createHash('sha256').update(raw).digest('hex') };
  }
}
process.stdout.write(JSON.stringify(found));
