// One message of the transcript: a question, or a reply that grows.

import { editor } from './composer.js';
import { h } from './dom.js';
import { duration, number, speed } from './format.js';
import { PlainView, Prose } from './prose.js';
import { TEXT } from './text.js';
import { Tools } from './tools.js';

/** @typedef {import('../thread.js').Entry} Entry */

/** How replies show reasoning. @typedef {'hidden' | 'folded' | 'open'} Reasoning */

export class Question {
  #body = h('div', { class: 'body' });
  tools = new Tools(['copy', 'edit', 'regenerate', 'delete']);
  #bubble = h('div', { class: 'bubble' }, this.#body);
  node = h('article', { part: 'message message-user', class: 'user' }, h('h2', { class: 'unseen' }, TEXT.you), this.#bubble, this.tools.node);

  /** @param {Entry} entry */
  constructor(entry) {
    new PlainView(this.#body).append(entry.content);
  }

  /** A question is answered anew where nothing answers it. @param {Entry} _ @param {{last: boolean, busy: boolean}} how */
  update(_, { last, busy }) {
    this.tools.offer('regenerate', last && !busy);
  }

  /** @param {string} text @param {(text: string) => void} save */
  edit(text, save) {
    if (this.node.classList.contains('editing')) return;
    const close = () => {
      form.replaceWith(this.#bubble, this.tools.node);
      this.node.classList.remove('editing');
      this.tools.focus('edit');
    };
    const form = editor(text, {
      cancel: close,
      save: (changed) => {
        close();
        save(changed);
      },
    });
    this.#bubble.replaceWith(form);
    this.tools.node.remove();
    this.node.classList.add('editing');
  }
}

/** A reply: status while nothing has come, reasoning that folds away, text, and how fast it was. */
export class Reply {
  #body = h('div', { class: 'body' });
  #status = h('p', { class: 'status', hidden: true });
  #meta = h('p', { class: 'meta', part: 'meta', hidden: true });
  #summary = h('summary', {}, TEXT.thinking);
  #thoughts = h('div', { class: 'thoughts' });
  #details = h('details', { part: 'reasoning', hidden: true }, this.#summary, this.#thoughts);
  #text = new Prose(this.#body);
  #reasoning = new Prose(this.#thoughts);
  #thinkingSince = 0;
  #live = false;
  /** Seconds of reasoning. */ thought = 0;
  tools = new Tools(['copy', 'resume', 'regenerate', 'delete']);
  /** Put this into the transcript. */
  node = h(
    'article',
    { part: 'message message-assistant', class: 'assistant' },
    h('h2', { class: 'unseen' }, TEXT.reply),
    this.#status,
    this.#details,
    this.#body,
    h('div', { class: 'under' }, this.tools.node, this.#meta),
  );

  /** @type {boolean} */ #hidden;

  /** @param {Entry} entry @param {Reasoning} reasoning */
  constructor(entry, reasoning) {
    this.#hidden = reasoning === 'hidden';
    this.#details.open = reasoning === 'open';
    this.reset(entry);
    this.finish(entry);
  }

  /** Shows what there is of a reply, and no more. @param {Entry} entry */
  reset({ content, reasoning_content: reasoning = '', thought = 0 }) {
    this.#text.reset(content);
    this.#reasoning.reset(reasoning);
    this.thought = thought;
    this.#details.hidden = this.#hidden || reasoning === '';
    if (reasoning) this.#summary.textContent = thought > 0 ? TEXT.thoughtFor(duration(thought)) : TEXT.thought;
  }

  /** More will come. @param {string} status */
  begin(status) {
    this.#live = true;
    this.node.setAttribute('aria-busy', 'true');
    this.tools.node.hidden = this.#meta.hidden = true;
    this.wait(status);
  }

  /** What is going on while there is no text yet. @param {string} text */
  wait(text) {
    this.#status.textContent = text;
    this.#status.hidden = text === '';
  }

  /** @param {{content?: string | null, reasoning_content?: string | null}} delta */
  add({ content, reasoning_content: reasoning }) {
    if (reasoning) {
      this.#thinkingSince ||= performance.now() - this.thought * 1000;
      this.#reasoning.append(reasoning);
      this.#details.hidden = this.#hidden;
      this.#summary.textContent = TEXT.thinking;
      this.wait(this.#hidden ? TEXT.thinking : '');
    }
    if (content) {
      this.wait('');
      this.#thoughtOver();
      this.#text.append(content);
    }
  }

  /** The last word on this reply. @param {Entry} entry */
  finish({ end = 'done', tokens = 0, speed: perSecond = 0 }) {
    this.#live = false;
    this.wait('');
    this.#thoughtOver();
    this.#reasoning.finish();
    this.#text.finish();
    this.node.removeAttribute('aria-busy');
    this.tools.node.hidden = false;
    const figures = tokens > 0 ? [TEXT.tokens(number(tokens), tokens)] : [];
    if (perSecond > 0) figures.push(speed(perSecond));
    this.#meta.textContent = [TEXT.ends[end], ...figures].filter(Boolean).join(' · ');
    this.#meta.hidden = this.#meta.textContent === '';
  }

  /** `more`: whether a reply that was cut at its length may be longer. @param {Entry} entry @param {{last: boolean, busy: boolean, more: boolean}} how */
  update(entry, { last, busy, more }) {
    const { end = 'done' } = entry;
    this.tools.offer('resume', last && !busy && (end === 'length' ? more : end !== 'done'));
    // Another tab may have written more of it.
    if (this.#live || (entry.content === this.#text.text && (entry.reasoning_content ?? '') === this.#reasoning.text)) return;
    this.reset(entry);
    this.finish(entry);
  }

  /** The reasoning is over: its heading says how long it took. */
  #thoughtOver() {
    if (this.#thinkingSince === 0) return;
    this.thought = (performance.now() - this.#thinkingSince) / 1000;
    this.#summary.textContent = TEXT.thoughtFor(duration(this.thought));
    this.#thinkingSince = 0;
  }
}
