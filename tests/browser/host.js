// A web host with the faults of hosts: serves the repository, and `/as/MODE/…` the same files in a bad way.

import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { launch } from './harness.js';

/** @type {Record<string, string>} */
export const TYPES = {
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.txt': 'text/plain',
  '.webmanifest': 'application/manifest+json',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * A line that carries so many bytes a second, whoever sends.
 * @param {() => number} rate 0 or infinite for no limit
 * @returns {(bytes: number) => Promise<void>} settles when the line has carried them
 */
export function pace(rate) {
  /** When the line is free again. */
  let free = 0;
  return async (bytes) => {
    if (rate() === 0 || rate() === Infinity) return;
    const now = performance.now();
    free = Math.max(free, now) + (1000 * bytes) / rate();
    if (free - now > 1) await new Promise((resolve) => setTimeout(resolve, free - now));
  };
}

/** A template of as many turns as stars in a galaxy. */
const LOOP = '{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{{ j }}{% endfor %}{% endfor %}';

/** What makes a page cross-origin isolated. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** What the loader's worker begins with, by mode. */
const LOADERS = /** @type {Record<string, string>} */ ({
  hasty: `const [later, now] = [setTimeout, Date.now];
    globalThis.setTimeout = (act, pause, ...all) => later(act, pause / 20, ...all);
    Date.now = () => 20 * now();`,
  storeless: 'delete StorageManager.prototype.getDirectory;',
  denied: `StorageManager.prototype.getDirectory = async () => { throw new DOMException('denied', 'SecurityError'); };`,
  lockless: 'delete WorkerNavigator.prototype.locks;',
  insecure: `delete Crypto.prototype.subtle; delete StorageManager.prototype.getDirectory;
    const { getReader } = ReadableStream.prototype;
    ReadableStream.prototype.getReader = function (options) {
      if (options) throw new TypeError('nothing reads into buffers');
      return getReader.call(this);
    };`,
  clumsy: `const { write } = FileSystemSyncAccessHandle.prototype;
    let writes = 0;
    FileSystemSyncAccessHandle.prototype.write = function (bytes, at) {
      writes += 1;
      return write.call(this, writes % 7 === 0 ? bytes.subarray(0, bytes.length >> 1) : bytes, at);
    };`,
  failing: `let left = Number(location.pathname.split('/')[2].split('-')[1]);
    const all = [
      [StorageManager, 'getDirectory'],
      [FileSystemDirectoryHandle, 'getDirectoryHandle', 'getFileHandle'],
      [FileSystemFileHandle, 'createSyncAccessHandle'],
      [FileSystemSyncAccessHandle, 'getSize', 'read', 'truncate', 'write'],
    ];
    for (const [{ prototype }, ...names] of all) for (const name of names) {
      const plain = prototype[name];
      prototype[name] = function (...how) {
        left -= 1;
        if (left !== 0) return plain.apply(this, how);
        new BroadcastChannel('failed').postMessage(name);
        throw new DOMException('the disk is at fault', 'UnknownError');
      };
    }`,
});

/** Has the browser compile some shaders to something else. @param {string} when it does, of their `code` */
const misread = (when) => `
  const { createShaderModule } = GPUDevice.prototype;
  GPUDevice.prototype.createShaderModule = function ({ code, ...rest }) {
    return createShaderModule.call(this, { ...rest, code: ${when} ? code.replace('sum +=', 'sum =') : code });
  };`;

/** What the engine's worker begins with, by mode. */
const HARDWARE = `Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { value: false });`;
const WORKERS = /** @type {Record<string, string>} */ ({
  hardware: HARDWARE,
  doomed: `${HARDWARE}
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...all) {
      const device = await requestDevice.apply(this, all);
      device.destroy();
      return device;
    };`,
  plain: `
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'features');
    Object.defineProperty(GPUAdapter.prototype, 'features', {
      get() {
        return new Set([...get.call(this)].filter((name) => name !== 'subgroups'));
      },
    });
    Object.defineProperty(GPUSupportedLimits.prototype, 'maxStorageBufferBindingSize', { value: 128 << 20 });`,
  wrong: `${HARDWARE}${misread('true')}`,
  slipping: `${HARDWARE}${misread("code.includes('enable subgroups')")}`,
  narrow: `${HARDWARE}
    Object.defineProperty(GPUSupportedLimits.prototype, 'maxStorageBufferBindingSize', { value: 1 << 16 });`,
});

/**
 * Ways to be bad.
 * - `whole`: knows no ranges. `cut`: ends every first connection half-way. `busy`: refuses twice, then serves.
 * - `down`: never serves. `page`: answers with a web page. `shifted`: ranges are four bytes off. `long`: sends more than
 *   asked. `gone`: weights are missing. `torn`: weights end ten bytes early, for good. `broken-wasm`: half the engine.
 * - `hardware`: the engine's worker takes the software adapter for a real GPU. `doomed`: the same, and every device is lost.
 *   `wrong`: the same, and it sums wrongly; `slipping`: where there are subgroups. `narrow`: the same, and it binds 64 KiB at most.
 *   `plain`: the adapter has no subgroups, and WebGPU's default limits.
 * - `lonely`: the page is isolated, but the CPU's threads cannot be had.
 * - `hasty`: the loader's clock is twenty times as fast. `storeless`, `denied`, `lockless`, `insecure`: it lacks what browsers may not
 *   have; `clumsy`: some of what it writes is cut short. `failing-7`: the seventh of its store's operations fails.
 * - `slow`: weights come in at 200 kB a second.
 * - `loop`: the chat template has no end worth waiting for.
 * - `blank`: an empty document, for tests that need no page. `quiet`: no fault.
 * @typedef {'whole' | 'cut' | 'busy' | 'down' | 'page' | 'shifted' | 'long' | 'gone' | 'torn' | 'broken-wasm' | 'hardware' | 'doomed' | 'wrong' | 'slipping' | 'narrow' | 'plain' | 'lonely' | 'slow' | 'hasty' | 'storeless' | 'denied' | 'lockless' | 'insecure' | 'clumsy' | 'loop' | 'blank' | 'quiet'} Mode
 */

/**
 * Starts the host.
 * @returns {Promise<{url: string, requests: string[], replaced: Map<string, string>, stop: () => Promise<void>}>} `url` ends with a slash; what is
 *   `replaced`, by path, is served in place of what is on the disk
 */
export async function host() {
  /** @type {string[]} */
  const requests = [];
  /** @type {Map<string, string>} */
  const replaced = new Map();
  /** @type {Map<string, number>} */
  const tries = new Map();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    requests.push(pathname);
    const other = replaced.get(pathname);
    if (other !== undefined) return response.writeHead(200, { 'content-type': TYPES[extname(pathname)] }).end(other);
    const [, mode, path] = /^\/as\/([\w-]+)\/(.*)$/.exec(pathname) ?? ['', 'quiet', pathname.slice(1)];
    const key = `${mode} ${path} ${request.headers.range}`;
    const count = (tries.get(key) ?? 0) + 1;
    tries.set(key, count);
    return answer(/** @type {Mode} */ (mode), decodeURIComponent(path), request.headers.range, count, response);
  });
  return { ...(await listening(server)), requests, replaced };
}

/**
 * Has a server listen at a free port.
 * @param {import('node:http').Server} server
 */
export async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const stop = () =>
    new Promise((/** @type {(value: void) => void} */ resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://localhost:${port}/`, stop };
}

/**
 * @param {Mode} mode
 * @param {string} path
 * @param {string | undefined} range
 * @param {number} count how many times this was asked
 * @param {import('node:http').ServerResponse} response
 */
function answer(mode, path, range, count, response) {
  const file = join(ROOT, normalize(`/${path}`), path === '' || path.endsWith('/') ? 'index.html' : '');
  const weights = file.endsWith('.safetensors');
  const stat = statSync(file, { throwIfNoEntry: false });
  const send = (/** @type {number} */ status, body = '', headers = {}) => response.writeHead(status, headers).end(body);
  if (mode === 'loop' && file.endsWith('chat_template.jinja')) return send(200, LOOP);
  if (mode === 'blank') return send(200, '<!doctype html>', { 'content-type': 'text/html' });
  if (mode === 'page') return send(200, '<!doctype html><p>Not what you want', { 'content-type': 'text/html' });
  if (!stat?.isFile() || (mode === 'gone' && weights)) return send(404, 'no such file');
  if (mode === 'down' || (mode === 'busy' && count <= 2)) return send(503, 'busy');

  if (mode === 'lonely' && file.endsWith('thread-worker.js')) return send(404);
  if (mode in WORKERS && file.endsWith('/worker.js')) {
    return send(200, `${readFileSync(file)}${WORKERS[mode]}`, { 'content-type': TYPES['.js'] });
  }
  const loader = LOADERS[mode.split('-')[0]];
  if (loader && file.endsWith('/loader-worker.js')) {
    return send(200, `${readFileSync(file)}${loader}`, { 'content-type': TYPES['.js'] });
  }
  const size = mode === 'torn' && weights ? stat.size - 10 : stat.size;
  const type = TYPES[extname(file)] ?? 'application/octet-stream';
  const headers = { 'content-type': type, 'cache-control': 'no-store', ...(mode === 'lonely' ? ISOLATED : {}) };
  if (mode === 'broken-wasm' && file.endsWith('.wasm')) {
    response.writeHead(200, headers);
    createReadStream(file, { end: size >> 1 }).pipe(response);
    return undefined;
  }
  const asked = mode === 'whole' ? null : /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  let [start, end] = asked ? [Number(asked[1]), Math.min(Number(asked[2]), size - 1)] : [0, size - 1];
  if (asked && start >= size) return send(416, '', { 'content-range': `bytes */${size}` });
  if (asked && mode === 'shifted') start += 4;
  const span = asked ? { 'content-range': `bytes ${start}-${end}/${size}` } : {};
  const more = asked && mode === 'long' ? 4 : 0;
  const length = end - start + 1 + more;
  response.writeHead(asked ? 206 : 200, { ...headers, ...span, 'content-length': length });
  if (mode === 'cut' && weights && count === 1) {
    const half = createReadStream(file, { start, end: start + (length >> 1) });
    half.on('data', (data) => response.write(data)).on('end', () => response.socket?.end());
    return undefined;
  }
  if (mode === 'slow' && weights) {
    const bytes = readFileSync(file).subarray(start, end + 1);
    const drip = (/** @type {number} */ at) => (at >= bytes.length ? response.end() : (response.write(bytes.subarray(at, at + 4000)), setTimeout(drip, 20, at + 4000)));
    drip(0);
    return undefined;
  }
  if (size === 0) response.end();
  else if (more === 0) createReadStream(file, { start, end }).pipe(response);
  else createReadStream(file, { start, end }).on('end', () => response.end(Buffer.alloc(more))).pipe(response, { end: false });
  return undefined;
}

/**
 * A host and a browser for the tests of a file, from its first hook to its last.
 * @param {Parameters<typeof launch>[0]} [options] of the browser
 * @param {() => Promise<void>} [then] what else is made ready; hooks of a file do not wait for each other
 */
export function around(options, then) {
  const there = /** @type {{site: Awaited<ReturnType<typeof host>>, browser: Awaited<ReturnType<typeof launch>>}} */ ({});
  before(async () => {
    there.site = await host();
    there.browser = await launch(options);
    await then?.();
  });
  after(async () => {
    await there.browser?.close();
    await there.site?.stop();
  });
  return there;
}
