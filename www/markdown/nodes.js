// From Markdown tokens to nodes. What is not listed here becomes text: there is nothing to sanitise.

import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';
import { CodeBlock } from './code.js';
import { formula } from './formula.js';

/** A token of marked's lexer. @typedef {import('../vendor/marked.js').Token & Record<string, any>} Token */

/** By depth. A message's own heading is the second level; replies begin with one mark as often as with two. @type {('h3' | 'h4' | 'h5')[]} */
const HEADINGS = ['h3', 'h3', 'h4', 'h5'];

/** Characters of an address that are shown; the whole of it is in the tooltip. */
const SHOWN = 64;

/** Named characters that models write. @type {Record<string, string>} */
const NAMED = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©' };

/** @type {Record<string, (token: Token) => Node>} */
const BLOCKS = {
  paragraph: (token) => h('p', { dir: 'auto' }, inline(token.tokens)),
  heading: (token) => h(HEADINGS[Math.min(token.depth, 4) - 1], { dir: 'auto' }, inline(token.tokens)),
  hr: () => h('hr'),
  blockquote: (token) => h('blockquote', { dir: 'auto' }, blocks(token.tokens)),
  code(token) {
    const block = new CodeBlock(language(token.lang));
    for (const line of token.text.split('\n')) block.add(line);
    block.finish();
    return block.node;
  },
  list(token) {
    const list = listOf(token);
    list.append(...token.items.map(item));
    return list;
  },
  table(token) {
    const { node, body } = tableOf(token);
    body.append(...token.rows.map(row));
    return node;
  },
  math: (token) => h('p', {}, formula(token.text, true)),
  text: (token) => (token.tokens ? inline(token.tokens) : words(token.text)),
  checkbox: (token) => checkbox(token.checked),
  space: () => document.createTextNode(''),
};

/** @type {Record<string, (token: Token) => Node>} */
const INLINES = {
  strong: (token) => h('strong', {}, inline(token.tokens)),
  em: (token) => h('em', {}, inline(token.tokens)),
  del: (token) => h('s', {}, inline(token.tokens)),
  codespan: (token) => h('code', { dir: 'ltr' }, token.text),
  br: () => h('br'),
  link: (token) => link(decode(token.href), inline(token.tokens)),
  // Never fetched: who serves an image learns that it was shown, and what its address says.
  image: (token) => link(decode(token.href), document.createTextNode(`${TEXT.image}: ${decode(token.text) || TEXT.notFetched}`)),
  math: (token) => formula(token.text, token.display),
  escape: (token) => words(token.text),
  text: (token) => (token.tokens ? inline(token.tokens) : words(token.text)),
  checkbox: (token) => checkbox(token.checked),
};

/** @param {Token} token */
export function block(token) {
  return Object.hasOwn(BLOCKS, token.type) ? BLOCKS[token.type](token) : h('p', { dir: 'auto' }, token.raw);
}

/** @param {Token[]} [tokens] */
function blocks(tokens = []) {
  return all(...tokens.map(block));
}

/** @param {Token[]} [tokens] */
function inline(tokens = []) {
  return all(...tokens.map((token) => (Object.hasOwn(INLINES, token.type) ? INLINES[token.type](token) : words(token.raw))));
}

/** An empty list of the token's kind. @param {Token} token */
export function listOf(token) {
  if (!token.ordered) return h('ul');
  const start = Number(token.start);
  return h('ol', start === 1 || !Number.isSafeInteger(start) ? {} : { start: String(start) });
}

/** @param {Token} token */
export function item(token) {
  return h('li', { dir: 'auto', class: token.task ? 'task' : false }, blocks(token.tokens));
}

/** A table with its head, and the body that rows go into. @param {Token} token */
export function tableOf(token) {
  const body = h('tbody');
  const table = h('table', {}, h('thead', {}, row(token.header)), body);
  return { node: h('div', { class: 'table', part: 'table', tabindex: '0', role: 'region', 'aria-label': TEXT.table }, table), body };
}

/** @param {Token[]} cells */
export function row(cells) {
  return h('tr', {}, ...cells.map((cell) => h(cell.header ? 'th' : 'td', { dir: 'auto', class: cell.align ?? false }, inline(cell.tokens))));
}

/** The first word of what stands behind a fence. @param {string} [info] */
export function language(info = '') {
  return (/^[^\s{,]{1,24}/.exec(info)?.[0] ?? '').toLowerCase();
}

/** @param {boolean} checked */
function checkbox(checked) {
  return document.createTextNode(checked ? '☑ ' : '☐ ');
}

/** @param {string} text */
function words(text) {
  return document.createTextNode(decode(text));
}

/** Characters written as `&name;` or by number. Others stay as they are. @param {string} text */
function decode(text) {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w{2,6}));/g, (all, ten, sixteen, name) => {
    if (name) return Object.hasOwn(NAMED, name) ? NAMED[name] : all;
    const point = ten ? Number(ten) : Number.parseInt(sixteen, 16);
    return point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : '\ufffd';
  });
}

/**
 * The address if it is one a reader may follow. Relative ones are none: a model knows nothing of where this page is.
 * One with a name before an `@` is none either, since it looks like another host.
 * @param {string} href
 * @returns {URL | null}
 */
function address(href) {
  try {
    const url = new URL(href);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
    return url.username || url.password ? null : url;
  } catch {
    return null;
  }
}

/**
 * A link, followed by where it leads unless its text says just that. The browser writes hosts of other alphabets in ASCII.
 * @param {string} href
 * @param {Node} label
 */
function link(href, label) {
  const url = address(href);
  const text = label.textContent ?? '';
  if (!url) return all(label, text === href || href === '' ? '' : ` (${href})`);
  const anchor = h('a', { dir: 'auto', href: url.href, rel: 'noopener noreferrer nofollow', target: '_blank', title: url.href }, label);
  if (text === url.href || `${text}/` === url.href) return anchor;
  const shown = url.href.length > SHOWN ? `${url.href.slice(0, SHOWN)}…` : url.href;
  return all(anchor, ' ', h('bdi', { class: 'address' }, `(${shown})`));
}

/** @param {...(Node | string)} parts */
function all(...parts) {
  const fragment = document.createDocumentFragment();
  fragment.append(...parts);
  return fragment;
}
