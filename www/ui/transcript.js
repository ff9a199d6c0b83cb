// The transcript: messages in a log that follows its end unless the reader has scrolled away from it.

import { h } from './dom.js';
import { Question, Reply } from './message.js';
import { TEXT } from './text.js';

/** @typedef {import('../thread.js').Entry} Entry */
/** @typedef {import('../thread.js').Thread} Thread */
/** @typedef {import('./tools.js').Action} Action */

/** Pixels from the end within which the reader counts as being at it. */
const NEAR = 48;

/** Sends `action` with `{action, id}`. */
export class Transcript extends EventTarget {
  #list = h('div', { class: 'messages' });
  #start = h('div', { class: 'start' });
  // A log is announced as it grows unless told otherwise; the announcer speaks for it, in sentences.
  node = h(
    'div',
    { role: 'log', part: 'log', class: 'log', 'aria-live': 'off', 'aria-label': TEXT.conversation, tabindex: '0' },
    this.#start,
    this.#list,
  );
  /** @type {Map<string, Question | Reply>} */ #views = new Map();
  #following = true;
  #frame = 0;

  constructor() {
    super();
    this.node.addEventListener('scroll', () => {
      this.#following = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < NEAR;
    });
    new ResizeObserver(() => this.follow()).observe(this.node);
    this.#list.addEventListener('action', (event) => {
      const { id } = /** @type {HTMLElement} */ (/** @type {Element} */ (event.target).closest('article')).dataset;
      if (id) this.dispatchEvent(new CustomEvent('action', { detail: { action: /** @type {CustomEvent} */ (event).detail, id } }));
    });
  }

  /** What stands there before the first message. @param {...Node} nodes */
  welcome(...nodes) {
    this.#start.replaceChildren(...nodes);
  }

  get empty() {
    return this.#views.size === 0;
  }

  /**
   * Shows the path of a conversation. What is there already stays as it is.
   * @param {Thread} thread @param {{reasoning: import('./message.js').Reasoning, busy: boolean, more: boolean}} how
   */
  show(thread, { reasoning, busy, more }) {
    const path = thread.path().filter(({ role }) => role !== 'system');
    const wanted = new Set(path.map(({ id }) => id));
    for (const [id, { node }] of this.#views) {
      if (wanted.has(id)) continue;
      node.remove();
      this.#views.delete(id);
    }
    for (const [index, entry] of path.entries()) {
      let view = this.#views.get(entry.id);
      if (!view) {
        view = entry.role === 'user' ? new Question(entry) : new Reply(entry, reasoning);
        view.node.dataset.id = entry.id;
        this.#views.set(entry.id, view);
      }
      if (this.#list.children[index] !== view.node) this.#list.insertBefore(view.node, this.#list.children[index] ?? null);
      const branches = thread.branches(entry.parent);
      view.tools.versions(branches.indexOf(entry), branches.length);
      view.update(entry, { last: index === path.length - 1, busy, more });
    }
    this.#start.hidden = path.length > 0;
    this.follow();
  }

  /** @param {string} id */
  view(id) {
    return this.#views.get(id);
  }

  /** Goes to the end and stays there. */
  end() {
    this.#following = true;
    this.follow();
  }

  /** Scrolls to the end if the reader is there, once a frame: asking how tall the log is costs a layout. */
  follow() {
    if (!this.#following || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#following && !this.empty) this.node.scrollTop = this.node.scrollHeight;
    });
  }
}
