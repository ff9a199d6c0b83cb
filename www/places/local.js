// Files of this machine that a person handed over, as the engine reads them: sent nowhere.

import { Source } from '../loader/source.js';
import { Spares } from '../loader/spares.js';

/** Read by range when they are asked for. */
export class Local extends Source {
  /** @type {Map<string, File>} */ #files;
  #spares = new Spares();
  #read = 0;
  #total = 0;

  /** @param {File[]} files @param {(progress: import('../protocol.js').Progress) => void} onprogress */
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
    this.onprogress({ loaded: this.#read, total: this.#total, file: name, fetched: 0, stored: 0, speed: 0, waiting: 0, unkept: '' });
    return bytes;
  }

  /** @override @param {Uint8Array<ArrayBuffer>} bytes */
  free({ buffer }) {
    this.#spares.give(buffer);
  }
}

/**
 * Bytes of a part, fewer where the file ends early, in `room` where the browser can read into that.
 * @param {Blob} part @param {Uint8Array<ArrayBuffer>} room
 */
async function into(part, room) {
  let reader;
  try {
    reader = part.stream().getReader({ mode: 'byob' });
  } catch {
    return new Uint8Array(await part.arrayBuffer());
  }
  let { buffer, length } = room;
  let at = 0;
  while (at < length) {
    const { value } = await reader.read(new Uint8Array(buffer, at, length - at));
    if (!value?.length) break;
    ({ buffer } = value);
    at += value.length;
  }
  return new Uint8Array(buffer, 0, at);
}

/** @param {string} file @param {string} reason */
function fault(file, reason) {
  return { file, reason, kind: 'range' };
}
