// What loading a model takes of a browser's memory: `npm run bench:memory -- MODEL`, a folder or a .gguf of this machine.
//
//     npm run bench:memory -- target/granite.gguf --hub --device cpu --rounds 3
//
// The peak is that of the renderer and of the GPU's process together, in anonymous and shared pages, over what an empty page takes.
// The load's ends half a second after all weights are there, that of tokens with the last of them.
// No debugger is attached: one that listens to the network keeps the bodies of answers, hundreds of megabytes of them.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { discard, FLAGS } from '../tests/browser/harness.js';
import { hub } from '../tests/browser/hub.js';
import { host } from './peers/host.mjs';
import { Failure, program, ROOT, say } from './run.mjs';
import { chromium } from './tools.mjs';

/** Time between looks, in milliseconds. */
const LOOK = 20;
/** What may be taken beside the weights, in bytes. */
const BESIDE = 64 << 20;
/** How long a load may take, in milliseconds. */
const PATIENCE = 600_000;

/** Memory of a process that is its own, in bytes, or none if it is gone. @param {number} pid */
function own(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return 1024 * ['RssAnon', 'RssShmem'].reduce((sum, key) => sum + Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0), 0);
  } catch {
    return 0;
  }
}

/** Renderers of a browser and its GPU's process. @param {number} browser */
function parts(browser) {
  /** @type {Map<number, {parent: number, kind: string}>} */
  const all = new Map();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const kind = /--type=([\w-]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? '';
      all.set(pid, { parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), kind });
    } catch {
      continue; // it ended meanwhile
    }
  }
  const below = (/** @type {number} */ pid) => {
    for (let at = pid; all.has(at); at = /** @type {{parent: number}} */ (all.get(at)).parent) if (at === browser) return true;
    return false;
  };
  return [...all].filter(([pid, { kind }]) => (kind === 'renderer' || kind === 'gpu-process') && below(pid)).map(([pid]) => pid);
}

/**
 * One load in a fresh browser.
 * @param {string} url of the page @param {boolean} webgpu
 */
async function visit(url, webgpu) {
  const folder = mkdtempSync(join(tmpdir(), 'moebius-memory-'));
  const executable = chromium();
  if (executable === null) throw new Failure('Chromium is missing: npm run setup browser');
  const flags = ['--headless=new', `--user-data-dir=${folder}`, '--remote-debugging-port=0', ...FLAGS.quiet, ...(webgpu ? FLAGS.webgpu : [])];
  const browser = spawn(executable, [...flags, url], { stdio: 'ignore' });
  const ended = new Promise((done) => browser.on('close', done));
  const all = () => parts(/** @type {number} */ (browser.pid)).reduce((sum, pid) => sum + own(pid), 0);
  try {
    let [empty, load, peak] = [0, 0, 0];
    for (const began = Date.now(); Date.now() - began < PATIENCE; await new Promise((done) => setTimeout(done, LOOK))) {
      const now = all();
      const state = await titled(folder);
      if (state.state === 'failed') throw new Failure(state.error);
      if (state.state === undefined) empty = now;
      peak = Math.max(peak, now);
      if (state.state === 'loading' || state.state === 'loaded') load = peak;
      if (state.state === 'done') return { ...state, empty, load, peak };
    }
    throw new Failure(`the model did not load within ${PATIENCE / 1000} s`);
  } finally {
    browser.kill();
    await ended;
    await discard(folder);
  }
}

/** What stands in the title of the browser's page. @param {string} folder of the browser @returns {Promise<any>} */
async function titled(folder) {
  try {
    const port = readFileSync(join(folder, 'DevToolsActivePort'), 'utf8').split('\n')[0];
    const pages = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
    return JSON.parse(decodeURIComponent(pages.find((/** @type {any} */ page) => page.type === 'page').title));
  } catch {
    return {}; // it has not begun
  }
}

program(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      format: { type: 'string' },
      rounds: { type: 'string', default: '1' },
      hub: { type: 'boolean', default: false },
      whole: { type: 'boolean', default: false },
    },
  });
  const path = resolve(positionals[0] ?? join(ROOT, 'www/model'));
  const folder = statSync(path).isDirectory();
  // A hub has repositories side by side, of which this one is a link to the model.
  const shelf = mkdtempSync(join(tmpdir(), 'moebius-hub-'));
  if (folder) symlinkSync(path, join(shelf, 'model'));
  else {
    mkdirSync(join(shelf, 'model'));
    symlinkSync(path, join(shelf, 'model', basename(path)));
  }
  const models = values.hub ? await hub(shelf) : null;
  const site = await host({ www: join(ROOT, 'www'), memory: join(ROOT, 'scripts/memory'), model: folder ? path : dirname(path) });
  const model = models ? `hf:local/model${folder ? '' : `/${basename(path)}`}` : folder ? '/model/' : `/model/${basename(path)}`;
  const options = { model, device: values.device, stream: !values.whole, format: values.format, ...(models ? { hub: models.url } : {}) };
  const url = `${site.url}/memory/page.html#${encodeURIComponent(JSON.stringify(options))}`;
  const mega = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(0);
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const { bytes, tokens, device, ready, loaded, read, made, empty, load, peak } = await visit(url, values.device === 'gpu');
      const beside = load - empty - bytes;
      say(
        `${model} on ${device}: weights ${mega(bytes)} MB, peak of the load ${mega(load - empty)} MB, beside the weights ${mega(beside)} MB ` +
          `(${beside <= BESIDE ? 'within' : 'over'} ${mega(BESIDE)}); with ${tokens} tokens ${mega(peak - empty - bytes)} MB; answers after ${(ready / 1000).toFixed(1)} s, whole after ` +
          `${(loaded / 1000).toFixed(1)} s; reads ${read?.toFixed(1)} and makes ${made?.toFixed(1)} tokens/s`,
      );
    }
  } finally {
    site.stop();
    await models?.stop();
    rmSync(shelf, { recursive: true, force: true });
  }
});
