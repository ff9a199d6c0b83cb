// Archives in the format of tar: what any system packs and unpacks.

const BLOCK = 512;
/** Most that eleven octal digits hold. */
const OCTAL = 8 ** 11;
const encoder = new TextEncoder();

/** The block before a file, or before its name where that is long. @param {string} name @param {number} size @param {string} [type] */
function block(name, size, type = '0') {
  const out = new Uint8Array(BLOCK);
  const put = (/** @type {string} */ text, /** @type {number} */ at) => out.set(encoder.encode(text), at);
  const octal = (/** @type {number} */ value, /** @type {number} */ digits) => value.toString(8).padStart(digits, '0');
  out.set(encoder.encode(name).subarray(0, 100), 0);
  put('0000644\0' + '0000000\0'.repeat(2), 100);
  if (size < OCTAL) {
    put(`${octal(size, 11)}\0`, 124);
  } else {
    // A number in base 256, as tar has it since files are larger.
    const view = new DataView(out.buffer);
    view.setUint8(124, 0x80);
    view.setBigUint64(128, BigInt(size));
  }
  put(`${octal(0, 11)}\0`, 136);
  put(' '.repeat(8), 148);
  put(`${type}\0`, 156);
  put('ustar\x0000', 257);
  put(`${octal(out.reduce((sum, byte) => sum + byte, 0), 6)}\0 `, 148);
  return out;
}

/** What stands before a file of this name and size. @param {string} name @param {number} size */
export function head(name, size) {
  const bytes = encoder.encode(name);
  if (bytes.length <= 100) return block(name, size);
  const long = new Uint8Array(BLOCK + bytes.length + padding(bytes.length + 1).length + 1 + BLOCK);
  long.set(block('././@LongLink', bytes.length + 1, 'L'), 0);
  long.set(bytes, BLOCK);
  long.set(block(name, size), long.length - BLOCK);
  return long;
}

/** What stands after a file of this size. @param {number} size */
export function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What stands at the end. */
export const END = new Uint8Array(2 * BLOCK);

/**
 * The files of an archive, and where they are in it.
 * @param {Blob} archive
 * @returns {AsyncGenerator<{name: string, start: number, size: number}, void>} throws a sentence where it is none
 */
export async function* files(archive) {
  let long = '';
  for (let at = 0; at + BLOCK <= archive.size; ) {
    const bytes = new Uint8Array(await archive.slice(at, at + BLOCK).arrayBuffer());
    if (bytes.every((byte) => byte === 0)) return;
    const text = (/** @type {number} */ from, /** @type {number} */ length) =>
      new TextDecoder().decode(bytes.subarray(from, from + length)).replace(/\0.*$/s, '');
    const big = bytes[124] === 0x80;
    const size = big ? Number(new DataView(bytes.buffer).getBigUint64(128)) : parseInt(text(124, 12), 8);
    const start = at + BLOCK;
    if (text(257, 5) !== 'ustar' || !Number.isSafeInteger(size) || size < 0 || start + size > archive.size) {
      throw `it is no archive of a model: byte ${at} begins no file`;
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    const type = text(156, 1);
    if (type === 'L' && size <= 4096) {
      long = new TextDecoder().decode(await archive.slice(start, start + size).arrayBuffer()).replace(/\0.*$/s, '');
      continue;
    }
    if (type === '0' || type === '') yield { name: long || text(0, 100), start, size };
    long = '';
  }
}
