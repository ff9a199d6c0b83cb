// The service worker: keeps the page's own files, so that it starts offline, and isolates it, so that its engine may have threads.

/* global MOEBIUS_FILES */
importScripts('./www/pwa/files.js'); // written by the build: a change of any file is a change of this worker

/** @typedef {Event & {waitUntil(what: Promise<unknown>): void}} Extendable */
/** @typedef {Extendable & {request: Request, respondWith(answer: Promise<Response>): void}} Fetching */
/** @typedef {{version: string, files: string[]}} Files */

const { version, files } = /** @type {{MOEBIUS_FILES: Files}} */ (/** @type {unknown} */ (globalThis)).MOEBIUS_FILES;
const worker = /** @type {{registration: {scope: string}, skipWaiting(): Promise<void>}} */ (/** @type {unknown} */ (globalThis));

const PREFIX = 'moebius-files-';
const NAME = PREFIX + version;
const START = worker.registration.scope;
const KEPT = new Set(files.map((file) => new URL(file, START).href));

/** The engine on memory of its own is kept; the one on shared memory is made of it. */
const WASM = new URL('www/pkg/moebius_web_bg.wasm', START).href;
const THREADS = new URL('www/pkg/moebius_web_threads.wasm', START).href;

/** What makes a page cross-origin isolated, on hosts that cannot be told to. */
const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

addEventListener('install', (event) => {
  /** @type {Extendable} */ (event).waitUntil(keep());
});

addEventListener('activate', (event) => {
  /** @type {Extendable} */ (event).waitUntil(tidy());
});

/** The page says when: an update never comes in the middle of a visit by itself. */
addEventListener('message', (event) => {
  if (event.data === 'update') worker.skipWaiting();
});

addEventListener('fetch', (event) => {
  const { request, respondWith } = /** @type {Fetching} */ (event);
  const url = new URL(request.url);
  url.search = url.hash = '';
  if (url.href.endsWith('/index.html')) url.href = START;
  // Weights, and what is not the page's, are not touched: who serves them is asked as if this were not here.
  if (request.method !== 'GET' || (url.href !== START && url.href !== THREADS && !KEPT.has(url.href))) return;
  respondWith.call(event, answer(url.href, request));
});

/** All of them or none: a page of two versions would be neither. */
async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll([...KEPT].map((url) => new Request(url, { cache: 'no-cache' })));
}

async function tidy() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
}

/** @param {string} url without what follows a question mark @param {Request} request */
async function answer(url, request) {
  // Where the page is being worked on, what is on the disk comes first.
  const local = new URL(START).hostname === 'localhost';
  const fresh = local ? await fetch(request).catch(() => null) : null;
  return isolated(fresh ?? (await kept(url)) ?? (await fetch(request)));
}

/** @param {string} url @returns {Promise<Response | null>} */
async function kept(url) {
  const cache = await caches.open(NAME);
  if (url !== THREADS) return (await cache.match(url)) ?? null;
  const plain = await cache.match(WASM);
  return plain ? new Response(shared(new Uint8Array(await plain.arrayBuffer())), { headers: { 'content-type': 'application/wasm' } }) : null;
}

/** The engine's two modules differ in one bit: whether the memory that they import is shared. @param {Uint8Array<ArrayBuffer>} bytes */
function shared(bytes) {
  const memory = [6, ...new TextEncoder().encode('memory'), 2, 1]; // a name and its length, a memory, and its limits
  const at = bytes.findIndex((_, i) => memory.every((byte, j) => bytes[i + j] === byte));
  if (at >= 0) bytes[at + memory.length - 1] = 3;
  return bytes;
}

/** @param {Response} response */
function isolated(response) {
  if (response.type === 'opaque' || response.type === 'opaqueredirect' || response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATED)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
