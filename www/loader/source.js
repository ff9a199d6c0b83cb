// Where the engine's worker gets a model's bytes: from the loader's worker, or from files that a person handed over.

import { startWorker } from '../start.js';
import { Spares } from './spares.js';

/** @typedef {import('../protocol.js').Progress} Progress */
/** @typedef {import('./messages.js').Fault} Fault */

/** What the engine is told of a place. @typedef {string | {url?: string, files?: File[], token?: string, format?: string, tree?: import('./model.js').Known[]}} Place */

/** Nothing comes over the network, and nothing is kept. @satisfies {Partial<Progress>} */
const IDLE = { fetched: 0, stored: 0, speed: 0, waiting: 0, unkept: /** @type {const} */ ('') };

/** What the engine reads from. Errors are {@link Fault}s. */
export class Source {
  /** Name of the .gguf that is the whole model. @type {string | undefined} */ gguf;
  /** What matrices become, if not what they are. @type {string | undefined} */ format;

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
 * @returns {Source}
 */
export function openSource(place, onprogress) {
  const about = typeof place === 'string' ? { url: place } : place;
  const source = about.files ? new Local(about.files, onprogress) : new Remote(about, onprogress);
  source.format = about.format;
  return source;
}

/** Through the loader's worker. */
class Remote extends Source {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (fault: Fault) => void}>} */ #pending = new Map();
  /** Whether the loader checked all that came of a file. @type {Map<string, boolean>} */ #checked = new Map();
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
    worker.addEventListener('message', ({ data }) => {
      if (data.type === 'progress') return onprogress(data.progress);
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
    const { bytes, checked } = await this.#ask((id) => ({ type: 'read', id, file, start, end, urgent: this.#urgent }));
    this.#checked.set(file, checked && this.#checked.get(file) !== false);
    return bytes;
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

/** Files of this machine: read by range when they are asked for, and sent nowhere. */
class Local extends Source {
  /** @type {Map<string, File>} */ #files;
  #spares = new Spares();
  #read = 0;
  #total = 0;

  /** @param {File[]} files @param {(progress: Progress) => void} onprogress */
  constructor(files, onprogress) {
    super(files[0]?.name ?? '');
    this.onprogress = onprogress;
    this.#files = new Map(files.map((file) => [file.name, file]));
    this.#total = files.reduce((sum, { size }) => sum + size, 0);
    // Of a model in several files the first has the metadata, and comes first by name.
    const weights = [...this.#files.keys()].sort().find((name) => /\.gguf$/i.test(name));
    if (!this.#files.has('config.json')) this.gguf = weights;
  }

  /** @override @param {string} name */
  async size(name) {
    const file = this.#files.get(name);
    if (!file) throw fault(name, 'is not among the files');
    return file.size;
  }

  /** @override @param {string} name @param {number} start @param {number} end */
  async read(name, start, end) {
    const size = await this.size(name);
    if (start > end || end > size) throw fault(name, `bytes ${start}..${end} asked of a file of ${size}`);
    const part = /** @type {File} */ (this.#files.get(name)).slice(start, end);
    const bytes = await into(part, this.#spares.take(end - start)).catch((error) => {
      throw fault(name, `could not be read: ${error}`);
    });
    if (bytes.length !== end - start) throw fault(name, `${bytes.length} bytes came of ${end - start}`);
    this.#read = Math.min(this.#read + bytes.length, this.#total);
    this.onprogress({ loaded: this.#read, total: this.#total, file: name, ...IDLE });
    return bytes;
  }

  /** @override @param {Uint8Array<ArrayBuffer>} bytes */
  free({ buffer }) {
    this.#spares.give(buffer);
  }
}

/**
 * Bytes of a part of a file, in a buffer where the browser can read into one. @param {Blob} part @param {Uint8Array<ArrayBuffer>} room for all of it
 * @returns {Promise<Uint8Array<ArrayBuffer>>} fewer where it ends early
 */
async function into(part, room) {
  let reader;
  try {
    reader = part.stream().getReader({ mode: 'byob' });
  } catch {
    return new Uint8Array(await part.arrayBuffer());
  }
  const { length } = room;
  let { buffer } = room;
  let at = 0;
  while (at < length) {
    const { value } = await reader.read(new Uint8Array(buffer, at, length - at));
    if (!value?.length) break;
    ({ buffer } = value);
    at += value.length;
  }
  return new Uint8Array(buffer, 0, at);
}

/** @param {(string | number)[]} list of a file's name, where a stretch starts and where it ends, again and again */
function stretches(list) {
  const all = [];
  for (let i = 0; i + 2 < list.length; i += 3) {
    all.push({ file: String(list[i]), start: Number(list[i + 1]), end: Number(list[i + 2]) });
  }
  return all;
}

/** @param {string} file @param {string} reason @returns {Fault} */
function fault(file, reason) {
  return { file, reason, kind: 'range' };
}

/** @param {string} name of a file, as a URL has it */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
