// The store's worker, for pages: lists, removes, and takes models out of the store and into it.

import { FOLDER, JOURNAL, access, discard } from './disk.js';
import { entries, line, weigh } from './journal.js';
import { sha256 } from './sha256.js';
import { Tab, lockOf } from './tab.js';
import { END, files, head, padding } from './tar.js';

/** @typedef {import('../protocol.js').Stored} Stored */

/** Name of the journal in an archive. */
const NAMES = 'moebius.journal';
/** Largest journal of an archive in bytes. */
const MOST = 64 << 20;
/** Bytes of an archive that are handled at a time. */
const PART = 4 << 20;
/** How long a tab that has a model may take to give it up, in milliseconds. */
const PATIENCE = 5000;

/** What is being exported. @type {Map<string, AsyncGenerator<Uint8Array, void>>} */
const exports = new Map();

addEventListener('message', async ({ data }) => {
  const { n, op, id, file } = data;
  try {
    const act = { list, clear, remove: () => remove(id), export: () => begin(id), next: () => next(id), import: () => bring(file) };
    postMessage({ n, value: await act[/** @type {keyof typeof act} */ (op)]() });
  } catch (error) {
    postMessage({ n, fault: { code: 'file', message: typeof error === 'string' ? error : `The store failed: ${error}` } });
  }
});

/** The folder of models, or nothing where there is none. */
async function shelf() {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  return root?.getDirectoryHandle(FOLDER).catch(() => null) ?? null;
}

/** What all models are kept under. */
async function ids() {
  const all = [];
  for await (const id of (await shelf())?.keys() ?? []) all.push(id);
  return all;
}

/** What a model's journal says. It may be written to while it is read: then it is read again. @param {string} id */
async function journal(id) {
  const folder = await (await shelf())?.getDirectoryHandle(id);
  for (let tries = 0; folder; tries++) {
    try {
      const file = await (await folder.getFileHandle(JOURNAL)).getFile();
      return entries(new Uint8Array(await file.arrayBuffer()));
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw 'The model is not kept here.';
}

/** @param {string} id @returns {Promise<Stored>} */
async function stored(id) {
  const { about, used, known, total } = await journal(id);
  const [bytes, all] = weigh([...known.values()], total);
  return { id, name: about.name, place: about.place, bytes, total: all, used };
}

/** @returns {Promise<Stored[]>} */
async function list() {
  const all = await Promise.all((await ids()).map((id) => stored(id).catch(() => null)));
  return all.filter((one) => one !== null).sort((a, b) => b.used - a.used);
}

/** @param {string} id */
async function remove(id) {
  const models = await shelf();
  const free = await navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
    if (lock && models) await discard(models, id);
    return lock !== null;
  });
  if (free) return;
  // A tab has it: that one lets go of it.
  const [channel, own] = [new BroadcastChannel(lockOf(id)), new BroadcastChannel(`${lockOf(id)} store`)];
  try {
    await new Promise((resolve, reject) => {
      own.onmessage = ({ data }) => (data.fault ? reject(`The model could not be removed: ${data.fault.reason}`) : resolve(null));
      setTimeout(reject, PATIENCE, 'The model could not be removed: another tab has it, and does not answer.');
      channel.postMessage({ op: 'remove', from: 'store', n: 1 });
    });
  } finally {
    channel.close();
    own.close();
  }
}

async function clear() {
  for (const id of await ids()) await remove(id);
}

/** @param {string} id */
async function begin(id) {
  const { bytes, total, place } = await stored(id);
  if (bytes < total) throw `The model is not here as a whole: ${bytes} of ${total} bytes are.`;
  const { about, asked, absent, known } = await journal(id);
  const cut = place.lastIndexOf('/') + 1;
  const tab = await Tab.open({ base: place.slice(0, cut), query: '', gguf: place.slice(cut) }, () => {}, id);
  const kept = [...known.values()];
  const lines = [line({ about }), line({ asked }), ...[...absent].map((name) => line({ absent: name }))];
  for (const { chunks, whole, ...file } of kept) {
    lines.push(line({ file }));
    for (const [i, [sha256, length]] of chunks) lines.push(line({ chunk: [file.number, i, sha256, length] }));
    if (whole) lines.push(line({ whole: file.number }));
  }
  exports.set(id, archive(tab, await new Blob(lines).bytes(), kept));
}

/** @param {Tab} tab @param {Uint8Array} names @param {{name: string, size: number | null}[]} kept */
async function* archive(tab, names, kept) {
  yield head(NAMES, names.length);
  yield names;
  yield padding(names.length);
  for (const { name, size } of kept) {
    const length = size ?? 0;
    yield head(name, length);
    for (let at = 0; at < length; at += PART) yield tab.read(name, at, Math.min(at + PART, length), false);
    yield padding(length);
  }
  yield END;
  tab.close();
}

/** @param {string} id */
async function next(id) {
  const part = await exports.get(id)?.next();
  if (!part?.value) exports.delete(id);
  return part?.value ?? null;
}

/** @param {File} file an archive @returns {Promise<Stored>} */
async function bring(file) {
  const all = files(file);
  const { value: first } = await all.next();
  if (first?.name !== NAMES || first.size > MOST) throw 'It is no archive of a model.';
  const listed = entries(new Uint8Array(await file.slice(first.start, first.start + first.size).arrayBuffer()));
  const { id } = listed.about;
  if (!/^[0-9a-f]{32}$/.test(id)) throw 'It is no archive of a model: it does not say which.';
  await remove(id);
  const root = await navigator.storage.getDirectory();
  const models = await root.getDirectoryHandle(FOLDER, { create: true });
  const folder = await models.getDirectoryHandle(id, { create: true });
  try {
    const lines = [line({ about: listed.about }), line({ used: Date.now() }), line({ asked: Math.min(listed.asked, Date.now()) })];
    for (const name of listed.absent) lines.push(line({ absent: name }));
    for await (const { name, start, size } of all) {
      const known = listed.known.get(name);
      if (!known) throw `It is no archive of a model: ${name} is not one of its files.`;
      if (size !== known.size) throw `The archive is damaged: ${name} has ${size} bytes of ${known.size}.`;
      lines.push(...(await copy(file.slice(start, start + size), known, folder)));
    }
    // The journal comes last: what was brought in half is as if it were not there.
    const journal = await access(folder, JOURNAL);
    journal.write(await new Blob(lines).bytes());
    journal.close();
  } catch (error) {
    await discard(models, id);
    throw error;
  }
  return stored(id);
}

/**
 * Puts a file into the store, chunk by chunk.
 * @param {Blob} from @param {import('./journal.js').Known} known @param {FileSystemDirectoryHandle} folder
 * @returns {Promise<Uint8Array<ArrayBuffer>[]>} lines of the journal
 */
async function copy(from, { chunks, whole, ...file }, folder) {
  const lines = [line({ file })];
  const handle = await access(folder, String(file.number));
  try {
    let at = 0;
    for (const [i, [hash, length]] of [...chunks].sort(([a], [b]) => a - b)) {
      if (!(length > 0 && length <= 8 << 20)) throw `It is no archive of a model: a chunk of ${length} bytes.`;
      const bytes = new Uint8Array(await from.slice(at, at + length).arrayBuffer());
      if ((await sha256(bytes)) !== hash) throw `The archive is damaged: bytes ${at} to ${at + length} of ${file.name}.`;
      if (handle.write(bytes, { at }) !== length) throw 'There is no room for the model.';
      lines.push(line({ chunk: [file.number, i, hash, length] }));
      at += length;
    }
  } finally {
    handle.close();
  }
  if (whole) lines.push(line({ whole: file.number }));
  return lines;
}
