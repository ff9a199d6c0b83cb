// Questions that wait until the reply before them is done. Each can be taken back.

import { h, icon } from './dom.js';
import { TEXT } from './text.js';

export class Waiting {
  node = h('ul', { class: 'waiting', 'aria-label': TEXT.waiting, hidden: true });
  /** @type {{text: string, item: HTMLElement, done: () => void}[]} */ #list = [];

  /** @param {string} text @returns {Promise<void>} until it was answered or taken back */
  add(text) {
    const button = h('button', { type: 'button', class: 'tool', 'aria-label': TEXT.takeBack, title: TEXT.takeBack }, icon('M6 6l12 12M18 6 6 18'));
    const item = h('li', {}, h('span', { dir: 'auto' }, text), button);
    return new Promise((resolve) => {
      const one = { text, item, done: resolve };
      button.addEventListener('click', () => {
        this.#list = this.#list.filter((other) => other !== one);
        this.#drop(one);
        one.done();
      });
      this.#list.push(one);
      this.node.append(item);
      this.node.hidden = false;
    });
  }

  /** The next one, whose turn it is. */
  take() {
    const one = this.#list.shift();
    if (one) this.#drop(one);
    return one;
  }

  clear() {
    for (let one = this.take(); one; one = this.take()) one.done();
  }

  /** @param {{item: HTMLElement}} one */
  #drop({ item }) {
    item.remove();
    this.node.hidden = this.#list.length === 0;
  }
}
