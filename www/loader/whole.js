// SHA-256 of a whole file, as a hub says it: followed while chunks come, in their order, and settled with the last.

import { Sha256 } from './sha256.js';

/** @typedef {import('./chunks.js').File} File */

/** What is hashed of a file so far. */
export class Whole {
  #hash = new Sha256();
  #next = 0;
  /** @type {Promise<void>} */ #busy = Promise.resolve();

  /** @param {File} file @param {(i: number) => Promise<Uint8Array | null>} get a chunk, or nothing where it is not at hand */
  constructor(file, get) {
    this.file = file;
    this.get = get;
  }

  /** Hashes what follows and is at hand. */
  follow() {
    this.#busy = this.#busy.then(async () => {
      for (; this.#next < this.file.count; this.#next++) {
        const bytes = await this.get(this.#next);
        if (bytes === null) return;
        this.#hash.update(bytes);
      }
    });
    return this.#busy;
  }

  /** Whether the file is what the hub says; nothing where not all of it was kept long enough to tell. @returns {Promise<boolean | null>} */
  async right() {
    await this.follow();
    return this.#next < this.file.count ? null : this.#hash.digest() === this.file.whole;
  }
}
