// A file as its chunks: where they are cut, what they hash to, and which are at hand.

/** Length of a chunk where no manifest cuts the file. */
export const PIECE = 1 << 20;

/** Nobody has it; it is on its way; it is in the store; it was in the store, and was checked since this worker began. */
export const [MISSING, COMING, KEPT, CHECKED] = [0, 1, 2, 3];

/** @typedef {{bytes: number, sha256: string}} Chunk as a manifest has it */

/** A file of a model. */
export class File {
  /** Size in bytes, once it is known. @type {number | null} */
  size = null;
  /** Where chunks start, and the last one's end, where a manifest cuts the file. @type {Float64Array | null} */
  #cuts = null;
  /** SHA-256 of chunks: the manifest's, or what came first. @type {(string | undefined)[]} */
  sha256 = [];
  /** Whether the hashes are a manifest's: nothing else is then believed. */
  listed = false;
  /** @type {number[]} */
  states = [];
  /** Bytes of it that were at hand at any time. */
  had = 0;
  /** @type {Set<number>} */
  #once = new Set();
  /** The host's entity tag. */
  etag = '';
  /** SHA-256 of all of it, where a hub says it, until it is found to be so. */
  whole = '';
  /** Whether it was found to be so. */
  proved = false;
  /** Whether the host sends it whole only. */
  unranged = false;
  /** Whether bytes of it were handed out. */
  given = false;
  /** Whether it was begun again, as the host had another one. */
  restarted = false;
  /** How often a chunk came damaged. @type {Map<number, number>} */
  damaged = new Map();
  /** Its number in the store. */
  number = -1;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** Cuts it as a manifest says. @param {Chunk[]} chunks */
  cut(chunks) {
    this.#cuts = new Float64Array(chunks.length + 1);
    chunks.forEach(({ bytes }, i) => (/** @type {Float64Array} */ (this.#cuts)[i + 1] = bytes + /** @type {Float64Array} */ (this.#cuts)[i]));
    this.sha256 = chunks.map(({ sha256 }) => sha256);
    this.size = this.#cuts[chunks.length];
    this.listed = true;
  }

  /** How many chunks it has; of a file of unknown size, one more than are at hand. */
  get count() {
    if (this.#cuts) return this.#cuts.length - 1;
    return this.size === null ? this.states.length + 1 : Math.ceil(this.size / PIECE);
  }

  /** @param {number} i @returns {[number, number]} where chunk `i` starts and ends */
  bounds(i) {
    if (this.#cuts) return [this.#cuts[i], this.#cuts[i + 1]];
    return [i * PIECE, Math.min((i + 1) * PIECE, this.size ?? Infinity)];
  }

  /** The chunk that has a byte. @param {number} at */
  chunk(at) {
    if (!this.#cuts) return Math.floor(at / PIECE);
    let [low, high] = [0, this.#cuts.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#cuts[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {number} i */
  state(i) {
    return this.states[i] ?? MISSING;
  }

  /** The least state of a stretch's chunks; an empty one is nowhere. @param {number} start @param {number} end */
  least(start, end) {
    let least = end > start ? CHECKED : MISSING;
    for (let i = this.chunk(start); i <= this.chunk(end - 1); i++) least = Math.min(least, this.state(i));
    return least;
  }

  /** @param {number} i @param {number} state */
  set(i, state) {
    this.states[i] = state;
    if (state === KEPT || state === CHECKED) this.have(i);
  }

  /** Counts chunk `i` as one that was at hand. @param {number} i @returns {boolean} whether it is the first time */
  have(i) {
    if (this.#once.has(i)) return false;
    this.#once.add(i);
    const [start, end] = this.bounds(i);
    this.had += end - start;
    return true;
  }

  /** Forgets all of it but its name: the host has another file now. */
  forget() {
    this.size = this.listed ? this.size : null;
    if (!this.listed) this.sha256 = [];
    this.states = [];
    this.had = 0;
    this.#once.clear();
    this.damaged.clear();
    this.etag = '';
  }
}

/**
 * The files of a pack's manifest, or nothing where it is none that can be believed: the engine then says what is wrong with it.
 * @param {Uint8Array} json
 * @returns {{name: string, bytes: number, chunks: Chunk[], trunk: boolean}[]} `trunk`: it has no experts
 */
export function listed(json) {
  try {
    const { moebius, files, shards, experts } = JSON.parse(new TextDecoder().decode(json));
    /** @type {Set<unknown>} */
    const apart = new Set(Object.values(experts ?? {}).flatMap(({ records }) => records.map((/** @type {number[]} */ [shard]) => shards[shard])));
    const all = [...shards, ...files].map((file) => ({ ...file, trunk: !apart.has(file) }));
    const fits = all.every(({ name, bytes, chunks }) => {
      const good = chunks.every(
        (/** @type {Chunk} */ chunk) =>
          Number.isSafeInteger(chunk.bytes) && chunk.bytes > 0 && chunk.bytes <= 8 << 20 && /^[0-9a-f]{64}$/.test(chunk.sha256),
      );
      return typeof name === 'string' && good && chunks.reduce((/** @type {number} */ sum, /** @type {Chunk} */ c) => sum + c.bytes, 0) === bytes;
    });
    return moebius === 1 && fits ? all : [];
  } catch {
    return [];
  }
}
