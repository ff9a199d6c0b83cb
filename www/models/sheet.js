// A dialog with a heading, a way out, and what is between.

import { looks } from '../sheets/looks.js';
import { h, icon } from '../ui/dom.js';
import { TEXT } from './texts.js';

export class Sheet extends EventTarget {
  #title = h('h2');
  body = h('div', { class: 'sheet-body' });
  foot = h('div', { class: 'row' });
  node;

  /** @param {string} [title] */
  constructor(title = '') {
    super();
    looks('sheets/sheets.css');
    looks('models/models.css');
    const close = button(TEXT.close, () => this.close(), { class: 'square', 'aria-label': TEXT.close, title: TEXT.close });
    close.replaceChildren(icon('M6 6l12 12M18 6 6 18'));
    this.node = h('dialog', { class: 'sheet tall' }, h('div', { class: 'sheet-head' }, this.#title, close), this.body, this.foot);
    this.title = title;
    this.node.addEventListener('click', (event) => {
      if (event.target === this.node) this.close(); // beside it
    });
    this.node.addEventListener('close', () => this.dispatchEvent(new Event('close')));
    document.body.append(this.node);
  }

  set title(/** @type {string} */ title) {
    this.#title.textContent = title;
    this.node.setAttribute('aria-label', title);
  }

  get isOpen() {
    return this.node.open;
  }

  show() {
    if (!this.node.open) this.node.showModal();
    this.body.scrollTop = 0;
  }

  close() {
    this.node.close();
  }
}

/** @param {string} text @param {() => void} act @param {Record<string, string | boolean>} [attributes] */
export function button(text, act, attributes = {}) {
  const node = h('button', { type: 'button', class: 'wide', ...attributes }, text);
  node.addEventListener('click', act);
  return node;
}

/** How well it fits, as a word with a colour. @param {import('./verdict.js').Fit} fit @param {string} [word] another one */
export function badge(fit, word = TEXT.fit[fit]) {
  return h('span', { class: `badge ${fit}` }, word);
}
