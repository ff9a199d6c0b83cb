// The engine as a page sees it: OpenAI's shape in front of a worker that may die, and is replaced when it does.

import { MoebiusError, errorOf, modelUrl } from './protocol.js';
import { startWorker } from './start.js';

export { CODES, MoebiusError } from './protocol.js';

/** @typedef {import('./protocol.js').ToWorker} ToWorker */
/** @typedef {import('./protocol.js').FromWorker} FromWorker */
/** @typedef {import('./protocol.js').Info} Info */
/** @typedef {import('./protocol.js').Progress} Progress */

/**
 * @typedef {import('./places/place.js').Place & Settings} EngineOptions
 * @typedef {object} Settings
 * @property {import('./protocol.js').DeviceChoice} [device] default `auto`
 * @property {number} [context] most tokens that prompt and reply share; default is the model's
 * @property {'f32' | 'f16'} [cache] what keys and values are kept in; default is what suits the device
 * @property {boolean} [stream] whether the model answers before all its experts are there; default is true. The rest comes meanwhile
 * @property {number} [budget] bytes that experts may take on the device; what finds no room is fetched again when it is wanted.
 *   Default is room for all
 * @property {number} [threads] most threads of the CPU; default is one for each core, at most eight. There is one where the page is
 *   not cross-origin isolated
 * @property {(progress: Progress) => void} [onProgress] called as bytes arrive, also once the model answers, and of a replaced
 *   worker too; at last with `loaded` as large as `total`
 * @property {(device: import('./protocol.js').Device) => void} [onMoved] called when the GPU was lost and the model was loaded
 *   again elsewhere; what was running goes on
 * @property {AbortSignal} [signal] stops the loading
 * @property {string} [worker] another module of this folder that imports the engine's worker, to watch it
 * @property {number} [silence] seconds without a sign of life after which a busy worker is given up; default 30
 */

/** @typedef {{signal?: AbortSignal}} RequestOptions */

/** A request that the worker has not finished. @typedef {{
 *   done(value: any): void, failed(error: MoebiusError): void, chunk?(chunk: any): void}} Pending */

/**
 * Starts a worker and loads a model into it.
 * @param {EngineOptions} options
 * @returns {Promise<Engine>} rejects with a {@link MoebiusError}
 */
export async function createEngine(options) {
  const engine = new Engine(options);
  const stop = () => engine.unload();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    if (options.signal?.aborted) throw new MoebiusError('aborted', 'Loading was stopped.');
    await engine.load();
    return engine;
  } catch (error) {
    engine.unload();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

/** A loaded model. When its worker dies, what is pending rejects, and the next request starts a new worker. */
export class Engine {
  /** Chat in OpenAI's shape. */
  chat = { completions: { create: this.#create('chat') } };
  /** Completion of a text or of token ids, in OpenAI's shape. */
  completions = { create: this.#create('completion') };

  /** @type {EngineOptions} */ #options;
  /** @type {Worker | null} */ #worker = null;
  /** @type {Promise<Info> | null} */ #loading = null;
  /** @type {Info | null} */ #info = null;
  /** @type {Map<number, Pending>} */ #pending = new Map();
  #next = 1;
  #missed = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #beating;
  #unloaded = false;
  #paused = false;

  /** @param {EngineOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** What is loaded, and where it runs, or null. */
  get info() {
    return this.#info;
  }

  /** Loads the model unless it is loaded; the requests below do so themselves. */
  load() {
    if (this.#unloaded) return Promise.reject(new MoebiusError('aborted', 'This engine was unloaded.'));
    this.#loading ??= this.#start();
    return this.#loading;
  }

  /**
   * Logits after `tokens`, over the whole vocabulary.
   * @param {number[]} tokens
   * @returns {Promise<Float32Array>}
   */
  async logits(tokens) {
    await this.load();
    return this.#ask((id) => ({ type: 'logits', id, tokens }));
  }

  /**
   * Token ids of a text, without special tokens.
   * @param {string} text
   * @returns {Promise<number[]>}
   */
  async tokenize(text) {
    await this.load();
    return this.#ask((id) => ({ type: 'tokenize', id, text }));
  }

  /**
   * Text of token ids.
   * @param {number[]} tokens
   * @returns {Promise<string>}
   */
  async detokenize(tokens) {
    await this.load();
    return this.#ask((id) => ({ type: 'detokenize', id, tokens }));
  }

  /** Stops downloads where they are, until {@link Engine.resume}. What needs them waits. */
  pause() {
    this.#paused = true;
    this.#send({ type: 'pause', paused: true });
  }

  resume() {
    this.#paused = false;
    this.#send({ type: 'pause', paused: false });
  }

  /**
   * Which experts are where, and how often they were wanted; answered at once, also while a reply runs.
   * @returns {Promise<import('./protocol.js').ExpertMap>}
   */
  async experts() {
    await this.load();
    return this.#ask((id) => ({ type: 'experts', id }));
  }

  /** Frees everything. What is pending rejects, and what comes later. */
  unload() {
    this.#unloaded = true;
    this.#lose(new MoebiusError('aborted', 'The engine was unloaded.'));
  }

  /**
   * `create` of one endpoint: a promise of the reply, or with `stream: true` an async iterable of chunks.
   * @param {import('./protocol.js').Kind} kind
   * @returns {{(body: Record<string, any> & {stream?: false}, options?: RequestOptions): Promise<any>,
   *   (body: Record<string, any> & {stream: true}, options?: RequestOptions): AsyncIterableIterator<any>}}
   */
  #create(kind) {
    /** @param {Record<string, any>} body @param {RequestOptions} [options] @returns {any} */
    const create = (body, options = {}) => {
      if (body.stream === true) return this.#stream(kind, body, options.signal);
      return this.load().then(() =>
        this.#ask((id) => ({ type: 'complete', id, kind, body }), { signal: options.signal }),
      );
    };
    return create;
  }

  /**
   * Chunks as they come. Leaving the loop early cancels the request.
   * @param {import('./protocol.js').Kind} kind
   * @param {Record<string, any>} body
   * @param {AbortSignal} [signal]
   * @returns {AsyncIterableIterator<any>}
   */
  async *#stream(kind, body, signal) {
    await this.load();
    /** @type {any[]} */
    const chunks = [];
    const leave = new AbortController();
    const stop = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
    let ended = false;
    let wake = () => {};
    const reply = this.#ask((id) => ({ type: 'complete', id, kind, body }), {
      signal: stop,
      chunk: (chunk) => {
        chunks.push(chunk);
        wake();
      },
    }).finally(() => {
      ended = true;
      wake();
    });
    reply.catch(() => {}); // awaited below, unless the loop is left early
    try {
      for (;;) {
        // Once aborted nothing more is handed out, not even what has come already.
        while (chunks.length > 0 && !stop.aborted) yield chunks.shift();
        if (ended || stop.aborted) break;
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
      await reply;
    } finally {
      leave.abort();
    }
  }

  /** Starts a worker and loads the model into it. @returns {Promise<Info>} */
  async #start() {
    const worker = startWorker(this.#options.worker ?? './worker.js', 'moebius');
    this.#worker = worker;
    if (this.#paused) this.#send({ type: 'pause', paused: true });
    worker.addEventListener('message', (event) => {
      if (worker === this.#worker) this.#receive(event.data);
    });
    worker.addEventListener('messageerror', () => {
      this.#lose(new MoebiusError('worker_failed', "A message of the engine's worker could not be read."));
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      const what = event.message ? `stopped: ${event.message}.` : 'could not be started: does worker-src allow it, or a sandbox forbid it?';
      if (worker === this.#worker) this.#lose(new MoebiusError('worker_failed', `The engine's worker ${what}`));
    });
    const { device = 'auto', context = null, cache = null, threads = null, stream = true, budget = null } = this.#options;
    try {
      const place = await where(this.#options);
      /** @type {Info} */
      const info = await this.#ask((id) => ({ type: 'load', id, place, device, context, cache, threads, stream, budget }));
      this.#info = info;
      globalThis.document?.addEventListener('visibilitychange', this.#look);
      this.#look();
      return info;
    } catch (error) {
      // A worker that failed to load has nothing worth keeping; the next attempt gets a fresh one.
      if (worker === this.#worker) this.#lose(/** @type {MoebiusError} */ (error));
      throw error;
    }
  }

  /**
   * Sends a request and waits for its answer.
   * @param {(id: number) => ToWorker} message
   * @param {{signal?: AbortSignal, chunk?: (chunk: any) => void}} [how]
   * @returns {Promise<any>}
   */
  #ask(message, { signal, chunk } = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (signal?.aborted || !this.#worker) return reject(new MoebiusError('aborted', 'Stopped.'));
      const abort = () => {
        this.#send({ type: 'cancel', id });
        // Not the worker's word is waited for: a stop is heard at once, however long a step takes there.
        this.#pending.get(id)?.failed(new MoebiusError('aborted', 'Stopped.'));
      };
      const settle = () => {
        this.#pending.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      this.#pending.set(id, {
        chunk,
        done(value) {
          settle();
          resolve(value);
        },
        failed(error) {
          settle();
          reject(error);
        },
      });
      signal?.addEventListener('abort', abort, { once: true });
      this.#send(message(id));
      if (this.#beating === undefined) this.#beat();
    });
  }

  /** Tells the worker whether anybody looks at the page. */
  #look = () => this.#send({ type: 'calm', calm: globalThis.document?.hidden ?? false });

  /** @param {ToWorker} message */
  #send(message) {
    this.#worker?.postMessage(message);
  }

  /** @param {FromWorker} message */
  #receive(message) {
    this.#missed = 0;
    if (message.type === 'pong') return;
    if (message.type === 'panic') {
      return this.#lose(new MoebiusError('engine_crashed', `The engine stopped: ${message.message}`));
    }
    if (message.type === 'moved') {
      if (this.#info) this.#info = { ...this.#info, device: message.device, streamed: message.streamed };
      if (message.lost) this.#options.onMoved?.(message.device);
      return;
    }
    if (message.type === 'progress') return this.#options.onProgress?.(message.progress);
    if (message.type === 'arrived') {
      if (this.#info) this.#info = { ...this.#info, streamed: false };
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.type === 'chunk') pending?.chunk?.(message.chunk);
    else if (message.type === 'done') pending?.done(message.value);
    else pending?.failed(errorOf(message.fault));
  }

  /**
   * While something is pending, asks for a sign of life every second. Beats are counted, not time: a page that was frozen
   * wakes up to one late beat.
   */
  #beat() {
    if (this.#pending.size === 0) {
      this.#beating = undefined;
      this.#missed = 0;
      return;
    }
    const limit = this.#options.silence ?? 30;
    if (this.#missed > limit) {
      this.#beating = undefined;
      return this.#lose(new MoebiusError('worker_silent', `The engine's worker gave no sign of life for ${limit} s.`));
    }
    this.#missed += 1;
    this.#send({ type: 'ping' });
    this.#beating = setTimeout(() => this.#beat(), 1000);
  }

  /**
   * Gives the worker up and rejects everything pending.
   * @param {MoebiusError} error
   */
  #lose(error) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#loading = null;
    this.#info = null;
    globalThis.document?.removeEventListener('visibilitychange', this.#look);
    clearTimeout(this.#beating);
    this.#beating = undefined;
    this.#missed = 0;
    for (const pending of [...this.#pending.values()]) pending.failed(error);
  }
}

/** A folder's URL, or what is made of `[object File]` and the like. @param {EngineOptions} options */
async function where(options) {
  const model = String(options.model);
  if (options.format || /^(hf:|\[)|\.gguf\b/i.test(model)) return (await import('./places/place.js')).place(options);
  return modelUrl(model, document.baseURI).href;
}
