// The text of a message: a question as it was typed, a reply as Markdown, and plain until the library for it is there.

import { h } from './dom.js';

/** @typedef {typeof import('../markdown/view.js').MarkdownView} Kind */

/** @type {Kind | null} */
let kind = null;
/** @type {(() => Promise<void>) | null} */
let prepare = null;
/** @type {Promise<void> | null} */
let coming = null;

/**
 * Loads what Markdown takes, once. A page that cannot shows replies as plain text.
 * @param {boolean} [whole] also what formulas and the colours of code take, which come with the first of them otherwise
 */
export function loadMarkdown(whole = false) {
  coming ??= import('../markdown/view.js').then(
    (module) => {
      kind = module.MarkdownView;
      prepare = module.prepare;
    },
    (error) => {
      coming = null; // the next reply tries again
      console.warn('Markdown could not be loaded:', error);
    },
  );
  return whole ? coming.then(() => prepare?.()) : coming;
}

export class Prose {
  /** @type {HTMLElement} */ #container;
  /** @type {PlainView | InstanceType<Kind>} */ #view;
  #finished = false;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
    this.#view = kind ? new kind(container) : new PlainView(container);
    if (!kind) loadMarkdown().then(() => this.#again(this.text));
  }

  get text() {
    return this.#view.text;
  }

  /** @param {string} more */
  append(more) {
    this.#view.append(more);
  }

  /** No more will come. */
  finish() {
    this.#finished = true;
    this.#view.finish();
  }

  /** Begins again. @param {string} text */
  reset(text) {
    this.#finished = false;
    this.#again(text);
  }

  /** @param {string} text */
  #again(text) {
    this.#container.replaceChildren();
    this.#view = kind ? new kind(this.#container) : new PlainView(this.#container);
    this.#view.append(text);
    if (this.#finished) this.#view.finish();
  }
}

/** Text in one paragraph that keeps its lines. */
export class PlainView {
  #text = document.createTextNode('');

  /** @param {HTMLElement} container */
  constructor(container) {
    container.append(h('p', { dir: 'auto', class: 'plain-text' }, this.#text));
  }

  get text() {
    return this.#text.data;
  }

  /** @param {string} more */
  append(more) {
    this.#text.appendData(more);
  }

  /** No more will come. */
  finish() {}
}
