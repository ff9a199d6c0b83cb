// A model's folder in the browser's private file system: its files, and the journal of the chunks of them that were checked.

import { KEPT } from './chunks.js';
import { entries, line, weigh } from './journal.js';
import { SHARED } from './messages.js';

/** @typedef {import('./chunks.js').File} File */
/** What keeps a model from being kept: the storage is full, is not to be had, or was cleared. @typedef {'full' | 'blocked' | 'removed'} Unkept */

/** Where models are, in the private file system. */
export const FOLDER = 'moebius';
/** Name of a model's journal. */
export const JOURNAL = 'journal';
/** In milliseconds. */
const DAY = 86_400_000;
/** How long a handle that a dead worker had may take to come free, in milliseconds. */
const PATIENCE = 30_000;

/** A folder that this worker alone writes. */
export class Disk {
  /** Why no more is kept, if so. @type {Unkept | ''} */
  unkept = '';
  /** Numbers of files by name, as the journal has them. @type {Map<string, import('./journal.js').Known>} */ #known = new Map();
  /** @type {Map<number, FileSystemSyncAccessHandle>} */ #handles = new Map();
  /** @type {Set<string>} */ #absent = new Set();
  /** Files whose place is being made. @type {Map<File, Promise<void>>} */ #holding = new Map();
  #journal;
  #end = 0;
  #next = 0;
  #total = 0;
  #asked = 0;
  /** Whether the model was here as a whole when the store was opened. */
  #complete = false;

  /** @param {FileSystemDirectoryHandle} folder @param {FileSystemSyncAccessHandle} journal */
  constructor(folder, journal) {
    this.folder = folder;
    this.#journal = journal;
  }

  /**
   * Opens a model's folder, which is made if there is none.
   * @param {string} id @param {import('./journal.js').About} about
   */
  static async open(id, about) {
    const root = await navigator.storage.getDirectory();
    const models = await root.getDirectoryHandle(FOLDER, { create: true });
    const folder = await models.getDirectoryHandle(id, { create: true });
    const disk = new Disk(folder, await access(folder, JOURNAL));
    await disk.#read(about);
    return disk;
  }

  /** @param {import('./journal.js').About} about */
  async #read(about) {
    const text = new Uint8Array(this.#journal.getSize());
    this.#journal.read(text, { at: 0 });
    const { known, absent, end, fresh, total, asked } = entries(text);
    this.#asked = asked;
    [this.#known, this.#absent, this.#end, this.#total] = [known, absent, end, total];
    const [here, all] = weigh([...known.values()], total);
    this.#complete = here > 0 && here >= all;
    // What follows the last whole line was being written when a worker died.
    this.#journal.truncate(end);
    if (fresh) {
      this.#write({ about });
      this.due();
    }
    this.#write({ used: Date.now() });
    for (const { number, name } of known.values()) {
      this.#next = Math.max(this.#next, number + 1);
      try {
        this.#handles.set(number, await access(this.folder, String(number), SHARED));
      } catch {
        known.delete(name); // it was removed, or cannot be opened: as if it had never come
      }
    }
  }

  /** Files that were kept without a manifest that cuts them. @returns {import('./journal.js').Known[]} */
  get files() {
    return [...this.#known.values()].filter(({ listed, size }) => !listed && size !== null);
  }

  /**
   * Gives a file what the store has of it; its bytes are checked when they are read. @param {File} file
   * @returns {number} how many bytes that is
   */
  adopt(file) {
    const known = this.#known.get(file.name);
    if (!known || known.size === null || known.listed !== file.listed || (file.size !== null && known.size !== file.size)) return 0;
    file.number = known.number;
    if (!file.listed) Object.assign(file, { size: known.size, etag: known.etag, proved: known.whole });
    const before = file.had;
    for (const [i, [sha256]] of known.chunks) {
      if (i >= file.count || (file.listed && sha256 !== file.sha256[i])) continue;
      file.sha256[i] = sha256;
      file.set(i, KEPT);
    }
    return file.had - before;
  }

  /** Keeps how many bytes the model has. @param {number} total */
  whole(total) {
    if (total !== this.#total) this.#write({ total });
    this.#total = total;
  }

  /** Whether it is a day since the host was asked for news; it is then taken to be asked. */
  due() {
    if (Date.now() - this.#asked < DAY) return false;
    this.#asked = Date.now();
    return this.#write({ asked: this.#asked });
  }

  /** Whether the host had no such file, which is believed of a model that is here as a whole. @param {string} name */
  absent(name) {
    return this.#complete && this.#absent.has(name);
  }

  /** Keeps that the host has no such file. @param {string} name */
  lack(name) {
    this.#absent.add(name);
    this.#write({ absent: name });
  }

  /**
   * Keeps a chunk that was checked. @param {File} file @param {number} i @param {Uint8Array} bytes @param {string} sha256
   * @returns {boolean} whether it is kept
   */
  put(file, i, bytes, sha256) {
    const handle = this.#handles.get(file.number);
    if (this.unkept !== '' || !handle) return false;
    const at = file.bounds(i)[0];
    try {
      if (handle.write(bytes, { at }) !== bytes.length) throw new DOMException('a short write', 'QuotaExceededError');
    } catch (error) {
      return this.#give(error);
    }
    return this.#write({ chunk: [file.number, i, sha256, bytes.length] });
  }

  /** Makes the place of a file whose chunks come next. @param {File} file @returns {Promise<void>} */
  hold(file) {
    if (this.unkept !== '' || this.#handles.has(file.number)) return Promise.resolve();
    const holding = this.#holding.get(file) ?? this.#make(file).finally(() => this.#holding.delete(file));
    this.#holding.set(file, holding);
    return holding;
  }

  /** @param {File} file */
  async #make(file) {
    const number = this.#next++;
    try {
      this.#handles.set(number, await access(this.folder, String(number), SHARED));
    } catch (error) {
      this.#give(error);
      return;
    }
    file.number = number;
    const { name, size, etag, listed } = file;
    this.#write({ file: { number, name, size, etag, listed } });
  }

  /** Keeps the size of a file that nobody knew at first. @param {File} file */
  size(file) {
    if (this.#handles.has(file.number)) this.#write({ size: [file.number, /** @type {number} */ (file.size)] });
  }

  /** Keeps that a file is what a hub said of it. @param {File} file */
  prove(file) {
    if (file.number >= 0) this.#write({ whole: file.number });
  }

  /** Bytes of a file, or nothing if they cannot be read. @param {File} file @param {number} start @param {number} end @param {Uint8Array<ArrayBuffer>} [bytes] where they go */
  get(file, start, end, bytes = new Uint8Array(end - start)) {
    try {
      const read = this.#handles.get(file.number)?.read(bytes, { at: start });
      return read === bytes.length ? bytes : null;
    } catch (error) {
      this.#give(error, 'removed');
      return null;
    }
  }

  /** Where a file is in the private file system. @param {File} file */
  place({ number }) {
    return this.unkept !== 'removed' && this.#handles.has(number) ? `${FOLDER}/${this.folder.name}/${number}` : '';
  }

  /** Forgets a chunk. @param {File} file @param {number} i */
  drop(file, i) {
    this.#write({ drop: [file.number, i] });
  }

  /** Forgets a file. @param {File} file */
  forget(file) {
    if (file.number < 0) return;
    this.#write({ forget: file.number });
    this.#known.delete(file.name);
    this.#handles.get(file.number)?.truncate(0);
    this.#handles.get(file.number)?.close();
    this.#handles.delete(file.number);
    file.number = -1;
  }

  /** @param {import('./journal.js').Entry} entry */
  #write(entry) {
    if (this.unkept !== '') return false;
    const bytes = line(entry);
    try {
      if (this.#journal.write(bytes, { at: this.#end }) !== bytes.length) throw new DOMException('a short write', 'QuotaExceededError');
      this.#end += bytes.length;
      return true;
    } catch (error) {
      return this.#give(error);
    }
  }

  /** Keeps no more; what is there can still be read. @param {unknown} error @param {Unkept} [why] */
  #give(error, why) {
    const full = error instanceof DOMException && error.name === 'QuotaExceededError';
    this.unkept ||= why ?? (full ? 'full' : 'removed');
    return false;
  }

  /** Lets go of its files. */
  close() {
    this.unkept ||= 'removed';
    for (const handle of [this.#journal, ...this.#handles.values()]) handle.close();
    this.#handles.clear();
  }

  /** Removes all of it. */
  async remove() {
    this.unkept = 'removed';
    this.close();
    const models = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER);
    await discard(models, this.folder.name);
  }
}

/**
 * Access to a file, which is made if there is none.
 * @param {FileSystemDirectoryHandle} folder @param {string} name @param {typeof SHARED} [how]
 * @returns {Promise<FileSystemSyncAccessHandle>}
 */
export async function access(folder, name, how) {
  const file = /** @type {any} */ (await folder.getFileHandle(name, { create: true }));
  return patient(() => file.createSyncAccessHandle(how));
}

/**
 * Removes a model's folder.
 * @param {FileSystemDirectoryHandle} models @param {string} id
 */
export async function discard(models, id) {
  await patient(() => models.removeEntry(id, { recursive: true })).catch((error) => {
    if (error?.name !== 'NotFoundError') throw error;
  });
}

/**
 * Does what fails while a worker that was ended has a file yet.
 * @template T
 * @param {() => Promise<T>} act
 */
async function patient(act) {
  for (let pause = 10, waited = 0; ; waited += pause, pause = Math.min(2 * pause, 1000)) {
    try {
      return await act();
    } catch (error) {
      if (!/NoModificationAllowed|InvalidState/.test(String(error)) || waited > PATIENCE) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
