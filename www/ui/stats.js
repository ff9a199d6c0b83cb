// Where the model runs, and how fast a reply comes.

import { h } from './dom.js';
import { speed, where } from './format.js';

/** @typedef {Parameters<typeof where>[0]} Info */

export class Stats {
  node = h('span', { part: 'stats', class: 'stats' });
  /** When the reply's first token came. */
  #first = 0;
  #tokens = 0;

  /** @param {Info} info */
  show(info) {
    this.node.textContent = where(info);
  }

  /** Another reply will come. */
  begin() {
    this.#first = this.#tokens = 0;
  }

  /** A token came. @param {Info} info */
  count(info) {
    this.#first ||= performance.now();
    this.#tokens += 1;
    const seconds = (performance.now() - this.#first) / 1000;
    this.show(info);
    if (seconds > 0.5) this.node.textContent += ` · ${speed((this.#tokens - 1) / seconds)}`;
  }
}
