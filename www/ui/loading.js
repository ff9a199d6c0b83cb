// The download: a bar with bytes, speed and time left.

import { h } from './dom.js';
import { duration, size } from './format.js';
import { TEXT } from './text.js';

/** Seconds over which the speed is averaged. */
const WINDOW_S = 4;

export class Loading {
  #bar = h('progress', { part: 'progress', 'aria-label': TEXT.loading });
  #text = h('span', { class: 'figures' }, TEXT.starting);
  node = h('div', { class: 'loading', hidden: true }, this.#bar, this.#text);
  /** @type {{at: number, loaded: number}[]} */ #seen = [];

  start() {
    this.node.hidden = false;
    this.#seen = [];
    this.#bar.removeAttribute('value');
    this.#text.textContent = TEXT.starting;
  }

  /** @param {import('../protocol.js').Progress} progress */
  show({ loaded, total }) {
    const now = performance.now() / 1000;
    this.#seen.push({ at: now, loaded });
    while (now - this.#seen[0].at > WINDOW_S) this.#seen.shift();
    this.node.hidden = false;
    if (total === 0) return;
    this.#bar.max = total;
    this.#bar.value = loaded;
    if (loaded >= total) {
      this.#text.textContent = `${size(total)} loaded, preparing…`;
      return;
    }
    const first = this.#seen[0];
    const rate = (loaded - first.loaded) / (now - first.at);
    const parts = [`${size(loaded)} of ${size(total)}`];
    if (rate > 0 && Number.isFinite(rate)) parts.push(`${size(rate)}/s`, `${duration((total - loaded) / rate)} left`);
    this.#text.textContent = parts.join(' · ');
  }

  stop() {
    this.node.hidden = true;
  }
}
