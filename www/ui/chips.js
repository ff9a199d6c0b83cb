// Questions that are offered before the first one.

import { h } from './dom.js';

/** Sends `pick` with the text of the one that was pressed. */
export class Chips extends EventTarget {
  node = h('div', { class: 'chips' });
  /** @type {string[]} */ #texts = [];

  /** @returns {string[]} */
  get texts() {
    return [...this.#texts];
  }

  set texts(texts) {
    this.#texts = [...texts];
    const chips = this.#texts.map((text) => {
      const chip = h('button', { type: 'button', part: 'suggestion' }, text);
      chip.addEventListener('click', () => this.dispatchEvent(new CustomEvent('pick', { detail: text })));
      return chip;
    });
    this.node.replaceChildren(...chips);
  }
}
