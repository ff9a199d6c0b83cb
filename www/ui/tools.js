// What can be done with a message: a row of buttons below it, and the way to its other versions.

import { h, icon } from './dom.js';
import { TEXT } from './text.js';

/** @typedef {'copy' | 'edit' | 'regenerate' | 'resume' | 'delete' | 'previous' | 'next'} Action */

/** @type {Record<Action, string>} */
const ICONS = {
  copy: 'M9 9h11v11H9zM5 15V4h11',
  edit: 'M4 20l1-4.5L16.5 4 20 7.5 8.5 19z',
  regenerate: 'M20 12a8 8 0 1 1-2.5-5.8M20 3.5V8h-4.5',
  resume: 'M5 12h14M13 6l6 6-6 6',
  delete: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7',
  previous: 'M14.5 6l-6 6 6 6',
  next: 'M9.5 6l6 6-6 6',
};

export class Tools {
  node = h('div', { class: 'tools', part: 'tools' });
  /** @type {Map<Action, HTMLButtonElement>} */ #buttons = new Map();
  #count = h('span', { class: 'count' });
  #versions = h('span', { class: 'versions', hidden: true }, this.#button('previous'), this.#count, this.#button('next'));

  /** @param {Action[]} actions */
  constructor(actions) {
    this.node.append(this.#versions, ...actions.map((action) => this.#button(action)));
  }

  /** Which version this is, of how many. @param {number} index @param {number} count */
  versions(index, count) {
    this.#versions.hidden = count < 2;
    this.#count.textContent = `${index + 1}/${count}`;
    this.#get('previous').disabled = index === 0;
    this.#get('next').disabled = index === count - 1;
  }

  /** @param {Action} action @param {boolean} shown */
  offer(action, shown) {
    this.#get(action).hidden = !shown;
  }

  /** Says on the Copy button that it was done. @param {boolean} done */
  copied(done) {
    const button = this.#get('copy');
    label(button, done ? TEXT.copied : TEXT.notCopied);
    button.classList.toggle('done', done);
    setTimeout(() => {
      label(button, TEXT.copy);
      button.classList.remove('done');
    }, 1600);
  }

  /** @param {Action} action */
  focus(action) {
    const wanted = this.#get(action);
    const other = this.#get(action === 'next' ? 'previous' : 'next');
    (wanted.disabled ? other : wanted).focus();
  }

  /** @param {Action} action @returns {HTMLButtonElement} */
  #get(action) {
    return /** @type {HTMLButtonElement} */ (this.#buttons.get(action));
  }

  /** @param {Action} action */
  #button(action) {
    const button = h('button', { type: 'button', class: `tool ${action}` });
    label(button, TEXT[action]);
    button.append(icon(ICONS[action]));
    button.addEventListener('click', () => {
      button.dispatchEvent(new CustomEvent('action', { detail: action, bubbles: true }));
    });
    this.#buttons.set(action, button);
    return button;
  }
}

/** @param {HTMLButtonElement} button @param {string} text */
function label(button, text) {
  button.setAttribute('aria-label', text);
  button.title = text;
}
