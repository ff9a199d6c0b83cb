// What went wrong, what is kept, and the one thing to do about it.

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

  /**
   * @param {{title: string, error: import('../protocol.js').MoebiusError, label: string, act: () => void}} what
   */
  show({ title, error, label, act }) {
    this.#title.textContent = title;
    this.#text.textContent = error.message;
    this.#code.textContent = error.code;
    this.#action.textContent = label;
    this.#act = act;
    this.node.hidden = false;
  }

  hide() {
    this.node.hidden = true;
  }
}
