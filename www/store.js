// What the browser keeps of models, for pages: listed, removed, taken out and brought in as files.

import { MoebiusError, errorOf } from './protocol.js';
import { startWorker } from './start.js';

/** @typedef {import('./protocol.js').Stored} Stored */

/** Ended when nothing is asked of it: one that lives on while its site's data are cleared loses touch with other workers' locks. @type {Worker | null} */
let worker = null;
/** @type {Map<number, {resolve: (value: any) => void, reject: (error: MoebiusError) => void}>} */
const pending = new Map();
let [next, exporting] = [1, 0];

/** @param {string} op @param {object} [what] @returns {Promise<any>} */
function ask(op, what = {}) {
  worker ??= start();
  const n = next++;
  return new Promise((resolve, reject) => {
    pending.set(n, { resolve, reject });
    worker?.postMessage({ n, op, ...what });
  });
}

function rest() {
  if (pending.size > 0 || exporting > 0) return;
  worker?.terminate();
  worker = null;
}

/** @returns {Worker} */
function start() {
  const worker = startWorker('./loader/store-worker.js', 'moebius store');
  worker.addEventListener('message', ({ data }) => {
    const { resolve, reject } = pending.get(data.n) ?? {};
    pending.delete(data.n);
    rest();
    if (data.fault) reject?.(errorOf(data.fault));
    else resolve?.(data.value);
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    for (const { reject } of pending.values()) reject(new MoebiusError('worker_failed', "The store's worker could not be started."));
    pending.clear();
  });
  return worker;
}

/** What is kept, the last used first. Empty where the browser keeps nothing. @returns {Promise<Stored[]>} */
export function list() {
  return ask('list');
}

/** Removes a model. One that is loaded goes on to answer. @param {string} id @returns {Promise<void>} */
export function remove(id) {
  return ask('remove', { id });
}

/** Removes all models, and what is remembered of where they are. @returns {Promise<void>} */
export function clear() {
  try {
    localStorage.removeItem('moebius-places');
  } catch {
    // nothing is remembered where there is none
  }
  return ask('clear');
}

/**
 * Writes a model that is kept whole as an archive (tar). The writable is closed at the end, and aborted where that fails.
 * @param {string} id @param {WritableStream<Uint8Array>} writable
 */
export async function exportTo(id, writable) {
  const writer = writable.getWriter();
  exporting += 1;
  try {
    await ask('export', { id });
    for (;;) {
      const part = await ask('next', { id });
      if (part === null) break;
      await writer.write(part);
    }
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  } finally {
    exporting -= 1;
    rest();
  }
}

/** Keeps a model from an archive that {@link exportTo} wrote; its chunks are checked. @param {File} file @returns {Promise<Stored>} */
export function importFrom(file) {
  return ask('import', { file });
}

/** Asks the browser not to clear what is kept when space is short; best done when a person has just clicked. @returns {Promise<boolean>} */
export async function persist() {
  return (await navigator.storage?.persist?.()) ?? false;
}

/** Bytes that this site keeps, those it may keep, and whether the browser clears them when space is short. @returns {Promise<{usage: number, quota: number, persisted: boolean}>} */
export async function estimate() {
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  return { usage, quota, persisted: (await navigator.storage?.persisted?.()) ?? false };
}
