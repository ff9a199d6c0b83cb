// One connection's work: a run of a file's chunks, put together from the pieces that a host's answer comes in.

/** @typedef {import('./chunks.js').File} File */

/**
 * Who a job works for.
 * @typedef {object} Owner
 * @property {(job: Job, about: {size: number | null, whole: boolean, etag: string}) => void} begun
 * @property {(file: File, i: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} commit a chunk is whole
 * @property {(file: File, i: number) => boolean} lacks whether a chunk is wanted yet
 * @property {(bytes: number) => Uint8Array<ArrayBuffer>} room for so many bytes of a chunk
 * @property {(bytes: number, job: Job) => void} received
 * @property {(job: Job) => Promise<void> | null} turn
 */

/** Chunks `first` to `last` of a file, or all of it if the host knows no ranges. */
export class Job {
  /** Whether the host sends the whole file. */
  whole = false;
  /** The chunk that is being filled, if it is wanted. @type {Uint8Array<ArrayBuffer> | null} */
  #filling = null;
  #stop = new AbortController();
  signal = this.#stop.signal;
  /** Whether somebody waits for it who found no connection that brings it. */
  urgent = false;

  /** @param {Owner} owner @param {File} file @param {number} first @param {number} last */
  constructor(owner, file, first, last) {
    this.owner = owner;
    this.file = file;
    this.first = first;
    this.last = last;
    this.at = file.bounds(first)[0];
    this.end = file.bounds(last)[1];
  }

  get size() {
    return this.file.size;
  }

  /** Whether chunk `i` is still to come from it. @param {File} file @param {number} i */
  brings(file, i) {
    if (file !== this.file) return false;
    return this.whole || (i >= this.first && i <= this.last && this.file.bounds(i)[1] > this.at);
  }

  stop() {
    this.#stop.abort(new DOMException('stopped', 'AbortError'));
  }

  turn() {
    return this.owner.turn(this);
  }

  /** @param {number} start @param {{size: number | null, whole: boolean, etag: string}} about */
  begin(start, about) {
    if (about.whole) {
      this.whole = true;
      this.at = 0;
      this.#filling = null;
    }
    if (start !== this.at) throw new Error(`an answer from ${start} on to a job at ${this.at}`);
    this.owner.begun(this, about);
  }

  /** @param {Uint8Array} bytes */
  async take(bytes) {
    this.owner.received(bytes.length, this);
    for (let left = bytes; left.length > 0; ) {
      const i = this.file.chunk(this.at);
      const [start, end] = this.file.bounds(i);
      if (this.at === start) this.#filling = this.owner.lacks(this.file, i) ? this.owner.room(end - start) : null;
      const part = left.subarray(0, end - this.at);
      this.#filling?.set(part, this.at - start);
      this.at += part.length;
      left = left.subarray(part.length);
      if (this.at === end && this.#filling) {
        const full = this.#filling;
        this.#filling = null;
        await this.owner.commit(this.file, i, full);
      }
    }
  }

  /** The last chunk of a file whose end nobody knew. @returns {[number, Uint8Array<ArrayBuffer>] | null} its number and its bytes */
  rest() {
    if (!this.#filling) return null;
    const i = this.file.chunk(this.at - 1);
    return [i, this.#filling.slice(0, this.at - this.file.bounds(i)[0])];
  }
}
