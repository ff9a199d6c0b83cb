// What a screen reader hears of a reply: whole sentences, at most every two seconds, and when it is complete.

import { h } from './dom.js';

const PAUSE_MS = 2000;

export class Announcer {
  /** Put this into the tree. */
  node = h('div', { role: 'status', class: 'unseen' });
  #waiting = '';
  #spoken = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** Says something now. @param {string} text */
  say(text) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.node.textContent = `${spoken(this.#waiting)} ${text}`.trim();
    this.#waiting = '';
    this.#spoken = performance.now();
  }

  /** Says the whole sentences of a growing text in good time. @param {string} more */
  grow(more) {
    this.#waiting += more;
    if (this.#timer) return;
    const wait = Math.max(0, this.#spoken + PAUSE_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const end = /^[\s\S]*[.!?:\n]/.exec(this.#waiting)?.[0].length ?? 0;
      if (end === 0) return;
      const rest = this.#waiting.slice(end);
      this.#waiting = this.#waiting.slice(0, end);
      this.say('');
      this.#waiting = rest;
    }, wait);
  }

  /** Forgets what waits. */
  clear() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = '';
    this.node.textContent = '';
  }
}

/** Without Markdown's marks and the addresses of links, which nobody wants to hear. @param {string} text */
function spoken(text) {
  return text.replace(/\]\([^)\s]*\)/g, ' ').replace(/^[ \t]*(?:[-+>]|#{1,6})[ \t]+|[*_`|~[\]]+/gm, '');
}
