// What went wrong or was done, and the one thing to do about it.

import { h } from './dom.js';

export class Notice {
  #title = h('strong');
  #text = h('span');
  #code = h('code');
  #action = h('button', { type: 'button', class: 'plain' });
  node = h(
    'div',
    { role: 'alert', part: 'notice', class: 'notice', hidden: true },
    h('p', {}, this.#title, ' ', this.#text, ' ', this.#code),
    this.#action,
  );
  #act = () => {};

  constructor() {
    this.#action.addEventListener('click', () => this.#act());
  }

  /** @param {{title: string, text?: string, code?: string, label: string, act: () => void}} what `code` is an error's */
  show({ title, text = '', code = '', label, act }) {
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#code.textContent = code;
    this.#action.textContent = label;
    this.#act = act;
    this.node.classList.toggle('bad', code !== '');
    this.node.hidden = false;
  }

  hide() {
    this.node.hidden = true;
  }
}
