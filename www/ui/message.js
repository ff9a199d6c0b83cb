// One message of the transcript: a question, or a reply that grows.

import { h } from './dom.js';
import { duration, speed } from './format.js';
import { PlainView } from './plain.js';
import { Prose } from './prose.js';

/** @param {string} text */
export function question(text) {
  const body = h('div', { class: 'body' });
  const view = new PlainView(body);
  view.append(text);
  view.finish();
  return h('article', { part: 'message message-user', class: 'user' }, h('h3', { class: 'unseen' }, 'You'), body);
}

/** A reply: status while nothing has come, reasoning that folds away, text, and how fast it was. */
export class Reply {
  #body = h('div', { class: 'body' });
  #status = h('p', { class: 'status' });
  #meta = h('p', { class: 'meta', part: 'meta', hidden: true });
  #summary = h('summary', {}, 'Thinking…');
  #thoughts = h('div', { class: 'thoughts' });
  #details = h('details', { part: 'reasoning', hidden: true }, this.#summary, this.#thoughts);
  #text = new Prose(this.#body);
  #reasoning = new Prose(this.#thoughts);
  #thinkingSince = 0;
  /** Put this into the transcript. */
  node = h(
    'article',
    { part: 'message message-assistant', class: 'assistant', 'aria-busy': 'true' },
    h('h3', { class: 'unseen' }, 'Reply'),
    this.#status,
    this.#details,
    this.#body,
    this.#meta,
  );

  /** @type {boolean} */ #hidden;

  /** @param {{reasoning: 'hidden' | 'folded' | 'open'}} options */
  constructor({ reasoning }) {
    this.#hidden = reasoning === 'hidden';
    this.#details.open = reasoning === 'open';
  }

  get text() {
    return this.#text.text;
  }

  get reasoning() {
    return this.#reasoning.text;
  }

  /** What is going on while there is no text yet. @param {string} text */
  wait(text) {
    this.#status.textContent = text;
    this.#status.hidden = text === '';
  }

  /** @param {{content?: string | null, reasoning_content?: string | null}} delta */
  add({ content, reasoning_content: reasoning }) {
    if (reasoning) {
      this.#thinkingSince ||= performance.now();
      this.#reasoning.append(reasoning);
      this.#details.hidden = this.#hidden;
      this.wait(this.#hidden ? 'Thinking…' : '');
    }
    if (content) {
      this.wait('');
      this.#thought();
      this.#text.append(content);
    }
  }

  /**
   * The last word on this reply.
   * @param {{note?: string, perSecond?: number, tokens?: number}} [how]
   */
  finish({ note = '', perSecond = 0, tokens = 0 } = {}) {
    this.wait('');
    this.#thought();
    this.#reasoning.finish();
    this.#text.finish();
    this.node.removeAttribute('aria-busy');
    const figures = tokens > 0 ? [`${tokens} ${tokens === 1 ? 'token' : 'tokens'}`] : [];
    if (perSecond > 0) figures.push(speed(perSecond));
    this.#meta.textContent = [note, ...figures].filter(Boolean).join(' · ');
    this.#meta.hidden = this.#meta.textContent === '';
  }

  /** The reasoning is over: its heading says how long it took. */
  #thought() {
    if (this.#thinkingSince === 0) return;
    this.#summary.textContent = `Thought for ${duration((performance.now() - this.#thinkingSince) / 1000)}`;
    this.#thinkingSince = 0;
  }
}
