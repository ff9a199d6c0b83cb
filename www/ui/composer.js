// The composer: a text box with Send, and Stop while a reply comes. Enter sends, Shift+Enter breaks the line.

import { h, icon } from './dom.js';
import { TEXT } from './text.js';

/** Sends `send` with the text, `stop`, `draft` with what is typed, and `recall` when Up is pressed in the empty box. */
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
      this.#box.value = '';
      this.#fit();
      this.#draft();
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

  focus() {
    this.#box.focus();
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
