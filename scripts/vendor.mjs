// Copies what the page takes from npm into www/vendor, with its licence: a static host has no node_modules.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { program, ROOT } from './run.mjs';

const VENDOR = join(ROOT, 'www/vendor');

/** Files by their name in www/vendor. `.d.ts` files are there for the type check alone. */
const FILES = {
  'marked.js': 'marked/lib/marked.esm.js',
  'marked.d.ts': 'marked/lib/marked.d.ts',
  'marked.LICENSE': 'marked/LICENSE',
};

/** Copies what is missing or another version. */
export function vendor() {
  mkdirSync(VENDOR, { recursive: true });
  for (const [name, from] of Object.entries(FILES)) {
    const source = join(ROOT, 'node_modules', from);
    if (!name.endsWith('.js')) copyFileSync(source, join(VENDOR, name));
    // The map is not shipped, and a browser's tools would ask for it.
    else writeFileSync(join(VENDOR, name), readFileSync(source, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));
  }
}

program(import.meta.url, async () => vendor());
