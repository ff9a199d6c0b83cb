// Text as it was typed: paragraphs and code blocks. Each line is looked at once, so long texts cost what they are long.

import { h } from './dom.js';

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;

/** A view of a growing text. Nodes are built with text nodes alone, whatever the text says. */
export class PlainView {
  /** Everything appended so far. */
  text = '';
  /** @type {HTMLElement} */ #container;
  /** The last line, which has no end yet. */
  #line = '';
  /** The open block and its text; null between blocks. @type {{target: Text, text: string} | null} */ #block = null;
  /** The fence that closes the open code block. */
  #fence = '';

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
  }

  /** @param {string} more */
  append(more) {
    this.text += more;
    const lines = (this.#line + more).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) this.#finish(line);
    this.#show();
  }

  /** No more will come. */
  finish() {
    const line = this.#line;
    this.#line = '';
    if (line !== '') this.#finish(line);
    this.#show();
  }

  /** A complete line. @param {string} line */
  #finish(line) {
    const fence = FENCE.exec(line);
    if (this.#fence) {
      if (fence && fence[1].startsWith(this.#fence) && !fence[2].trim()) this.#close();
      else this.#add(line);
    } else if (fence) {
      this.#close();
      this.#fence = fence[1];
      this.#open('code');
    } else if (line.trim() === '') {
      this.#close();
    } else {
      if (!this.#block) this.#open('p');
      this.#add(line);
    }
  }

  /** The unfinished line, unless it may yet turn out to be a fence or a blank one. */
  #show() {
    const line = this.#line;
    const fence = /^ {0,3}(`|~)/.test(line);
    if (!fence && line.trim() !== '' && !this.#block) this.#open('p');
    if (!this.#block) return;
    const { target, text } = this.#block;
    const shown = fence || line === '' ? text : text + (text && '\n') + line;
    if (target.data !== shown) target.data = shown;
  }

  /** @param {string} line */
  #add(line) {
    if (this.#block) this.#block.text += (this.#block.text && '\n') + line;
  }

  #close() {
    if (this.#block) this.#block.target.data = this.#block.text;
    this.#block = null;
    this.#fence = '';
  }

  /** @param {'p' | 'code'} kind */
  #open(kind) {
    const target = document.createTextNode('');
    const block =
      kind === 'p'
        ? h('p', { dir: 'auto' }, target)
        : h('pre', { part: 'code', tabindex: '0', role: 'region', 'aria-label': 'Code' }, h('code', {}, target));
    this.#container.append(block);
    this.#block = { target, text: '' };
  }
}
