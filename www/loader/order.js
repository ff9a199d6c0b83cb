// What is fetched next: what somebody waits for, then what the engine listed, then what follows the last read.

/** @typedef {import('./chunks.js').File} File */
/** @typedef {{file: File, i: number}} Spot */
/** What reads wait for, if `urgent` reads that somebody waits for; and how many jobs were sent when the last of them asked.
 * @typedef {Spot & PromiseWithResolvers<Uint8Array> & {urgent: boolean, since: number}} Wait */

/** Most bytes of one request, for what somebody waits for and for what nobody does. */
const MOST = { urgent: 8 << 20, calm: 4 << 20 };
/** How far ahead of a read it goes where nothing is kept. */
const AHEAD = 8 << 20;

/** From so many bytes on what follows a stretch waits for it, and how many bytes before its end that begins. */
const LONG = 1 << 20;
export const NEAR = 128 << 10;

/** What is wanted, in order. */
export class Order {
  /** By file and number, the oldest first. @type {Map<string, Wait>} */ #waits = new Map();
  /** Jobs that were sent. */ sent = 0;
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

  /** Has a read wait for a chunk. @param {File} file @param {number} i @param {boolean} urgent @returns {Promise<Uint8Array>} */
  want(file, i, urgent) {
    const spot = key(file, i);
    const wait = this.#waits.get(spot) ?? { file, i, urgent: false, since: 0, .../** @type {PromiseWithResolvers<any>} */ (Promise.withResolvers()) };
    wait.promise.catch(() => {});
    wait.since = this.sent;
    if (urgent && !wait.urgent) {
      wait.urgent = true;
      this.#waits.delete(spot);
    }
    this.#waits.set(spot, wait);
    return wait.promise;
  }

  /** It is there. @param {File} file @param {number} i @param {Uint8Array} bytes */
  came(file, i, bytes) {
    this.#waits.get(key(file, i))?.resolve(bytes);
    this.#waits.delete(key(file, i));
  }

  /** Some do not come. @param {Error} error @param {(wait: Wait) => boolean} fails */
  fail(error, fails) {
    for (const [spot, wait] of this.#waits) if (fails(wait) && this.#waits.delete(spot)) wait.reject(error);
  }

  /** Whether somebody waits for a chunk that `brings` knows. @param {(file: File, i: number) => boolean} brings */
  waits(brings) {
    for (const { file, i, urgent } of this.#waits.values()) if (urgent && brings(file, i)) return true;
    return false;
  }

  /** What somebody waits for and nothing brings. @returns {{file: File, first: number, last: number} | null} */
  urgent() {
    return this.#demand(true, MOST.urgent);
  }

  /** @param {boolean} urgent @param {number} most */
  #demand(urgent, most) {
    for (const { file, i, urgent: same } of this.#waits.values()) {
      if (same !== urgent || !this.lacks(file, i)) continue;
      const wanted = (/** @type {number} */ i) => this.#waits.get(key(file, i))?.urgent === urgent || this.#follows(file);
      return this.#run(file, i, most, wanted);
    }
    return null;
  }

  /** What nobody waits for yet. @returns {{file: File, first: number, last: number} | null} */
  next() {
    const asked = this.#demand(false, MOST.calm);
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
