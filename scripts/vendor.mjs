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
  'temml.js': 'temml/dist/temml.min.js',
  'temml.LICENSE': 'temml/LICENSE',
  'highlight.js': '@highlightjs/cdn-assets/es/core.min.js',
  'highlight.LICENSE': '@highlightjs/cdn-assets/LICENSE',
};

/** Languages of code that are told apart by colour. Those that share a name with one of these come with it. */
const GRAMMARS = [
  'bash', 'c', 'cpp', 'csharp', 'css', 'diff', 'go', 'ini', 'java', 'javascript', 'json', 'kotlin', 'lua', 'markdown', 'php',
  'powershell', 'python', 'ruby', 'rust', 'sql', 'swift', 'typescript', 'xml', 'yaml',
]; // prettier-ignore

/** What is shipped otherwise than it came, by name. @type {Record<string, (code: string) => string>} */
const CHANGED = {
  'marked.js': lexerOf,
  'temml.js': (code) => `// @ts-nocheck\n${code}\nexport default temml;\n`,
  'highlight.js': withGrammars,
};

/** Copies them all. */
export function vendor() {
  mkdirSync(VENDOR, { recursive: true });
  // What is shipped has a licence that crates may have too; deny.toml is the one list.
  const allowed = /allow = \[([^\]]*)\]/.exec(readFileSync(join(ROOT, 'deny.toml'), 'utf8'))?.[1] ?? '';
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  for (const name of new Set(Object.values(FILES).map((from) => /^(@[^/]+\/)?[^/]+/.exec(from)?.[0]))) {
    const { license } = packages[`node_modules/${name}`] ?? {};
    if (!allowed.includes(`"${license}"`)) throw new Failure(`${name}: its licence, ${license}, is none that deny.toml allows`);
  }
  for (const [name, from] of Object.entries(FILES)) {
    const source = join(ROOT, 'node_modules', from);
    if (Object.hasOwn(CHANGED, name)) writeFileSync(join(VENDOR, name), CHANGED[name](readFileSync(source, 'utf8')));
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

/**
 * Highlight.js and the grammars in one module: a file for each would be as many requests.
 * @param {string} core
 */
function withGrammars(core) {
  const grammars = GRAMMARS.map((name) => {
    const code = readFileSync(join(ROOT, `node_modules/@highlightjs/cdn-assets/es/languages/${name}.min.js`), 'utf8');
    const body = /var hljsGrammar=([^]*?);?\s*export default hljsGrammar;/.exec(code)?.[1];
    if (!body) throw new Failure(`highlight.js: the grammar of ${name} has another shape now: see scripts/vendor.mjs`);
    return `te.registerLanguage(${JSON.stringify(name)},${body.trim().replace(/;$/, '')});`;
  });
  const exported = 'export{te as default};';
  if (!core.includes(exported)) throw new Failure('highlight.js has another shape now: see scripts/vendor.mjs');
  return `// @ts-nocheck\n${core.replace(exported, () => `${grammars.join('\n')}\n${exported}`)}`;
}

program(import.meta.url, async () => vendor());
