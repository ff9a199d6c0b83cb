// The engine's worker: owns one wasm instance and one model, and answers the messages of protocol.js in turn.

import { openSource } from './loader/source.js';
import { load } from './module-worker.js';

/** @typedef {import('./protocol.js').ToWorker} ToWorker */
/** @typedef {import('./protocol.js').FromWorker} FromWorker */

const page = /** @type {{postMessage(message: FromWorker, transfer?: Transferable[]): void}} */ (
  /** @type {unknown} */ (globalThis)
);

/** @type {import('./pkg/moebius_web.js').Engine | null} */
let engine = null;
/** @type {import('./loader/source.js').Source | null} */
let source = null;
/** Where experts are in the files. @type {(string | number)[] | null} */
let records = null;
/** Whether downloads are stopped. */
let paused = false;
/** Requests that wait for their turn or run; cancelled ones are taken out. @type {Set<number>} */
const wanted = new Set();
/** What was last told of downloads. @type {import('./protocol.js').Progress | null} */
let last = null;
/** All of it is there that finds room: what is fetched from then on was there before. */
let arrived = false;

const NOTHING = { code: 'request', message: 'no model is loaded' };

/** The request that runs. */
let current = -1;
/** Requests run one after another: there is one model and one cache. @type {Promise<void>} */
let queue = Promise.resolve();

addEventListener('message', (event) => {
  const message = /** @type {ToWorker} */ (event.data);
  if (message.type === 'ping') {
    page.postMessage({ type: 'pong' });
  } else if (message.type === 'calm') {
    engine?.calm(message.calm);
  } else if (message.type === 'pause') {
    ({ paused } = message);
    source?.pause(paused);
  } else if (message.type === 'experts') {
    const { id } = message;
    if (engine) experts(engine).then((value) => page.postMessage({ type: 'done', id, value }));
    else page.postMessage({ type: 'failed', id, fault: NOTHING });
  } else if (message.type === 'cancel') {
    wanted.delete(message.id);
    if (message.id === current) engine?.cancel();
  } else {
    wanted.add(message.id);
    queue = queue.then(() => answer(message));
  }
});

// A panic inside a promise of wasm surfaces here, and its promise never settles.
addEventListener('error', (event) => die(event.message));
addEventListener('unhandledrejection', (event) => die(String(event.reason)));

/** What is known of the experts, by the engine and by the store. @param {import('./pkg/moebius_web.js').Engine} engine */
async function experts(engine) {
  const map = engine.experts();
  const places = (records ??= engine.records());
  // A loader that does not answer knows of nothing that is kept.
  const kept = await source?.kept(places).catch(() => undefined);
  kept?.forEach((one, i) => (map.where[i] ||= one));
  return map;
}

/** @param {Exclude<ToWorker, {type: 'ping' | 'cancel' | 'calm' | 'pause' | 'experts'}>} message */
async function answer(message) {
  const { id } = message;
  if (!wanted.has(id)) {
    return page.postMessage({ type: 'failed', id, fault: { code: 'aborted', message: 'stopped before it began' } });
  }
  current = id;
  try {
    const value = await act(message);
    page.postMessage({ type: 'done', id, value });
  } catch (error) {
    fail(id, error);
  }
  current = -1;
  wanted.delete(id);
}

/**
 * @param {Exclude<ToWorker, {type: 'ping' | 'cancel' | 'calm' | 'pause' | 'experts'}>} message
 * @returns {Promise<unknown>}
 */
async function act(message) {
  const { id } = message;
  if (message.type === 'load') {
    const { place, device, context, cache, threads, stream, budget } = message;
    // First, so that a manifest comes while the engine does.
    source = await openSource(/** @type {import('./loader/source.js').Place} */ (place), progress);
    if (paused) source.pause(true);
    // Making the engine would keep the loader from a core, and what that asks for takes longer.
    await source.there;
    const { Engine, hire } = await load(device, threads);
    const [most, format, room] = [context ?? undefined, cache ?? undefined, budget ?? undefined];
    engine = await Engine.load(source, device, most, format, stream, room, filled, moved, hire);
    return { device: JSON.parse(engine.device()), ...JSON.parse(engine.info()), streamed: engine.streamed() };
  }
  if (!engine) throw NOTHING;
  switch (message.type) {
    case 'complete':
      return JSON.parse(await engine.complete(message.kind, JSON.stringify(message.body), chunk));
    case 'logits':
      return engine.logits(Uint32Array.from(message.tokens));
    case 'tokenize':
      return Array.from(engine.tokenize(message.text));
    case 'detokenize':
      return engine.detokenize(Uint32Array.from(message.tokens));
  }

  /** @param {import('./protocol.js').Progress} progress */
  function progress(progress) {
    last = progress;
    if (!arrived) page.postMessage({ type: 'progress', progress });
  }

  function filled() {
    arrived = true;
    if (last) page.postMessage({ type: 'progress', progress: { ...last, loaded: last.total } });
    page.postMessage({ type: 'arrived' });
  }

  /** @param {string} json @param {boolean} lost */
  function moved(json, lost) {
    page.postMessage({ type: 'moved', device: JSON.parse(json), streamed: engine?.streamed() ?? false, lost });
  }

  /** @param {string} json */
  function chunk(json) {
    page.postMessage({ type: 'chunk', id, chunk: JSON.parse(json) });
  }
}

/**
 * Typed faults are answers. Anything else is a panic or a trap.
 * @param {number} id
 * @param {unknown} error
 */
function fail(id, error) {
  const fault = /** @type {{code?: unknown, message?: unknown} | null} */ (error);
  if (typeof fault?.code === 'string' && typeof fault.message === 'string') {
    page.postMessage({ type: 'failed', id, fault: { code: fault.code, message: fault.message } });
  } else {
    die(String(error));
  }
}

/**
 * A panic leaves the instance's memory in an unknown state, so the page is told to replace this worker. The text that
 * the panic hook kept says more than the trap that follows it.
 * @param {string} trap
 */
function die(trap) {
  const { moebiusPanic } = /** @type {{moebiusPanic?: string}} */ (globalThis);
  page.postMessage({ type: 'panic', message: moebiusPanic ?? trap });
}
