// The composer: a text box with Send, which is Stop while a reply comes. Enter sends, Shift+Enter breaks the line.

import { h, icon } from './dom.js';

export class Composer extends EventTarget {
  #box = h('textarea', {
    part: 'input',
    rows: '1',
    name: 'question',
    'aria-label': 'Message',
    autocomplete: 'off',
    enterkeyhint: 'send',
  });
  #send = h('button', { type: 'submit', part: 'send', class: 'round', 'aria-label': 'Send', title: 'Send' });
  #stop = h('button', { type: 'button', part: 'stop', class: 'round', 'aria-label': 'Stop', title: 'Stop (Esc)' });
  node = h('form', { part: 'composer', class: 'composer' }, this.#box, this.#send, this.#stop);
  #busy = false;
  #disabled = false;

  constructor() {
    super();
    this.#send.append(icon('M12 19V5M5.5 11.5 12 5l6.5 6.5'));
    this.#stop.append(icon('M8 8h8v8H8z'));
    this.#box.addEventListener('input', () => this.#fit());
    this.#box.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.node.requestSubmit();
    });
    this.node.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#box.value.trim();
      if (text === '' || this.#busy || this.#disabled) return;
      this.#box.value = '';
      this.#fit();
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

  /** While busy, Stop stands where Send was; typing goes on. */
  set busy(/** @type {boolean} */ busy) {
    const held = this.#send.matches(':focus');
    this.#busy = busy;
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    if (busy && held) this.#stop.focus();
    this.#fit();
  }

  set disabled(/** @type {boolean} */ disabled) {
    this.#disabled = disabled;
    this.#box.disabled = disabled;
    this.#fit();
  }

  focus() {
    this.#box.focus();
  }

  /** Puts a text back that could not be sent. @param {string} text */
  restore(text) {
    if (this.#box.value === '') this.#box.value = text;
    this.#fit();
  }

  /** Grows the box with its text, up to the height that the style sheet allows. */
  #fit() {
    this.#send.disabled = this.#disabled || this.#box.value.trim() === '';
    this.#box.rows = Math.min(8, this.#box.value.split('\n').length);
  }
}
