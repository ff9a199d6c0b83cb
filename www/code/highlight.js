// Colours for code: a worker tells its words apart, and the browser paints ranges of the text. No element is made.

import { startWorker } from '../start.js';

/** @typedef {import('./highlight-worker.js').Kind} Kind */
/** @typedef {{kind: Kind, range: StaticRange}} Painted */

/** Milliseconds that a block is left alone before it is coloured: one that is made anew with every token never is. */
const REST_MS = 150;
/** Milliseconds that the worker may take for a block. */
const PATIENCE_MS = 3000;
/** Characters from which on code stays plain. */
const LONGEST = 200_000;
/** Ranges made in one task of the page. */
const BATCH = 1000;

/** Browsers without this show code in one colour. */
const able = typeof Highlight === 'function' && 'highlights' in CSS;

/** Where a visitor has chosen the colours, ours are none. */
const forced = matchMedia('(forced-colors: active)');
if (able) forced.addEventListener('change', () => {
  for (const name of [...CSS.highlights.keys()]) if (name.startsWith('moebius-')) CSS.highlights.delete(name);
  painted.clear();
});

/** @type {Worker | null} */
let worker = null;
/** @type {Promise<void> | null} */
let started = null;
/** What is to be coloured, by the element that holds it. @type {Map<Element, string>} */
const waiting = new Map();
/** What was coloured, so that it can be forgotten when it is gone. @type {Map<Element, Painted[]>} */
const painted = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let busy = false;
let next = 0;

/** Starts the worker, once; resolves when it has all it needs. */
export function prepare() {
  if (!able) return Promise.resolve();
  started ??= new Promise((resolve) => {
    worker = startWorker('./code/highlight-worker.js', 'moebius code');
    worker.addEventListener('message', () => resolve(), { once: true });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      stop();
      resolve();
    });
  });
  return started;
}

function stop() {
  worker?.terminate();
  worker = null;
  started = null;
}

/**
 * Colours code that is complete, in good time.
 * @param {Element} code
 * @param {string} language
 */
export function colour(code, language) {
  if (!able || forced.matches || language === '') return;
  waiting.set(code, language);
  clearTimeout(timer);
  timer = setTimeout(flush, REST_MS);
}

/** One block after another. */
async function flush() {
  if (busy) return;
  busy = true;
  forget();
  for (const [code, language] of waiting) {
    waiting.delete(code);
    const text = code.textContent ?? '';
    if (!code.isConnected || text.length > LONGEST || painted.has(code)) continue;
    await prepare();
    const spans = await ask(text, language);
    if (code.isConnected && code.textContent === text) await paint(code, spans);
  }
  busy = false;
}

/** @param {string} text @param {string} language @returns {Promise<[Kind, number, number][]>} none if it takes too long */
function ask(text, language) {
  const asked = worker;
  if (!asked) return Promise.resolve([]);
  const id = next++;
  return new Promise((resolve) => {
    const end = (/** @type {[Kind, number, number][]} */ spans) => {
      clearTimeout(patience);
      asked.removeEventListener('message', hear);
      resolve(spans);
    };
    const hear = (/** @type {MessageEvent} */ { data }) => data.id === id && end(data.spans);
    const patience = setTimeout(() => {
      stop();
      end([]);
    }, PATIENCE_MS);
    asked.addEventListener('message', hear);
    asked.addEventListener('error', () => end([]), { once: true });
    asked.postMessage({ id, language, text });
  });
}

/** @param {Element} code @param {[Kind, number, number][]} spans in order */
async function paint(code, spans) {
  /** @type {Painted[]} */
  const ranges = [];
  painted.set(code, ranges);
  const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  let node = /** @type {Text | null} */ (walk.nextNode());
  let start = 0;
  for (const [index, [kind, from, to]] of spans.entries()) {
    if (index % BATCH === BATCH - 1) await new Promise((resolve) => setTimeout(resolve));
    let at = from;
    while (node && at < to) {
      const end = start + node.length;
      if (at < end) {
        const range = new StaticRange({ startContainer: node, startOffset: at - start, endContainer: node, endOffset: Math.min(to, end) - start });
        group(kind).add(range);
        ranges.push({ kind, range });
        at = Math.min(to, end);
      }
      if (at < to || at === end) {
        start = end;
        node = /** @type {Text | null} */ (walk.nextNode());
      }
    }
  }
}

/** @param {Kind} kind */
function group(kind) {
  const name = `moebius-${kind}`;
  let all = CSS.highlights.get(name);
  if (!all) CSS.highlights.set(name, (all = new Highlight()));
  return all;
}

/** What is shown no more has no colours to keep. */
function forget() {
  for (const [code, ranges] of painted) {
    if (code.isConnected) continue;
    for (const { kind, range } of ranges) group(kind).delete(range);
    painted.delete(code);
  }
}
