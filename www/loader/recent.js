// Chunks that were read or came last, in memory: a read of neighbours need not go to the store, or to the host where nothing is kept.

/** Bytes by key, up to a limit: the least recently used go first. */
export class Recent {
  /** @type {Map<string, Uint8Array<ArrayBuffer>>} */ #held = new Map();
  #bytes = 0;

  /** @param {number} limit in bytes @param {(bytes: Uint8Array<ArrayBuffer>) => void} gone told what went */
  constructor(limit, gone) {
    this.limit = limit;
    this.gone = gone;
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

  /** @param {string} key @param {Uint8Array<ArrayBuffer>} bytes */
  put(key, bytes) {
    this.#bytes += bytes.length - (this.#held.get(key)?.length ?? 0);
    this.#held.delete(key);
    this.#held.set(key, bytes);
    for (const [oldest, old] of this.#held) {
      if (this.#bytes <= this.limit) break;
      this.#held.delete(oldest);
      this.#bytes -= old.length;
      this.gone(old);
    }
  }

  clear() {
    this.#held.clear();
    this.#bytes = 0;
  }
}
