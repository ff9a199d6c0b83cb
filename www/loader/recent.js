// Chunks that were read or came last, in memory: a read of neighbours need not go to the store, or to the host where nothing is kept.

/** Bytes by key, up to a limit: the least recently used go first. */
export class Recent {
  /** @type {Map<string, Uint8Array>} */ #held = new Map();
  #bytes = 0;

  /** @param {number} limit in bytes */
  constructor(limit) {
    this.limit = limit;
  }

  /** @param {string} key */
  has(key) {
    return this.#held.has(key);
  }

  /** @param {string} key */
  get(key) {
    const bytes = this.#held.get(key);
    if (bytes) {
      this.#held.delete(key);
      this.#held.set(key, bytes);
    }
    return bytes;
  }

  /** @param {string} key @param {Uint8Array} bytes */
  put(key, bytes) {
    this.#bytes += bytes.length - (this.#held.get(key)?.length ?? 0);
    this.#held.delete(key);
    this.#held.set(key, bytes);
    for (const [oldest, { length }] of this.#held) {
      if (this.#bytes <= this.limit) break;
      this.#held.delete(oldest);
      this.#bytes -= length;
    }
  }

  clear() {
    this.#held.clear();
    this.#bytes = 0;
  }
}
