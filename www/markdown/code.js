// A block of code: its language, a button that copies it, and the text.

import { colour } from '../code/highlight.js';
import { copyBy } from '../ui/clipboard.js';
import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';

/** Lines in one piece: a browser lays out again the piece that grows, not those before it. */
const PIECE = 40;

export class CodeBlock {
  #language;
  #code = h('code', { dir: 'ltr' });
  /** Complete lines of the piece that grows. @type {Text} */ #last = document.createTextNode('');
  /** The line that has no end yet. */ #open = document.createTextNode('');
  #lines = 0;
  node;

  /** @param {string} language */
  constructor(language) {
    this.#language = language;
    const name = language || TEXT.plainCode;
    const label = language ? `${TEXT.code}, ${language}` : TEXT.code;
    const pre = h('pre', { part: 'code', tabindex: '0', role: 'region', 'aria-label': label }, this.#code);
    const head = h('div', { class: 'code-head', part: 'code-toolbar' }, h('span', { dir: 'auto' }, name), copyButton(() => this.text));
    this.node = h('div', { class: 'code-block' }, head, pre);
    this.#code.append(this.#last, this.#open);
  }

  get text() {
    return (this.#code.textContent ?? '').replace(/\n$/, '');
  }

  /** A complete line. @param {string} line */
  add(line) {
    this.#last.appendData(`${line}\n`);
    this.#lines += 1;
    if (this.#lines % PIECE !== 0) return;
    const piece = h('span', { class: 'piece' });
    this.#last.replaceWith(piece);
    piece.append(this.#last);
    this.#last = document.createTextNode('');
    this.#open.before(this.#last);
  }

  /** The line that is being written. @param {string} line */
  show(line) {
    if (this.#open.data !== line) this.#open.data = line;
  }

  /** No more will come: its words may be told apart. */
  finish() {
    colour(this.#code, this.#language);
  }
}

/**
 * A button that copies a text and says so for a moment.
 * @param {() => string} text
 */
export function copyButton(text) {
  const button = h('button', { type: 'button', class: 'plain copy' }, TEXT.copy);
  button.addEventListener('click', () => copyBy(button, text(), { ...TEXT, label: TEXT.copy }));
  return button;
}
