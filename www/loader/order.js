// What is fetched next: what somebody waits for, then what the engine listed, then what follows the last read.

/** @typedef {import('./chunks.js').File} File */
/** @typedef {{file: File, i: number}} Spot */

/** Most bytes of one request, for what somebody waits for and for what nobody does. */
const MOST = { urgent: 8 << 20, calm: 4 << 20 };
/** How far ahead of a read it goes where nothing is kept. */
const AHEAD = 8 << 20;

/** From so many bytes on what follows a stretch waits for it, and how many bytes before its end that begins. */
const LONG = 1 << 20;
export const NEAR = 128 << 10;

/** What is wanted, in order. */
export class Order {
  /** Chunks that reads wait for, the oldest first, by file and number: of reads that somebody waits for, and of others. @type {Map<string, Spot>} */
  #urgent = new Map();
  /** @type {Map<string, Spot>} */ #asked = new Map();
  /** Stretches that the engine reads next; nothing where it leaves that to what follows. @type {{file: File, start: number, end: number}[] | null} */
  listed = null;
  /** Where the last read ended. @type {Spot | null} */
  last = null;
  /** Whether what nobody waits for is fetched at all. */
  calm = true;

  /**
   * @param {Map<string, File>} files
   * @param {(file: File, i: number) => boolean} lacks whether a chunk is neither at hand nor on its way
   * @param {() => boolean} kept whether what comes is kept
   * @param {(file: File) => number} coming how many bytes of a file are still to come from where it is asked for, at most
   */
  constructor(files, lacks, kept, coming) {
    this.files = files;
    this.lacks = lacks;
    this.kept = kept;
    this.coming = coming;
  }

  /** @param {File} file @param {number} i @param {boolean} urgent */
  want(file, i, urgent) {
    const spot = key(file, i);
    if (urgent) this.#asked.delete(spot);
    (urgent ? this.#urgent : this.#asked).set(spot, { file, i });
  }

  /** @param {string} spot */
  done(spot) {
    this.#urgent.delete(spot);
    this.#asked.delete(spot);
  }

  /** All that reads wait for. @returns {[string, Spot][]} */
  wanted() {
    return [...this.#urgent, ...this.#asked];
  }

  /** Whether somebody waits for a chunk that `brings` knows. @param {(file: File, i: number) => boolean} brings */
  waits(brings) {
    for (const { file, i } of this.#urgent.values()) if (brings(file, i)) return true;
    return false;
  }

  /** What somebody waits for and nothing brings. @returns {{file: File, first: number, last: number} | null} */
  urgent() {
    return this.#demand(this.#urgent, MOST.urgent);
  }

  /** @param {Map<string, Spot>} demands @param {number} most */
  #demand(demands, most) {
    for (const { file, i } of demands.values()) {
      if (!this.lacks(file, i)) continue;
      const wanted = (/** @type {number} */ i) => demands.has(key(file, i)) || this.#follows(file);
      return this.#run(file, i, most, wanted);
    }
    return null;
  }

  /** What nobody waits for yet. @returns {{file: File, first: number, last: number} | null} */
  next() {
    const asked = this.#demand(this.#asked, MOST.calm);
    if (asked || !this.calm) return asked;
    if (this.listed) {
      for (const { file, start, end } of this.listed) {
        if (end <= start) continue;
        const last = file.chunk(end - 1);
        for (let i = file.chunk(start); i <= last; i++) {
          if (this.lacks(file, i)) return this.#run(file, i, MOST.calm, (i) => i <= last);
        }
        // What is long has the line for itself until its end is near.
        if (end - start > LONG && this.coming(file) > NEAR) return null;
      }
      return null;
    }
    if (!this.last) return null;
    const { file, i } = this.last;
    const kept = this.kept();
    const until = kept ? file.count : Math.min(file.count, file.chunk(Math.min(file.bounds(i)[1] + AHEAD, (file.size ?? 0) - 1)) + 1);
    const after = this.#first(file, i, until) ?? (kept ? this.#first(file, 0, i) : null);
    if (after !== null) return this.#run(file, after, MOST.calm, (i) => i < until);
    if (!kept) return null;
    for (const other of this.files.values()) {
      if (other === file || other.size === null) continue;
      const first = this.#first(other, 0, other.count);
      if (first !== null) return this.#run(other, first, MOST.calm, () => true);
    }
    return null;
  }

  /** Whether what follows a read is fetched with it. @param {File} file */
  #follows(file) {
    return this.calm && this.listed === null && file.size !== null;
  }

  /** @param {File} file @param {number} from @param {number} until @returns {number | null} the first chunk that is lacking */
  #first(file, from, until) {
    for (let i = from; i < until; i++) if (this.lacks(file, i)) return i;
    return null;
  }

  /** As many chunks from `first` on as go into a request. @param {File} file @param {number} first @param {number} most @param {(i: number) => boolean} wanted */
  #run(file, first, most, wanted) {
    const start = file.bounds(first)[0];
    let last = first;
    while (last + 1 < file.count && this.lacks(file, last + 1) && wanted(last + 1) && file.bounds(last + 1)[1] - start <= most) last += 1;
    return { file, first, last };
  }
}

/** @param {File} file @param {number} i */
export function key(file, i) {
  return `${i} ${file.name}`;
}
