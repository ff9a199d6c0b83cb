// A model's journal: a line for every chunk that was checked and kept. A line that is torn or damaged is as if it were not there.

/** What a model is, for people. @typedef {{id: string, name: string, place: string}} About */
/** A file that the store has. `listed`: a manifest says what it hashes to. @typedef {{number: number, name: string, size: number | null, etag: string, listed: boolean}} Kept */
/** With SHA-256 and length of its chunks, by number. @typedef {Kept & {chunks: Map<number, [string, number]>, whole: boolean}} Known */

/**
 * A line: what the model is; when it was used; that there is a file, and its size if that came to be known later; that the host has none, that one was checked as a whole, that one
 * is to be forgotten; that there is a chunk, with its SHA-256 and length, or no more; when the host was asked
 * whether it is still so; how many bytes the model has.
 * @typedef {{about: About} | {used: number} | {file: Kept} | {size: [number, number]} | {absent: string} | {whole: number} | {forget: number}
 *   | {chunk: [number, number, string, number]} | {drop: [number, number]} | {asked: number} | {total: number}} Entry
 */

const [NEWLINE, SPACE] = [10, 32];
const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];

/** A line with its checksum. @param {Entry} entry @returns {Uint8Array<ArrayBuffer>} */
export function line(entry) {
  const json = encoder.encode(JSON.stringify(entry));
  return encoder.encode(`${checksum(json)} ${decoder.decode(json)}\n`);
}

/**
 * What a journal says.
 * @param {Uint8Array} bytes
 * @returns {{about: About, used: number, asked: number, total: number, known: Map<string, Known>, absent: Set<string>, end: number, fresh: boolean}} `end` is where the
 *   last whole line ends; `fresh`: nothing says what the model is
 */
export function entries(bytes) {
  /** @type {Map<number, Known>} */
  const files = new Map();
  /** @type {Set<string>} */
  const absent = new Set();
  let [about, used, asked, total, start, fresh] = [{ id: '', name: '', place: '' }, 0, 0, 0, 0, true];
  for (let end = bytes.indexOf(NEWLINE); end >= 0; start = end + 1, end = bytes.indexOf(NEWLINE, start)) {
    const entry = parse(bytes.subarray(start, end));
    if (entry === null) continue;
    if ('about' in entry) [about, fresh] = [entry.about, false];
    else if ('used' in entry) ({ used } = entry);
    else if ('asked' in entry) ({ asked } = entry);
    else if ('total' in entry) ({ total } = entry);
    else if ('absent' in entry) absent.add(entry.absent);
    else if ('file' in entry) files.set(entry.file.number, { ...entry.file, chunks: new Map(), whole: false });
    else if ('size' in entry) resize(files.get(entry.size[0]), entry.size[1]);
    else if ('forget' in entry) files.delete(entry.forget);
    else if ('chunk' in entry) files.get(entry.chunk[0])?.chunks.set(entry.chunk[1], [entry.chunk[2], entry.chunk[3]]);
    else if ('drop' in entry) files.get(entry.drop[0])?.chunks.delete(entry.drop[1]);
    else if ('whole' in entry) whole(files.get(entry.whole));
  }
  const known = new Map([...files.values()].map((file) => [file.name, file]));
  return { about, used, asked, total, known, absent, end: start, fresh };
}

/**
 * How many bytes of files are here, and how many there are of the model.
 * @param {Known[]} files @param {number} total what it is known to have
 * @returns {[number, number]}
 */
export function weigh(files, total) {
  let [here, all] = [0, 0];
  for (const { size, chunks } of files) {
    all += size ?? 0;
    for (const [, length] of chunks.values()) here += length;
  }
  return [here, Math.max(all, total)];
}

/** @param {Known | undefined} file @param {number} size */
function resize(file, size) {
  if (file) file.size = size;
}

/** @param {Known | undefined} file */
function whole(file) {
  if (file) file.whole = true;
}

/** @param {Uint8Array} bytes of a line @returns {Entry | null} */
function parse(bytes) {
  const json = bytes.subarray(9);
  if (bytes[8] !== SPACE || decoder.decode(bytes.subarray(0, 8)) !== checksum(json)) return null;
  try {
    return JSON.parse(decoder.decode(json));
  } catch {
    return null;
  }
}

/** FNV-1a, in eight digits: enough to tell a damaged line. @param {Uint8Array} bytes */
function checksum(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
