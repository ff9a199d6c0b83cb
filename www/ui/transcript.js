// The transcript: messages in a log that follows its end unless the reader has scrolled away from it.

import { h } from './dom.js';
import { Reply, question } from './message.js';

/** Pixels from the end within which the reader counts as being at it. */
const NEAR = 48;

export class Transcript {
  #list = h('div', { class: 'messages' });
  #start = h('div', { class: 'start' });
  // A log is announced as it grows unless told otherwise; the announcer speaks for it, in sentences.
  node = h(
    'div',
    { role: 'log', part: 'log', class: 'log', 'aria-live': 'off', 'aria-label': 'Conversation', tabindex: '0' },
    this.#start,
    this.#list,
  );
  #following = true;

  constructor() {
    this.node.addEventListener('scroll', () => {
      this.#following = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < NEAR;
    });
    new ResizeObserver(() => this.follow()).observe(this.node);
  }

  /** What stands there before the first message. @param {...Node} nodes */
  welcome(...nodes) {
    this.#start.replaceChildren(...nodes);
  }

  get empty() {
    return this.#list.childElementCount === 0;
  }

  /** @param {string} text */
  ask(text) {
    this.#following = true;
    this.#put(question(text));
  }

  /** @param {{reasoning: 'hidden' | 'folded' | 'open'}} options */
  reply(options) {
    const reply = new Reply(options);
    this.#put(reply.node);
    return reply;
  }

  clear() {
    this.#list.replaceChildren();
    this.#start.hidden = false;
  }

  /** Scrolls to the end if the reader is there. */
  follow() {
    if (this.#following && !this.empty) this.node.scrollTop = this.node.scrollHeight;
  }

  /** @param {HTMLElement} node */
  #put(node) {
    this.#start.hidden = true;
    this.#list.append(node);
    this.follow();
  }
}
