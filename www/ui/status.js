// What stands above the composer at times: how far the download is; what went wrong or was done.

import { h } from './dom.js';
import { duration, size } from './format.js';
import { TEXT } from './text.js';

/** Seconds over which the speed is averaged. */
const WINDOW_S = 4;

/** A bar with bytes, speed and time left. */
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
      this.#text.textContent = TEXT.preparing(size(total));
      return;
    }
    const first = this.#seen[0];
    const rate = (loaded - first.loaded) / (now - first.at);
    const parts = [TEXT.loaded(size(loaded), size(total))];
    if (rate > 0 && Number.isFinite(rate)) parts.push(`${size(rate)}/s`, TEXT.left(duration((total - loaded) / rate)));
    this.#text.textContent = parts.join(' · ');
  }

  stop() {
    this.node.hidden = true;
  }
}

/** A sentence, and the one thing to do about it. */
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
