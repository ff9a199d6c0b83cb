// Where the engine's worker gets a model's bytes: from the loader's worker, or from files that a person handed over.

import { startWorker } from '../start.js';
import { SHARED } from './messages.js';

/** @typedef {import('../protocol.js').Progress} Progress */
/** @typedef {import('./messages.js').Fault} Fault */

/** What the engine is told of a place. @typedef {string | {url?: string, files?: File[], token?: string, format?: string, tree?: import('./model.js').Known[]}} Place */

/** A file of the store that is open. @typedef {{read(into: Uint8Array, options: {at: number}): number, close(): void}} Readable */

/** What the engine reads from. Errors are {@link Fault}s. */
export class Source {
  /** Name of the .gguf that is the whole model. @type {string | undefined} */ gguf;
  /** What matrices become, if not what they are. @type {string | undefined} */ format;

  /** Settles when its worker is there, if it has one. @type {Promise<unknown> | undefined} */ there;

  /** The model's name, that of the folder or of the file. @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** Size of a file in bytes. @param {string} _file @returns {Promise<number>} */
  async size(_file) {
    throw new Error('of a kind of source');
  }

  /** @param {string} _file @param {number} _start @param {number} _end @returns {Promise<Uint8Array>} */
  async read(_file, _start, _end) {
    throw new Error('of a kind of source');
  }

  /** Whether a stretch that was read before can be read again without waiting. @param {string} _file @param {number} _start @param {number} _end */
  holds(_file, _start, _end) {
    return false;
  }

  /** Reads it; says whether all of it was read. @param {string} _file @param {number} _start @param {Uint8Array} _into */
  reread(_file, _start, _into) {
    return false;
  }

  /** Takes back what was read, once it is copied. @param {Uint8Array<ArrayBuffer>} _bytes */
  free(_bytes) {}

  /** Whether what was read of a file of a pack has the hashes of its manifest. @param {string} _file */
  checked(_file) {
    return false;
  }

  /** Whether somebody waits for what is read from now on. @param {boolean} _pressing */
  press(_pressing) {}

  /** What is read next: in order, a file's name, where it starts and where it ends. @param {(string | number)[]} _stretches */
  ahead(_stretches) {}

  /** Which stretches, listed like that, are in the store: 1 or 0 for each. @param {(string | number)[]} list @returns {Promise<Uint8Array>} */
  async kept(list) {
    return new Uint8Array(list.length / 3);
  }

  /** @param {boolean} _paused */
  pause(_paused) {}

  /**
   * What explains that loading failed, if not the error itself: `file` if that was about a file. It is then forgotten.
   * @param {boolean} _file @returns {Fault | undefined}
   */
  verdict(_file) {
    return undefined;
  }
}

/**
 * @param {Place} place @param {(progress: Progress) => void} onprogress
 * @returns {Promise<Source>}
 */
export async function openSource(place, onprogress) {
  const about = typeof place === 'string' ? { url: place } : place;
  const source = about.files ? new (await import('../places/local.js')).Local(about.files, onprogress) : new Remote(about, onprogress);
  source.format = about.format;
  return source;
}

/** Through the loader's worker. */
class Remote extends Source {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (fault: Fault) => void}>} */ #pending = new Map();
  /** Whether the loader checked all that came of a file. @type {Map<string, boolean>} */ #checked = new Map();
  /** Where the store has what was read. @type {Map<string, string>} */ #places = new Map();
  /** Files of the store that are open here, or on the way to be. @type {Map<string, Readable | null>} */ #open = new Map();
  #next = 1;
  #urgent = true;
  /** Why the host was given up. A reader that asks whether a file exists would take it for a missing file. @type {Fault | undefined} */
  #lost;
  /** A web page that came in place of a file. Hosts answer so for files they lack, so it need not mean anything. @type {Fault | undefined} */
  #page;

  /** @param {{url?: string, token?: string, tree?: import('./model.js').Known[]}} place @param {(progress: Progress) => void} onprogress */
  constructor({ url = '', token, tree }, onprogress) {
    const [, path, query] = /^([^?#]*)(.*)$/s.exec(url) ?? ['', '', ''];
    const cut = path.lastIndexOf('/') + 1;
    super(path.replace(/\/$/, '').split('/').pop() ?? '');
    if (cut < path.length) this.gguf = decoded(path.slice(cut));
    const worker = startWorker('./loader-worker.js', 'moebius loader');
    this.worker = worker;
    this.there = new Promise((there) => ['message', 'error'].forEach((what) => worker.addEventListener(what, there, { once: true })));
    worker.addEventListener('message', ({ data }) => {
      if (data.type === 'progress') {
        if (data.progress.unkept === 'removed') this.#leave();
        return onprogress(data.progress);
      }
      const pending = this.#pending.get(data.id);
      this.#pending.delete(data.id);
      if (data.type === 'done') return pending?.resolve(data.value);
      if (data.fault.kind === 'lost') this.#lost = data.fault;
      if (data.fault.kind === 'page') this.#page = data.fault;
      return pending?.reject(data.fault);
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#lost = { file: 'loader-worker.js', reason: event.message || 'the loader could not be started', kind: 'lost' };
      for (const { reject } of this.#pending.values()) reject(this.#lost);
      this.#pending.clear();
    });
    this.#send({ type: 'open', where: { base: path.slice(0, cut), query: this.gguf ? query : '', token, tree, gguf: this.gguf ?? '' } });
  }

  /** @param {import('./messages.js').ToLoader} message */
  #send(message) {
    this.worker.postMessage(message);
  }

  /** @param {(id: number) => import('./messages.js').ToLoader} message @returns {Promise<any>} */
  #ask(message) {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#send(message(id));
    });
  }

  /** @override @param {string} file */
  size(file) {
    return this.#ask((id) => ({ type: 'size', id, file }));
  }

  /** @override @param {string} file @param {number} start @param {number} end */
  async read(file, start, end) {
    const { bytes, checked, place } = await this.#ask((id) => ({ type: 'read', id, file, start, end, urgent: this.#urgent }));
    this.#checked.set(file, checked && this.#checked.get(file) !== false);
    if (place) this.#places.set(spot(file, start, end), place);
    return bytes;
  }

  /** @override @param {string} file @param {number} start @param {number} end */
  holds(file, start, end) {
    const place = this.#places.get(spot(file, start, end));
    if (place && !this.#open.has(place)) this.#reach(place).catch(() => {});
    return Boolean(place && this.#open.get(place));
  }

  /** @override @param {string} file @param {number} start @param {Uint8Array} into */
  reread(file, start, into) {
    const at = spot(file, start, start + into.length);
    try {
      if (this.#open.get(this.#places.get(at) ?? '')?.read(into, { at: start }) === into.length) return true;
    } catch {
      // The loader knows what became of it.
    }
    this.#places.delete(at);
    return false;
  }

  /** Opens a file of the store beside the loader, where the browser can: a read takes no turns of two workers then. @param {string} place */
  async #reach(place) {
    this.#open.set(place, null);
    let folder = await navigator.storage.getDirectory();
    const [file, ...folders] = place.split('/').reverse();
    for (const name of folders.reverse()) folder = await folder.getDirectoryHandle(name);
    const handle = await /** @type {any} */ (await folder.getFileHandle(file)).createSyncAccessHandle(SHARED);
    if (this.#open.has(place)) this.#open.set(place, handle);
    else handle.close();
  }

  /** Closes what is open of the store: the model is being removed from it. */
  #leave() {
    for (const handle of this.#open.values()) handle?.close();
    this.#open.clear();
    this.#places.clear();
  }

  /** @override @param {string} file */
  checked(file) {
    return this.#checked.get(file) === true;
  }

  /** @override @param {Uint8Array<ArrayBuffer>} bytes */
  free({ buffer }) {
    this.worker.postMessage({ type: 'spare', buffer }, [buffer]);
  }

  /** @override @param {boolean} pressing */
  press(pressing) {
    this.#urgent = pressing;
  }

  /** @override @param {(string | number)[]} list */
  ahead(list) {
    this.#send({ type: 'ahead', stretches: stretches(list) });
  }

  /** @override @param {(string | number)[]} list @returns {Promise<Uint8Array>} */
  kept(list) {
    return this.#ask((id) => ({ type: 'kept', id, stretches: stretches(list) }));
  }

  /** @override @param {boolean} paused */
  pause(paused) {
    this.#send({ type: 'pause', paused });
  }

  /** @override @param {boolean} file */
  verdict(file) {
    const verdict = this.#lost ?? (file ? this.#page : undefined);
    this.#lost = this.#page = undefined;
    return verdict;
  }
}

/** @param {(string | number)[]} list of a file's name, where a stretch starts and where it ends, again and again */
function stretches(list) {
  const all = [];
  for (let i = 0; i + 2 < list.length; i += 3) {
    all.push({ file: String(list[i]), start: Number(list[i + 1]), end: Number(list[i + 2]) });
  }
  return all;
}

/** @param {string} file @param {number} start @param {number} end */
function spot(file, start, end) {
  return `${start} ${end} ${file}`;
}

/** @param {string} name of a file, as a URL has it */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
