// What the layers of the bundled TensorFlow.js read of their configuration, found out from the classes themselves:
//
//     node scripts/tfjs_keys.mjs [FOLDER WITH tf.min.js] > src/bittrue/conversion/tfjs/keys-VERSION.json
//
// Every layer in the serialization registry is built from a configuration that notes which keys are asked for. Where
// that fails, values are tried for the keys it asked for until it works; then every key is given every sample, which
// shows what is read only now and then, and which values the constructor rejects. Names are written as in model.json.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInThisContext } from 'node:vm';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const folder = process.argv[2] ?? join(ROOT, 'src/bittrue/_vendor/tfjs', devDependencies['@tensorflow/tfjs']);

// Values that options of Keras take; what a constructor makes of each is observed.
const WORDS = ['valid', 'same', 'causal', 'channels_last', 'channels_first', 'nearest', 'bilinear', 'bicubic', 'area',
  'lanczos3', 'sum', 'mul', 'concat', 'ave', 'int', 'one_hot', 'multi_hot', 'count'];
const SAMPLES = [null, true, false, 0, 0.5, 1, 2, 3, -1, [1, 1], [2, 2], [2, 3], ...WORDS];
const OBJECTS = /^name$|(Initializer|Regularizer|Constraint)$/; // keys whose values are no samples
const DEEPEST = 3; // keys that a class needs at most
const WIDEST = 40; // ways to go on that are followed from one key to the next

const originals = new WeakMap(); // a noting configuration -> {values, notes}

/** A configuration that notes in `notes.read` which of the caller's keys are asked for. */
function noting(values, notes) {
  const own = new Set(); // keys that the class has set itself
  const proxy = new Proxy(values, {
    get(target, key) {
      if (typeof key === 'string' && !own.has(key) && !(key in Object.prototype)) notes.read.add(key);
      return target[key];
    },
    has(target, key) {
      if (typeof key === 'string' && !own.has(key)) notes.read.add(key);
      return key in target;
    },
    set(target, key, value) {
      own.add(key);
      target[key] = value;
      return true;
    },
  });
  originals.set(proxy, { values, notes, own });
  return proxy;
}

/** Copies of a noting configuration note as well: classes hand such copies to their base or to their cell. */
function assign(target, ...sources) {
  const noted = sources.map((source) => originals.get(source)).find(Boolean);
  if (!noted || originals.has(target)) return plainAssign(target, ...sources);
  const copy = noting(target, noted.notes);
  const { own } = originals.get(copy);
  for (const key of Object.keys(target)) own.add(key);
  for (const source of sources) {
    const from = originals.get(source);
    for (const [key, value] of Object.entries(from ? from.values : source ?? {})) {
      target[key] = value;
      if (!from || from.own.has(key)) own.add(key);
      else own.delete(key);
    }
  }
  return copy;
}

const plainAssign = Object.assign;
Object.assign = assign; // before the library is loaded, which may keep a reference
console.warn = console.log = () => {};
globalThis.require = createRequire(import.meta.url);
runInThisContext(readFileSync(join(folder, 'tf.min.js'), 'utf8'));
const { tf } = globalThis;
const registry = tf.serialization.SerializationMap.getMap().classNameMap;

const camel = (text) => text.replace(/_+(\w|$)/g, (_, letter) => letter.toUpperCase());
const snake = (text) => text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const asRead = (value) => (typeof value === 'string' ? camel(value) : value);

/** Layers and serialised layers, for the classes that wrap others. */
const parts = () => [
  tf.layers.dense({ units: 2 }),
  tf.layers.lstm({ units: 2 }),
  tf.layers.simpleRNNCell({ units: 2 }),
  { className: 'LSTM', config: { units: 2 } },
  { className: 'SimpleRNNCell', config: { units: 2 } },
  [tf.layers.simpleRNNCell({ units: 2 })],
  [{ className: 'SimpleRNNCell', config: { units: 2 } }],
];

function attempt(make, values) {
  const notes = { read: new Set() };
  try {
    return { layer: make(noting({ ...values }, notes)), read: notes.read };
  } catch (error) {
    return { error, read: notes.read };
  }
}

/**
 * The fewest values with which `make` works, looked for among the keys that it asks for. Null where none does.
 * A value is kept only if the complaint is another one with it.
 */
function needs(make) {
  const start = attempt(make, {});
  if (!start.error) return {};
  let level = [{ values: {}, ...start }];
  const samples = [2, [2, 2], [2, 1], 'nearest', 'oneHot', ...parts()];
  for (let depth = 0; depth < DEEPEST; depth++) {
    const next = new Map();
    for (const { values, error, read } of level) {
      for (const key of [...read].reverse().filter((name) => !(name in values))) {
        for (const sample of samples) {
          const child = { ...values, [key]: sample };
          const tried = attempt(make, child);
          if (!tried.error) return child;
          const complaint = String(tried.error.message);
          if (complaint !== String(error.message) && !next.has(key + complaint)) next.set(key + complaint, { values: child, ...tried });
        }
      }
    }
    level = [...next.values()].slice(0, WIDEST);
  }
  return null;
}

/** What happens to the samples of one key: those that the constructor takes, where it takes some and not all. */
function taken(make, base, key, read) {
  const fine = SAMPLES.filter((sample) => {
    const tried = attempt(make, { ...base, [key]: asRead(sample) });
    for (const seen of tried.read) read.add(seen);
    return !tried.error;
  });
  return fine.length < SAMPLES.length && fine.some((sample) => sample !== null) ? fine : null;
}

function layerFacts(cls, fromConfig) {
  const read = new Set();
  const takes = {};
  const needed = new Set();
  for (const make of [(config) => new cls(config), (config) => fromConfig(cls, config)]) {
    const base = needs(make);
    if (base === null) continue;
    const keys = attempt(make, base).read;
    for (const key of keys) read.add(key);
    for (const key of Object.keys(base)) needed.add(snake(key));
    for (const key of keys) {
      const fine = taken(make, base, key, read);
      if (fine && !OBJECTS.test(key)) takes[snake(key)] ??= fine;
    }
  }
  const sorted = Object.entries(takes).sort(([one], [other]) => (one < other ? -1 : 1));
  return { reads: [...read].map(snake).sort(), needs: [...needed].sort(), takes: Object.fromEntries(sorted) };
}

/** Registered classes with the same base as `example`. */
function relatives(example) {
  const base = Object.getPrototypeOf(registry[example][0]);
  return Object.keys(registry).filter((name) => registry[name][0].prototype instanceof base).sort();
}

const isLayer = (name) => registry[name][0].prototype instanceof tf.layers.Layer;
const isModel = (name) => registry[name][0] === tf.LayersModel || registry[name][0].prototype instanceof tf.LayersModel;
const names = Object.keys(registry).filter(isLayer).sort();
const facts = {
  tfjs: tf.version['tfjs-layers'],
  samples: SAMPLES,
  layers: Object.fromEntries(names.filter((name) => !isModel(name)).map((name) => [name, layerFacts(...registry[name])])),
  models: names.filter(isModel),
  activations: relatives('linear'),
  initializers: relatives('Zeros'),
  regularizers: relatives('L1L2'),
  constraints: relatives('NonNeg'),
};
// Lists in one line each, which keeps differences between versions readable.
const lists = [];
const marked = JSON.stringify(
  facts,
  (_, value) => (Array.isArray(value) ? `\u0000${lists.push(JSON.stringify(value).replaceAll(',', ', ')) - 1}\u0000` : value),
  1,
);
process.stdout.write(`${marked.replace(/"\\u0000(\d+)\\u0000"/g, (_, at) => lists[at])}\n`);
