// Buffers that are used up, for what comes next: a collector would first let hundreds of megabytes of them pile up.

/** Most bytes that lie idle. */
const IDLE = 4 << 20;

/** Buffers that nobody has. */
export class Spares {
  /** The oldest first. @type {ArrayBuffer[]} */ #idle = [];
  #bytes = 0;

  /** So many bytes, whatever they are. @param {number} length @returns {Uint8Array<ArrayBuffer>} */
  take(length) {
    // Not one of far more bytes: where another tab asked, the whole buffer is copied.
    const fits = (/** @type {ArrayBuffer} */ { byteLength }) => byteLength >= length && byteLength - length <= length / 4;
    const at = this.#idle.findLastIndex(fits);
    if (at < 0) return new Uint8Array(length);
    const [buffer] = this.#idle.splice(at, 1);
    this.#bytes -= buffer.byteLength;
    return new Uint8Array(buffer, 0, length);
  }

  /** Takes what nobody has a view of any more. @param {ArrayBuffer} buffer */
  give(buffer) {
    if (buffer.byteLength === 0) return;
    this.#idle.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > IDLE) this.#bytes -= /** @type {ArrayBuffer} */ (this.#idle.shift()).byteLength;
  }
}
