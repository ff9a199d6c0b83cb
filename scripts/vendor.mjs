// Copies what the page takes from npm into www/vendor, with its licence: a static host has no node_modules.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, program, ROOT } from './run.mjs';

const VENDOR = join(ROOT, 'www/vendor');

/** Files by their name in www/vendor. `.d.ts` files are there for the type check alone. */
const FILES = {
  'marked.js': 'marked/lib/marked.esm.js',
  'marked.d.ts': 'marked/lib/marked.d.ts',
  'marked.LICENSE': 'marked/LICENSE',
};

/** Copies them all. */
export function vendor() {
  mkdirSync(VENDOR, { recursive: true });
  // What is shipped has a licence that crates may have too; deny.toml is the one list.
  const allowed = /allow = \[([^\]]*)\]/.exec(readFileSync(join(ROOT, 'deny.toml'), 'utf8'))?.[1] ?? '';
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  for (const name of new Set(Object.values(FILES).map((from) => from.split('/')[0]))) {
    const { license } = packages[`node_modules/${name}`] ?? {};
    if (!allowed.includes(`"${license}"`)) throw new Failure(`${name}: its licence, ${license}, is none that deny.toml allows`);
  }
  for (const [name, from] of Object.entries(FILES)) {
    const source = join(ROOT, 'node_modules', from);
    if (name === 'marked.js') writeFileSync(join(VENDOR, name), lexerOf(readFileSync(source, 'utf8')));
    else copyFileSync(source, join(VENDOR, name));
  }
}

/**
 * Marked without what makes HTML, which stands behind its lexer and is a fifth of it.
 * @param {string} code
 */
function lexerOf(code) {
  const name = (/** @type {string} */ what) => new RegExp(`export\\{.*?\\b([\\w$]+) as ${what}\\b`).exec(code)?.[1];
  const [lexer, tokenizer, renderer] = ['Lexer', 'Tokenizer', 'Renderer'].map(name);
  const end = code.indexOf(`var ${renderer}=class`);
  if (!lexer || !tokenizer || !(end > code.indexOf(`var ${lexer}=class`))) throw new Failure('marked has another shape now: see scripts/vendor.mjs');
  const lean = code.slice(0, end).replace(/\n\/\*\*\n \* DO NOT EDIT[^]*?\*\/\n/, '');
  return `${lean}\nexport{${lexer} as Lexer,${tokenizer} as Tokenizer};\n`;
}

program(import.meta.url, async () => vendor());
