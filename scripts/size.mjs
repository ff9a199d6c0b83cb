// The size budget: what a visitor downloads before the first byte of a model, compressed as static hosts do.

import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { Failure, program, ROOT } from './run.mjs';

const KB = 1000;

/**
 * What is counted, by extension, and its limit in bytes after brotli at its best, which takes a quarter of a minute.
 * The engine was 924 KB when this was set; of the page's, 14 are the Markdown library, which comes with the model.
 */
const BUDGET = [
  { what: 'engine (www/pkg)', folder: 'www/pkg', kinds: ['.wasm', '.js'], limit: 940 * KB },
  { what: 'page (www)', folder: 'www', kinds: ['.js', '.css', '.html', '.svg'], limit: 60 * KB },
];

/**
 * @param {string} folder
 * @returns {string[]} files in it and below, without `www/pkg` when that is not the folder asked for
 */
function files(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return path === 'www/pkg' ? [] : files(path);
    return [path];
  });
}

/** Prints every part's size and fails if one is over its budget. */
export function sizes() {
  const over = [];
  for (const { what, folder, kinds, limit } of BUDGET) {
    let [raw, gzip, brotli] = [0, 0, 0];
    for (const path of files(folder).filter((path) => kinds.includes(extname(path)))) {
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
