// The text of a message: a question as it was typed, a reply as Markdown, and plain until the library for it is there.

import { h } from './dom.js';

/** @typedef {typeof import('../markdown/view.js').MarkdownView} Kind */

/** Characters shown in a frame at most: a long reply that is opened comes in several. */
const SLICE = 8192;

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
  /** What is shown with the next frames: several tokens between two cost what one does, and no frame more than a slice. */ #more = '';
  #frame = 0;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
    this.#view = kind ? new kind(container) : new PlainView(container);
    if (!kind) loadMarkdown().then(() => this.#again(this.text));
  }

  get text() {
    return this.#view.text + this.#more;
  }

  /** @param {string} more */
  append(more) {
    this.#more += more;
    this.#finished = false;
    this.#wait();
  }

  #wait() {
    this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  #show() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const now = this.#more.slice(0, SLICE);
    this.#more = this.#more.slice(SLICE);
    if (now !== '') this.#view.append(now);
    if (this.#more !== '') this.#wait();
    else if (this.#finished) this.#view.finish();
  }

  /** No more will come. */
  finish() {
    this.#finished = true;
    this.#show();
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
    this.#more = text;
    this.#show();
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
