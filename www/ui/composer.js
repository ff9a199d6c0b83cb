// Where questions are written: the composer, those that wait, and one being edited. Enter sends, Shift+Enter breaks the line.

import { h, icon } from './dom.js';
import { TEXT } from './text.js';

/** A text box with Send, and Stop while a reply comes. Sends `send` with the text, `stop`, `draft` with what is typed, and `recall` when Up is pressed in the empty box. */
export class Composer extends EventTarget {
  #box = h('textarea', {
    part: 'input',
    rows: '1',
    name: 'question',
    'aria-label': TEXT.message,
    dir: 'auto',
    autocomplete: 'off',
    enterkeyhint: 'send',
  });
  #send = h('button', { type: 'submit', part: 'send', class: 'round', 'aria-label': TEXT.send, title: TEXT.send });
  #stop = h('button', { type: 'button', part: 'stop', class: 'round', 'aria-label': TEXT.stop, title: TEXT.stopTitle });
  node = h('form', { part: 'composer', class: 'composer' }, this.#box, this.#send, this.#stop);
  #busy = false;
  #disabled = false;

  constructor() {
    super();
    this.#send.append(icon('M12 19V5M5.5 11.5 12 5l6.5 6.5'));
    this.#stop.append(icon('M8 8h8v8H8z'));
    this.#box.addEventListener('input', () => {
      this.#fit();
      this.#draft();
    });
    this.#box.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowUp' && this.#box.value === '') {
        event.preventDefault();
        this.dispatchEvent(new Event('recall'));
      }
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.node.requestSubmit();
    });
    this.node.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#box.value.trim();
      if (text === '' || this.#disabled) return;
      this.text = '';
      this.dispatchEvent(new CustomEvent('send', { detail: text }));
    });
    this.#stop.addEventListener('click', () => {
      this.#box.focus();
      this.dispatchEvent(new Event('stop'));
    });
    this.busy = false;
    this.#fit();
  }

  set placeholder(/** @type {string} */ text) {
    this.#box.placeholder = text;
  }

  /** While busy, Stop stands where Send was; what is typed meanwhile brings Send back, beside it. */
  set busy(/** @type {boolean} */ busy) {
    const held = this.#send.matches(':focus');
    this.#busy = busy;
    this.#stop.hidden = !busy;
    this.#fit();
    if (busy && held && this.#send.hidden) this.#stop.focus();
  }

  set disabled(/** @type {boolean} */ disabled) {
    this.#disabled = disabled;
    this.#box.disabled = disabled;
    this.#fit();
  }

  get text() {
    return this.#box.value;
  }

  set text(text) {
    this.#box.value = text;
    this.#fit();
    this.#draft();
  }

  focus() {
    this.#box.focus();
  }

  /** Puts a text where the caret is. @param {string} text */
  insert(text) {
    this.#box.setRangeText(text, this.#box.selectionStart, this.#box.selectionEnd, 'end');
    this.#box.dispatchEvent(new Event('input'));
    this.focus();
  }

  /** Grows the box with its text, up to the height that the style sheet allows. */
  #fit() {
    this.#send.hidden = this.#busy && this.#box.value.trim() === '';
    this.#send.disabled = this.#disabled || this.#box.value.trim() === '';
    this.#box.rows = Math.min(8, this.#box.value.split('\n').length);
  }

  #draft() {
    this.dispatchEvent(new CustomEvent('draft', { detail: this.#box.value }));
  }
}

/** Questions that wait until the reply before them is done. Each can be taken back. Sends `change`. */
export class Waiting extends EventTarget {
  node = h('ul', { class: 'waiting', 'aria-label': TEXT.waiting, hidden: true });
  /** @type {{text: string, item: HTMLElement, done: () => void}[]} */ #list = [];

  /** @returns {string[]} */
  get texts() {
    return this.#list.map(({ text }) => text);
  }

  /** @param {string} text @returns {Promise<void>} until it was answered or taken back */
  add(text) {
    const button = h('button', { type: 'button', class: 'tool', 'aria-label': TEXT.takeBack, title: TEXT.takeBack }, icon('M6 6l12 12M18 6 6 18'));
    const item = h('li', {}, h('span', { dir: 'auto' }, text), button);
    return new Promise((resolve) => {
      const one = { text, item, done: resolve };
      button.addEventListener('click', () => {
        this.#list = this.#list.filter((other) => other !== one);
        this.#drop(one);
        one.done();
      });
      this.#list.push(one);
      this.node.append(item);
      this.#changed();
    });
  }

  /** The next one, whose turn it is. */
  take() {
    const one = this.#list.shift();
    if (one) this.#drop(one);
    return one;
  }

  clear() {
    for (let one = this.take(); one; one = this.take()) one.done();
  }

  /** @param {{item: HTMLElement}} one */
  #drop({ item }) {
    item.remove();
    this.#changed();
  }

  #changed() {
    this.node.hidden = this.#list.length === 0;
    this.dispatchEvent(new Event('change'));
  }
}

/**
 * A question being edited, in its own place. Enter asks, Escape leaves it as it was.
 * @param {string} text
 * @param {{save: (text: string) => void, cancel: () => void}} then
 */
export function editor(text, { save, cancel }) {
  const box = h('textarea', { 'aria-label': TEXT.editLabel, rows: '2', dir: 'auto' });
  box.value = text;
  box.rows = Math.min(10, text.split('\n').length + 1);
  const leave = h('button', { type: 'button', class: 'plain' }, TEXT.cancel);
  const ask = h('button', { type: 'submit', class: 'plain solid' }, TEXT.ask);
  const form = h('form', { class: 'editor' }, box, h('div', { class: 'row' }, leave, ask));
  leave.addEventListener('click', cancel);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (box.value.trim() !== '') save(box.value.trim());
  });
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation(); // it stops this, not a reply
      cancel();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  queueMicrotask(() => box.focus());
  return form;
}
