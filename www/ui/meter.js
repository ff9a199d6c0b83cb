// How much of the context is used: by the conversation, and by what is being typed.

import { h } from './dom.js';
import { number } from './format.js';
import { TEXT } from './text.js';

/** Milliseconds without a key before a draft is counted. */
const PAUSE_MS = 300;

export class Meter {
  #bar = h('span', { class: 'bar' });
  #fill = h('span', { class: 'fill' });
  #text = h('span');
  node = h('span', { class: 'meter', part: 'meter', role: 'meter', 'aria-label': TEXT.meter, 'aria-valuemin': '0', hidden: true });
  #used = 0;
  #draft = 0;
  #limit = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  constructor() {
    this.#bar.append(this.#fill);
    this.node.append(this.#bar, this.#text);
  }

  /** @param {{used?: number, limit?: number}} what */
  show({ used = this.#used, limit = this.#limit }) {
    this.#used = used;
    this.#limit = limit;
    const all = this.#used + this.#draft;
    this.node.hidden = limit === 0;
    if (limit === 0) return;
    const share = Math.min(1, all / limit);
    this.#fill.style.inlineSize = `${(share * 100).toFixed(1)}%`;
    this.#text.textContent = TEXT.tokensOf(number(all), number(limit));
    this.node.setAttribute('aria-valuemax', String(limit));
    this.node.setAttribute('aria-valuenow', String(Math.min(all, limit)));
    this.node.setAttribute('aria-valuetext', this.#text.textContent);
    this.node.classList.toggle('near', share > 0.85);
  }

  /** Counts a draft once typing pauses. @param {string} text @param {(text: string) => Promise<number>} count */
  draft(text, count) {
    clearTimeout(this.#timer);
    if (text.trim() === '') {
      this.#draft = 0;
      this.show({});
      return;
    }
    this.#timer = setTimeout(async () => {
      this.#draft = await count(text).catch(() => 0);
      this.show({});
    }, PAUSE_MS);
  }
}
