// The tokens of a reply in a row: pointing at one, or going there by keys, tells which experts worked on it.

import { h } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { TEXT } from './texts.js';

/** @typedef {import('./record.js').Piece} Piece */

/** Pieces that are shown, of a long reply its last. */
const MOST = 300;

/** Sends `look` with a piece, or null. */
export class Tokens extends EventTarget {
  #help = h('p', {}, TEXT.noTokens);
  #row = h('div', { class: 'tokens', role: 'toolbar', 'aria-label': TEXT.token });
  #said = h('p', { class: 'said', role: 'status' });
  node = h('div', {}, this.#help, this.#row, this.#said);
  /** @type {Piece[]} */ #pieces = [];

  constructor() {
    super();
    this.#row.addEventListener('pointerover', (event) => this.#look(event.target));
    this.#row.addEventListener('focusin', (event) => this.#look(event.target));
    this.#row.addEventListener('pointerleave', () => !this.#row.matches(':focus-within') && this.#look(null));
    this.#row.addEventListener('focusout', () => this.#look(null));
    this.#row.addEventListener('keydown', (event) => {
      const steps = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1 });
      const from = [...this.#row.children].indexOf(/** @type {Element} */ (event.target));
      const to = event.key === 'Home' ? 0 : event.key === 'End' ? this.#row.childElementCount - 1 : from + (steps[event.key] ?? 0) * (getComputedStyle(this.#row).direction === 'rtl' ? -1 : 1);
      const next = /** @type {HTMLElement | undefined} */ (this.#row.children[to]);
      if (to === from || !next) return;
      event.preventDefault();
      this.#here(next);
      next.focus();
    });
  }

  /** @param {Piece[]} pieces */
  show(pieces) {
    const routed = pieces.filter(({ routing }) => routing.length > 0).slice(-MOST);
    if (routed.length === this.#pieces.length && routed.at(-1) === this.#pieces.at(-1)) return;
    // What is there stays: a reply grows at its end.
    const known = routed[0] === this.#pieces[0] ? this.#pieces.length : 0;
    if (known === 0) this.#row.replaceChildren();
    this.#pieces = routed;
    this.#row.append(...routed.slice(known).map(({ text }) => h('button', { type: 'button', tabindex: '-1', dir: 'auto' }, text.trim() === '' ? '␣' : text.trim())));
    if (known === 0 && this.#row.firstElementChild) this.#here(/** @type {HTMLElement} */ (this.#row.firstElementChild));
    this.#help.textContent = routed.length > 0 ? TEXT.tokenHelp : TEXT.noTokens;
  }

  /** The one that Tab comes to. @param {HTMLElement} button */
  #here(button) {
    this.#row.querySelector('[tabindex="0"]')?.setAttribute('tabindex', '-1');
    button.tabIndex = 0;
  }

  /** @param {EventTarget | null} target */
  #look(target) {
    const index = target instanceof HTMLButtonElement ? [...this.#row.children].indexOf(target) : -1;
    this.tell(this.#pieces[index] ?? null);
  }

  /** Says which experts worked on a piece. @param {Piece | null} piece */
  tell(piece) {
    const layers = piece?.routing.at(-1) ?? [];
    this.#said.textContent = piece ? TEXT.fired(piece.text.trim(), layers.map((chosen, layer) => TEXT.layerExperts(number(layer + 1), chosen.map((one) => number(one)).join(', '))).join('; ')) : '';
    this.dispatchEvent(new CustomEvent('look', { detail: piece }));
  }
}
