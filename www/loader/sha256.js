// SHA-256: the browser's where it is to be had, and one of our own for files that are hashed piece by piece, which browsers do not offer.

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const K = new Int32Array(64);
/** Of the square roots of the first eight. */
const START = new Int32Array(8);

for (let n = 2, found = 0; found < 64; n++) {
  if ([...Array(n).keys()].some((d) => d > 1 && n % d === 0)) continue;
  // Doubles have 53 bits: enough for 32 after the point.
  if (found < 8) START[found] = ((n ** 0.5 % 1) * 2 ** 32) | 0;
  K[found++] = ((n ** (1 / 3) % 1) * 2 ** 32) | 0;
}

/** SHA-256 of bytes that come one after another. */
export class Sha256 {
  #state = START.slice();
  #words = new Int32Array(64);
  #block = new Uint8Array(64);
  #view = new DataView(this.#block.buffer);
  #length = 0;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    const filled = this.#length % 64;
    this.#length += bytes.length;
    let at = 0;
    if (filled > 0) {
      at = Math.min(64 - filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return this;
      this.#mix(this.#view, 0);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (; at + 64 <= bytes.length; at += 64) this.#mix(view, at);
    this.#block.set(bytes.subarray(at));
    return this;
  }

  /** @returns {string} in lower-case hexadecimal. Nothing can be added afterwards. */
  digest() {
    const length = this.#length;
    const pad = new Uint8Array(64 - ((length + 8) % 64) + 8);
    pad[0] = 0x80;
    const view = new DataView(pad.buffer);
    view.setUint32(pad.length - 8, Math.floor(length / 2 ** 29));
    view.setUint32(pad.length - 4, (length << 3) >>> 0);
    this.update(pad);
    return [...this.#state].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** @param {DataView} view @param {number} at where a block of 64 bytes starts */
  #mix(view, at) {
    const [w, state] = [this.#words, this.#state];
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    // One by one: taking an array apart costs more than the rounds do.
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ((K[i] + w[i]) | 0)) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/** @param {Uint8Array} bytes @returns {Promise<string>} in lower-case hexadecimal */
export async function sha256(bytes) {
  // Pages that are not served securely have none.
  if (!globalThis.crypto?.subtle) return new Sha256().update(bytes).digest();
  const hash = await crypto.subtle.digest('SHA-256', /** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
