// The loader in a page, without an engine: what specs of hosts and of the store have in common.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, beforeEach } from 'node:test';

import { faulty, pack } from './faulty.js';
import { open } from './harness.js';
import { around } from './host.js';

/** Length of the chunks of the model that most tests load. */
export const CHUNK = 65_536;

/** @typedef {{hashes: Record<string, string>, progress: import('../../www/protocol.js').Progress,
 *   fault?: {file: string, reason: string, kind: string}}} Loaded */

/** Of the model that most tests load. */
export const files = pack(Array(16).fill(CHUNK), 2);
export const size = total(files);
let models = 0;

/** Pages and modules come from here, and the browser. @type {ReturnType<typeof around>} */
export let there;
/** Models come from here. @type {Awaited<ReturnType<typeof faulty>>} */
export let site;
/** @type {Awaited<ReturnType<typeof open>>} */
export let page;

/** Has the tests of a file find all of it, in a mode of the host's. @param {string} mode */
export function bench(mode) {
  there = around({ webgpu: false }, async () => {
    site = await faulty(files);
    page = await open(there.browser);
    await ready(page, mode);
  });
  after(() => site?.stop());
  beforeEach(() => {
    site.fault = () => undefined;
    site.rate = 0;
    site.log.length = 0;
  });
}

/** @param {Map<string, Buffer>} files */
export function total(files) {
  return [...files.values()].reduce((sum, { length }) => sum + length, 0);
}

/** What every file hashes to. @param {Map<string, Buffer>} [of] */
export function hashes(of = files) {
  return Object.fromEntries([...of].map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')]));
}

/** The URL of a model that nobody has loaded before. */
export function fresh() {
  models += 1;
  return `${site.url}m${models}/`;
}

/** Prepares a page for {@link load}, with the loader in a mode of the host's. @param {typeof page} on @param {string} mode */
export async function ready(on, mode) {
  await on.goto(`${there.site.url}as/blank/`);
  await on.evaluate(async (mode) => {
    const [loader, store] = [`/as/${mode}/www/loader/source.js`, `/as/${mode}/www/store.js`];
    const { openSource } = await import(loader);
    /** Starts a loader on a model. @param {string} url */
    const start = async (url) => {
      const source = await openSource(url, (/** @type {any} */ progress) => (source.progress = progress));
      return source;
    };
    /** Reads whole files, by pieces of 100,000 bytes. @param {any} source @param {string[]} names */
    const read = async (source, names) => {
      /** @type {Record<string, string>} */
      const hashes = {};
      for (const name of names) {
        const bytes = new Uint8Array(await source.size(name));
        for (let at = 0; at < bytes.length; at += 100_000) {
          const part = await source.read(name, at, Math.min(at + 100_000, bytes.length));
          bytes.set(part, at);
          source.free(part);
        }
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        hashes[name] = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
      }
      return hashes;
    };
    Object.assign(window, { start, read, store: await import(store) });
  }, mode);
}

/**
 * Loads a model's files one after another, and ends the loader.
 * @param {string} url @param {string[]} [names] @param {typeof page} [on]
 * @returns {Promise<Loaded>}
 */
export function load(url, names = [...files.keys()], on = page) {
  return on.evaluate(
    async ({ url, names }) => {
      const { start, read } = /** @type {any} */ (window);
      const source = await start(url);
      try {
        return { hashes: await read(source, names), progress: source.progress };
      } catch (fault) {
        return { hashes: {}, progress: source.progress, fault: /** @type {any} */ (fault) };
      } finally {
        source.worker.terminate();
      }
    },
    { url, names },
  );
}

/** Loads, and expects the right bytes. @param {string} url @param {Map<string, Buffer>} [of] @param {typeof page} [on] */
export async function right(url, of = files, on = page) {
  const loaded = await load(url, [...of.keys()], on);
  assert.equal(loaded.fault, undefined, JSON.stringify(loaded.fault));
  assert.deepEqual(loaded.hashes, hashes(of));
  return loaded.progress;
}

