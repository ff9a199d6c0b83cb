// Models among files of this device: chosen, or dropped on the page; and texts that are dropped there.

/** Files that belong to a model. */
const PARTS = /\.(gguf|safetensors|json|jinja|model|bin)$/i;
/** A folder that was dropped by mistake may be a whole disk. */
const MOST = 2000;
/** Texts that go into a question, and bytes of each: more than any context here has room for. */
const TEXTS = 10;
const LONGEST = 1 << 20;

/** @param {File[]} files @returns {File[]} those of a model; none where there is none */
export function model(files) {
  const gguf = files.filter(({ name }) => /\.gguf$/i.test(name));
  const parts = gguf.filter(({ name }) => /-\d{5}-of-\d{5}\.gguf$/i.test(name));
  if (gguf.length > 0) return parts.length > 0 ? parts : gguf.slice(0, 1);
  if (!files.some(({ name }) => name === 'config.json')) return [];
  // A repository may keep copies in folders below.
  const top = Math.min(...files.filter(({ name }) => name === 'config.json').map(depth));
  return files.filter((file) => PARTS.test(file.name) && depth(file) === top);
}

/** @param {File} file */
function depth({ webkitRelativePath }) {
  return webkitRelativePath.split('/').length;
}

/** @param {HTMLInputElement} input */
export function fromInput(input) {
  const files = model([...(input.files ?? [])]);
  input.value = '';
  return files;
}

/** What was dropped, folders with what is in them. @param {DataTransfer} data @returns {Promise<File[]>} */
export async function fromDrop(data) {
  const dropped = [...data.items].map((item) => item.webkitGetAsEntry() ?? item.getAsFile()); // before anything is awaited: then they are gone
  /** @type {File[]} */
  const files = [];
  for (const one of dropped) {
    if (one instanceof File) files.push(one);
    else if (one) await walk(one, files);
  }
  return files;
}

/** What files say, if all of them are short texts; otherwise nothing. @param {File[]} files */
export async function texts(files) {
  if (files.length > TEXTS || files.some(({ size }) => size > LONGEST)) return '';
  try {
    const all = await Promise.all(files.map(async (file) => new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer())));
    return all.some((text) => text.includes('\0')) ? '' : all.join('\n');
  } catch {
    return ''; // no text
  }
}

/** @param {FileSystemEntry} entry @param {File[]} files */
async function walk(entry, files) {
  if (files.length >= MOST) return;
  if (entry.isFile) {
    /** @type {File} */
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    files.push(Object.defineProperty(file, 'webkitRelativePath', { value: entry.fullPath.slice(1) })); // as those that are chosen have it
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await walk(one, files);
  }
}
