// Formulas in replies: where they stand in Markdown, and their nodes. Until the library for them is there, TeX as it was written.

import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';

/** Characters from which on a formula is text. */
const LONGEST = 2000;
/** Formulas of an open block are made again with every token: the last ones are kept. */
const KEPT = 300;

/** @typedef {(tex: string, display: boolean) => Element} Render */
/** @type {Render | null} */
let render = null;
/** @type {Promise<void> | null} */
let coming = null;
/** What is shown as TeX until then. @type {Set<{node: Element, tex: string, display: boolean}>} */
const waiting = new Set();
/** @type {Map<string, Element | null>} */
const made = new Map();

/** Loads what formulas take, once. */
export function loadMath() {
  coming ??= import('../math/math.js').then(
    (module) => {
      render = module.render;
      for (const { node, tex, display } of waiting) if (node.isConnected) node.replaceWith(formula(tex, display));
      waiting.clear();
    },
    (error) => {
      coming = null; // the next formula tries again
      console.warn('Formulas could not be loaded:', error);
    },
  );
  return coming;
}

/**
 * @param {string} tex
 * @param {boolean} display whether it stands on lines of its own
 * @returns {Element}
 */
export function formula(tex, display) {
  const node = (render && tex.length <= LONGEST && rendered(tex, display)) || h('code', { dir: 'ltr', class: 'tex' }, tex);
  const shown = display ? h('span', { class: 'formula', part: 'math', tabindex: '0', role: 'group', 'aria-label': TEXT.formula }, node) : node;
  if (!render) {
    waiting.add({ node: shown, tex, display });
    loadMath();
  }
  return shown;
}

/** @param {string} tex @param {boolean} display @returns {Element | null} null if it is no TeX */
function rendered(tex, display) {
  const key = `${display} ${tex}`;
  let node = made.get(key);
  if (node === undefined) {
    try {
      node = /** @type {Render} */ (render)(tex, display);
    } catch {
      node = null; // shown as it was written
    }
    made.set(key, node);
    if (made.size > KEPT) made.delete(/** @type {string} */ (made.keys().next().value));
  }
  return node && /** @type {Element} */ (node.cloneNode(true));
}

/** Within a line: `\(…\)`, `\[…\]`, `$$…$$`, and `$…$` where neither side is a space and no figure follows, as prices have it. */
const INLINE = [
  { rule: /^\\\(((?:(?!\\[()]|\n[ \t]*\n)[^])+)\\\)/, display: false },
  { rule: /^\\\[((?:(?!\\[[\]]|\n[ \t]*\n)[^])+)\\\]/, display: true },
  { rule: /^\$\$((?:\\[^]|[^\\$])+)\$\$/, display: true },
  { rule: /^\$(?![\s$])((?:\\[^\n]|[^\\$\n`])+)(?<!\s)\$(?![\d$])/, display: false },
];

/** On lines of its own. What opens like one holds together until a blank line or a fence: it may yet be closed. */
const OPEN = /^ {0,3}(?:\$\$|\\\[)(?:(?!\n[ \t]*\n|\n {0,3}(?:```|~~~))[^])*/;
const CLOSED = /^ {0,3}(?:\$\$((?:\\[^]|[^\\$])+)\$\$|\\\[((?:(?!\\[[\]])[^])+)\\\])[ \t]*(?:\n|$)/;

/** For the lexer. @typedef {{type: string, raw: string, text: string, display?: boolean, tokens?: any[]}} Formula */

/** @param {string} src @returns {Formula | undefined} */
function inline(src) {
  for (const { rule, display } of INLINE) {
    const found = rule.exec(src);
    if (found) return { type: 'math', raw: found[0], text: found[1].trim(), display };
  }
  return undefined;
}

/** @this {{lexer: {inline(text: string, tokens: any[]): unknown}}} @param {string} src @returns {Formula | undefined} */
function block(src) {
  const all = OPEN.exec(src)?.[0];
  if (all === undefined) return undefined;
  const found = CLOSED.exec(all);
  if (found) return { type: 'math', raw: found[0], text: (found[1] ?? found[2]).trim(), display: true };
  const marks = all.trimStart().slice(0, 2);
  if (all.includes(marks === '$$' ? '$$' : '\\]', all.indexOf(marks) + 2)) return undefined; // words follow: a paragraph with a formula in it
  /** @type {any[]} */
  const tokens = [];
  this.lexer.inline(all, tokens);
  return { type: 'paragraph', raw: all, text: all, tokens };
}

/** What the lexer is told. */
export const EXTENSIONS = {
  inline: [inline],
  block: [block],
  startInline: [(/** @type {string} */ src) => src.search(/\$|\\[([]/)],
  startBlock: [(/** @type {string} */ src) => src.search(/\n {0,3}(?:\$\$|\\\[)/)],
  childTokens: {},
  renderers: {},
};
