// What a comparison needs, made once and kept under target/peers: the peers' packages, a Python, and the models.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT, run, say, TARGET } from '../run.mjs';

/** Where everything is kept. */
const KEPT = join(TARGET, 'peers');
/** Where the models are: one folder each, with `prompts.json` beside them. */
export const MODELS = join(KEPT, 'models');
/** Where the peers' packages are. */
export const PACKAGES = join(KEPT, 'npm/node_modules');

const HERE = join(ROOT, 'scripts/peers');
const MAKER = join(HERE, 'models');
const PYTHON = join(KEPT, 'venv/bin/python');

/** @param {string[]} files @returns {string} one hash of their bytes */
function hash(files) {
  const sum = createHash('sha256');
  for (const file of files) sum.update(readFileSync(file));
  return sum.digest('hex');
}

/**
 * Does something unless it was done with the same inputs before.
 * @param {string} stamp the file that remembers
 * @param {string} inputs their hash
 * @param {() => Promise<void>} make
 */
async function once(stamp, inputs, make) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return;
  await make();
  writeFileSync(stamp, inputs);
}

/** Installs the peers beside the project, so that who only wants to test it need not. */
export async function packages() {
  const folder = join(KEPT, 'npm');
  mkdirSync(folder, { recursive: true });
  const files = ['package.json', 'package-lock.json'];
  await once(join(folder, 'lock.stamp'), hash(files.map((name) => join(HERE, name))), async () => {
    say('npm ci of the peers: half a GB, once');
    for (const name of files) cpSync(join(HERE, name), join(folder, name));
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  });
}

/** onnxruntime's files as transformers.js has them, from the host's root. */
export function runtime() {
  const own = '@huggingface/transformers/node_modules/onnxruntime-web/dist';
  return `/npm/${existsSync(join(PACKAGES, own)) ? own : 'onnxruntime-web/dist'}/`;
}

/** @param {string} list a requirements file of models/ */
async function python(list) {
  if (!existsSync(PYTHON)) await run('python3', ['-m', 'venv', join(KEPT, 'venv')]);
  const file = join(MAKER, list);
  await once(join(KEPT, `venv/${list}.stamp`), hash([file]), async () => {
    say(`pip install of ${list}${list === 'golden.txt' ? ': PyTorch, once' : ''}`);
    await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', file]);
  });
}

/** The bits of a model's matrices: `experts-8` has eight experts. @param {string} name */
export const bits = (name) => (/^(?!experts).*-8$/.test(name) ? 8 : 4);

/**
 * Makes a model in every engine's format, and the tokens that are right for it.
 * @param {string} name
 * @param {boolean} golden whether the tokens are wanted
 */
export async function model(name, golden) {
  const folder = join(MODELS, name);
  const maker = (/** @type {string[]} */ args) => run(PYTHON, [join(MAKER, 'make.py'), MODELS, name, ...args]);
  const sources = readdirSync(MAKER).filter((file) => file.endsWith('.py'));
  await once(join(folder, 'made.stamp'), hash(sources.map((file) => join(MAKER, file))), async () => {
    await python('requirements.txt');
    if (golden) await python('golden.txt');
    say(`making ${name}`);
    rmSync(folder, { recursive: true, force: true });
    await maker([]);
    const moebius = join(TARGET, 'debug/moebius');
    await run(moebius, ['pack', join(folder, 'hf'), '--out', join(folder, 'pack'), '--format', bits(name) === 8 ? 'q8' : 'q4-all']);
    await maker(['--check']);
    if (golden) await run(PYTHON, [join(MAKER, 'golden.py'), MODELS, name]);
    // Four bytes a parameter, and the pack has the same values.
    rmSync(join(folder, 'hf/model.safetensors'));
  });
}
