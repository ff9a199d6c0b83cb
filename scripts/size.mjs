// The size budget: what a visitor downloads before the first byte of a model, compressed as static hosts do.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { Failure, program, ROOT } from './run.mjs';

const KB = 1000;

/** The engine: its module, of which a visitor gets one of two that differ in a bit, and the workers around it. */
const ENGINE = /^www\/(pkg\/.*(?<!_threads\.wasm|\.d\.ts)|[\w-]*worker\.js)$/;

/** Folders of www whose files a visit loads where it comes to them, each with what makes it. @type {[string, string, number][]} */
const LATER = [
  ['markdown|math|code|vendor', 'comes with the model', 106],
  ['sheets', 'dialogs, which come with the model', 4],
  ['languages', 'another language', 4],
  ['inside', 'what shows the inside, in three languages of which a visitor loads one', 15],
  ['pwa', 'the page as an app', 5],
  ['places', 'loaded when asked for', 4],
  ['archive', 'chats as files, which come with the model', 2],
  ['loader|store', 'comes with the model, or with a list of those that are kept', 33],
  ['models', 'models: list, plan, storage, and two languages more', 24],
  ['bench', 'the bench', 9],
];
/** Of these, what every visit asks for once the page is shown. */
const ALWAYS = /^www\/models\/(models|states|recent|files|texts|languages\/en)\.js$/;
/** @param {string} folders */
const inside = (folders) => (/** @type {string} */ path) => !ALWAYS.test(path) && new RegExp(`^www/(${folders})(/(?!en\\.js).*)?\\.(js|css|svg|webmanifest)$`).test(path);

/** What is counted, and its limit in bytes after brotli at its best, which takes a quarter of a minute. */
const BUDGET = [
  { what: 'engine (www/pkg, workers)', counts: (/** @type {string} */ path) => ENGINE.test(path), limit: 885 * KB },
  {
    what: 'page (www)',
    counts: (/** @type {string} */ path) =>
      !/^www\/(pkg|model)\/|worker\.js$|bench\.html$/.test(path) && /\.(js|css|html|svg)$/.test(path) && !LATER.some(([folders]) => inside(folders)(path)),
    limit: 60 * KB,
  },
  ...LATER.map(([folders, what, limit]) => ({ what: `${what} (www/${folders})`, counts: inside(folders), limit: limit * KB })),
];

/**
 * @param {string} folder
 * @returns {string[]} files in it and below
 */
function files(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? files(path) : [path];
  });
}

/** Prints every part's size and fails if one is over its budget. */
export function sizes() {
  const over = [];
  for (const { what, counts, limit } of BUDGET) {
    let [raw, gzip, brotli] = [0, 0, 0];
    for (const path of files('www').filter(counts)) {
      const bytes = readFileSync(join(ROOT, path));
      raw += bytes.length;
      gzip += gzipSync(bytes, { level: 9 }).length;
      brotli += brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
    }
    const kb = (/** @type {number} */ bytes) => `${(bytes / KB).toFixed(1)} KB`;
    console.log(`${what}: ${kb(raw)}, gzip ${kb(gzip)}, brotli ${kb(brotli)} of ${kb(limit)}`);
    if (brotli > limit) over.push(`${what} is ${kb(brotli)} after brotli, over its budget of ${kb(limit)}`);
  }
  if (over.length > 0) throw new Failure(over.join('; '));
}

program(import.meta.url, async () => sizes());
