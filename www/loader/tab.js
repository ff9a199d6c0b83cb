// A model as one tab has it: the first tab with it downloads and keeps it, the others ask that one, and one of them goes on when it is gone.

import { Disk } from './disk.js';
import { HostError } from './host.js';
import { meter } from './meter.js';
import { Model } from './model.js';
import { sha256 } from './sha256.js';

/** @typedef {import('./messages.js').Fault} Fault */
/** @typedef {import('./model.js').State} State */
/** @typedef {import('./model.js').Where} Where */

/** How long the tab that has a model may be silent, in milliseconds, before another asks it for a sign of life, and before it is given up. */
const SILENCE = { ask: 3000, end: 15_000 };

/** What tabs ask of the one that has the model. @typedef {{op: 'size', file: string} | {op: 'read', file: string, start: number, end: number, urgent: boolean}
 *   | {op: 'kept', stretches: import('./messages.js').Stretch[]} | {op: 'pause', paused: boolean} | {op: 'remove'} | {op: 'ping'}} Question */

/** @typedef {Question & {from: string, n: number}} Asked */

/** Name of the lock that whoever has a model holds, and of the channel on which it is asked. @param {string} id */
export const lockOf = (id) => `moebius ${id}`;

/** What a model is kept under. @param {{base: string, query: string, gguf: string}} where */
export async function idOf({ base, query, gguf }) {
  return (await sha256(new TextEncoder().encode(base + gguf + query))).slice(0, 32);
}

/** @param {unknown} error @param {string} file @returns {Fault} */
export function faultOf(error, file) {
  const known = error instanceof HostError ? error : new HostError(file, String(error), 'lost');
  return { file: known.file, reason: known.message, kind: known.kind };
}

/** A model, here or in another tab. */
export class Tab {
  /** @type {Model | null} */ #model = null;
  /** @type {Map<number, {question: Question, resolve: (value: any) => void, reject: (error: HostError) => void}>} */ #pending = new Map();
  #next = 1;
  #name = crypto.randomUUID?.() ?? String(Math.random());
  /** When the tab that has the model was heard of. */
  #heard = 0;
  /** @type {import('./messages.js').Stretch[] | null} */ #ahead = null;
  /** @type {BroadcastChannel | null} */ #channel = null;
  /** As long as this does not settle, which only {@link Tab.close} has it do, this worker has the model. */
  #open = Promise.withResolvers();
  #closed = false;

  /** @param {Where} where @param {string} id @param {(state: State) => void} report */
  constructor(where, id, report) {
    this.where = where;
    this.id = id;
    this.report = report;
  }

  /**
   * @param {Where} where @param {(state: State) => void} report
   * @param {string} [id] what it is kept under, if that is known
   */
  static async open(where, report, id) {
    const tab = new Tab(where, id ?? (await idOf(where)), report);
    await tab.#begin();
    return tab;
  }

  async #begin() {
    // Pages that are not served securely have neither.
    if (!navigator.locks || !navigator.storage?.getDirectory) return this.#own(new Model(this.where, null, this.report, 'blocked'));
    const name = lockOf(this.id);
    this.#channel = new BroadcastChannel(name);
    this.#channel.addEventListener('message', ({ data }) => this.#hear(data));
    const first = await new Promise((resolve, reject) => {
      const hold = (/** @type {Lock | null} */ lock) => {
        resolve(lock !== null);
        return lock && this.#open.promise;
      };
      navigator.locks.request(name, { ifAvailable: true }, hold).catch(reject);
    }).catch(() => null);
    if (first === null) return this.#own(new Model(this.where, null, this.report, 'blocked'));
    if (first) return this.#take();
    this.#follow();
    navigator.locks.request(name, async () => {
      await this.#take();
      await this.#open.promise;
    });
    return undefined;
  }

  /** Opens the store: this tab has the model now. */
  async #take() {
    if (this.#model || this.#closed) return;
    const { base, gguf } = this.where;
    const about = { id: this.id, name: gguf || decodeURI(base.replace(/\/$/, '').split('/').pop() ?? ''), place: base + gguf };
    let why = /** @type {import('./disk.js').Unkept | ''} */ ('');
    const disk = await Disk.open(this.id, about).catch((error) => {
      why = error?.name === 'QuotaExceededError' ? 'full' : 'blocked';
      return null;
    });
    const post = meter((state) => this.#channel?.postMessage({ state }));
    const tell = (/** @type {State} */ state) => {
      this.report(state);
      post(state);
    };
    this.#own(new Model(this.where, disk, tell, why));
  }

  /** @param {Model} model */
  #own(model) {
    this.#model = model;
    if (this.#ahead) model.ahead(this.#ahead);
    this.#channel?.postMessage({ here: true });
    for (const [n, { question, resolve, reject }] of this.#pending) {
      this.#pending.delete(n);
      this.#act(question).then(resolve, reject);
    }
  }

  /** Waits for another tab, which tells when it can be asked. */
  #follow() {
    const own = new BroadcastChannel(`${lockOf(this.id)} ${this.#name}`);
    own.addEventListener('message', ({ data }) => {
      this.#heard = Date.now();
      const pending = this.#pending.get(data.n);
      this.#pending.delete(data.n);
      if (data.fault) pending?.reject(new HostError(data.fault.file, data.fault.reason, data.fault.kind));
      else pending?.resolve(data.value);
    });
    this.#heard = Date.now();
    const timer = setInterval(() => {
      if (this.#model) return clearInterval(timer);
      const silent = Date.now() - this.#heard;
      if (this.#pending.size === 0) this.#heard = Date.now();
      else if (silent > SILENCE.end) this.#own(new Model(this.where, null, this.report, 'blocked'));
      else if (silent > SILENCE.ask) this.#post(0, { op: 'ping' });
      return undefined;
    }, 1000);
  }

  /** @param {{state: State} | {here: true} | Asked} data */
  #hear(data) {
    if ('from' in data) {
      if (this.#model) this.#answer(data);
      return;
    }
    if (this.#model) return;
    this.#heard = Date.now();
    if ('state' in data) return this.report(data.state);
    // Whatever was asked before may have been lost with another tab.
    for (const [n, { question }] of this.#pending) this.#post(n, question);
  }

  /** @param {number} n @param {Question} question */
  #post(n, question) {
    this.#channel?.postMessage({ ...question, from: this.#name, n });
  }

  /** @param {Asked} asked */
  async #answer(asked) {
    const reply = new BroadcastChannel(`${lockOf(this.id)} ${asked.from}`);
    try {
      reply.postMessage({ n: asked.n, value: await this.#act(asked) });
    } catch (error) {
      reply.postMessage({ n: asked.n, fault: faultOf(error, 'file' in asked ? asked.file : '') });
    }
    reply.close();
  }

  /** @param {Question} question @returns {Promise<any>} */
  async #act(question) {
    const model = /** @type {Model} */ (this.#model);
    if (question.op === 'size') return model.size(question.file);
    if (question.op === 'read') return model.read(question.file, question.start, question.end, question.urgent);
    if (question.op === 'kept') return model.kept(question.stretches);
    if (question.op === 'pause') return model.pause(question.paused);
    if (question.op === 'remove') return model.leave();
    return 'here';
  }

  /** @param {Question} question @returns {Promise<any>} */
  #ask(question) {
    if (this.#model) return this.#act(question);
    return new Promise((resolve, reject) => {
      const n = this.#next++;
      this.#pending.set(n, { question, resolve, reject });
      this.#post(n, question);
    });
  }

  /** @param {string} file @returns {Promise<number>} */
  size(file) {
    return this.#ask({ op: 'size', file });
  }

  /** @param {string} file @param {number} start @param {number} end @param {boolean} urgent @returns {Promise<Uint8Array<ArrayBuffer>>} */
  read(file, start, end, urgent) {
    return this.#ask({ op: 'read', file, start, end, urgent });
  }

  /** Which stretches are in the store: 1 or 0 for each. @param {import('./messages.js').Stretch[]} stretches @returns {Promise<Uint8Array>} */
  kept(stretches) {
    return this.#ask({ op: 'kept', stretches });
  }

  /** Where the store has a stretch that was read here, if it may be read there again. @param {string} file @param {number} start @param {number} end */
  place(file, start, end) {
    return this.#model?.place(file, start, end) ?? '';
  }

  /** Whether all that is read of a file here was found to be what the manifest says. Another tab's word is not taken for it. @param {string} file */
  checks(file) {
    return this.#model?.files.get(file)?.listed ?? false;
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#ask({ op: 'pause', paused }).catch(() => {});
  }

  /** Takes a buffer that nobody has. @param {ArrayBuffer} buffer */
  spare(buffer) {
    this.#model?.spares.give(buffer);
  }

  /** Leaves the model to others. */
  close() {
    this.#closed = true;
    this.#model?.disk?.close();
    this.#channel?.close();
    this.#open.resolve(undefined);
  }

  /** @param {import('./messages.js').Stretch[] | null} stretches */
  ahead(stretches) {
    this.#ahead = stretches;
    this.#model?.ahead(stretches);
  }
}
