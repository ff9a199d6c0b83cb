// Lists the page's own files for its service worker: those of index.html and www, without weights. A change of any changes the list.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { program, ROOT, say } from './run.mjs';

/** Not the page's: weights, types, licences, the module that the worker makes of the other, and the list. */
const OTHERS = /^www\/(?:model\/|pwa\/files\.js$)|\.d\.ts$|\.LICENSE$|_threads\.wasm$/;

/** Writes www/pwa/files.js. */
export function listFiles() {
  const found = readdirSync(join(ROOT, 'www'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1).replaceAll('\\', '/'))
    .filter((path) => !OTHERS.test(path))
    .sort();
  const hash = createHash('sha256');
  for (const path of ['index.html', 'sw.js', ...found]) hash.update(path).update(readFileSync(join(ROOT, path)));
  const list = { version: hash.digest('hex').slice(0, 16), files: ['./', ...found] };
  writeFileSync(join(ROOT, 'www/pwa/files.js'), `// What the service worker keeps; written by scripts/files.mjs.\nself.MOEBIUS_FILES = ${JSON.stringify(list)};\n`);
  say(`www/pwa/files.js: ${found.length + 1} files, version ${list.version}`);
}

program(import.meta.url, async () => listFiles());
