// The list of chats: beside the chat on a wide screen, a drawer over it on a narrow one.

import { h, icon } from './dom.js';
import { TEXT } from './text.js';

/** @typedef {import('../history.js').Chat} Chat */
/** @typedef {'open' | 'new' | 'rename' | 'delete' | 'markdown' | 'export' | 'import' | 'clear' | 'search'} Wish */

/** Width from which there is room beside the chat. */
const WIDE = matchMedia('(width >= 60rem)');

/** Sends `wish` with `{wish, id, value}`. */
export class Panel extends EventTarget {
  #search = h('input', { type: 'search', 'aria-label': TEXT.search, placeholder: TEXT.search });
  #list = h('ul');
  #status = h('p', { role: 'status', class: 'status' });
  #file = h('input', { type: 'file', accept: '.json,application/json', hidden: true });
  /** What the list was made from. */
  #shown = '';
  node = h('dialog', { class: 'panel', 'aria-label': TEXT.history });

  constructor() {
    super();
    const fresh = wide(TEXT.newChat, () => this.#wish('new'));
    fresh.prepend(icon('M12 5v14M5 12h14'));
    const clear = twice(TEXT.clearAll, TEXT.clearSure, () => this.#wish('clear'));
    const foot = h('div', { class: 'panel-foot' }, wide(TEXT.exportAll, () => this.#wish('export')), wide(TEXT.import, () => this.#file.click()), clear);
    this.node.append(fresh, this.#search, this.#list, this.#status, foot, this.#file);
    this.#search.addEventListener('input', () => this.#wish('search'));
    this.#file.addEventListener('change', async () => {
      const text = await this.#file.files?.[0]?.text();
      this.#file.value = '';
      if (text !== undefined) this.#wish('import', '', text);
    });
    this.node.addEventListener('click', (event) => {
      if (event.target === this.node && !WIDE.matches) this.node.close(); // beside the drawer
    });
    WIDE.addEventListener('change', () => {
      this.node.close();
      this.#show(WIDE.matches);
    });
  }

  get sought() {
    return this.#search.value.trim();
  }

  /** Opens it where there is room. */
  start() {
    this.#show(WIDE.matches);
  }

  toggle() {
    if (this.node.open) this.node.close();
    else this.#show(true);
  }

  search() {
    this.#show(true);
    this.#search.focus();
  }

  /** Something was chosen: a drawer gives way to it. */
  chosen() {
    if (!WIDE.matches) this.node.close();
  }

  /** @param {string} text */
  say(text) {
    this.#status.textContent = text;
  }

  /** @param {Chat[]} chats @param {string | undefined} current */
  show(chats, current) {
    // As it was, or a name is being typed: what is open there stays open.
    const key = JSON.stringify([current, this.sought, ...chats.map(({ id, title }) => [id, title])]);
    if (key === this.#shown || this.#list.querySelector('form')) return;
    this.#shown = key;
    const held = /** @type {HTMLElement | null} */ (this.#list.querySelector(':focus'))?.dataset.id;
    this.#list.replaceChildren(...chats.map((chat) => this.#row(chat, chat.id === current)));
    if (chats.length === 0) this.#list.append(h('li', { class: 'none' }, this.sought ? TEXT.noneFound : TEXT.noChats));
    if (held) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-id="${CSS.escape(held)}"]`))?.focus();
  }

  /** @param {Chat} chat @param {boolean} current */
  #row(chat, current) {
    const open = wide(chat.title, () => this.#wish('open', chat.id));
    open.dir = 'auto';
    open.dataset.id = chat.id;
    if (current) open.setAttribute('aria-current', 'page');
    const actions = h('div', { class: 'actions', hidden: true });
    const more = h('button', { type: 'button', class: 'square', 'aria-expanded': 'false', 'aria-label': TEXT.more(chat.title) }, icon('M6 12h.01M12 12h.01M18 12h.01'));
    more.addEventListener('click', () => {
      actions.hidden = !actions.hidden;
      more.setAttribute('aria-expanded', String(!actions.hidden));
    });
    const row = h('li', {}, h('div', { class: 'chat-row' }, open, more), actions);
    actions.append(
      wide(TEXT.rename, () => row.replaceChildren(this.#renaming(chat))),
      wide(TEXT.toMarkdown, () => this.#wish('markdown', chat.id)),
      twice(TEXT.delete, TEXT.deleteSure, () => this.#wish('delete', chat.id)),
    );
    return row;
  }

  /** @param {Chat} chat */
  #renaming(chat) {
    const box = h('input', { type: 'text', 'aria-label': TEXT.title, maxlength: '120', dir: 'auto' });
    box.value = chat.title;
    const form = h('form', {}, box);
    /** @param {boolean} keep */
    const end = (keep) => {
      if (!form.parentElement) return;
      form.remove();
      this.#shown = '';
      this.#wish('rename', chat.id, keep && box.value.trim() ? box.value.trim() : chat.title);
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      end(true);
    });
    box.addEventListener('blur', () => end(true));
    box.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.preventDefault(); // the drawer stays
      end(false);
    });
    queueMicrotask(() => box.select());
    return form;
  }

  /** @param {boolean} open */
  #show(open) {
    if (!open || this.node.open) return;
    // `show` would take the focus from the text box, which has it for a reason.
    if (WIDE.matches) this.node.open = true;
    else this.node.showModal();
  }

  /** @param {Wish} wish @param {string} [id] @param {string} [value] */
  #wish(wish, id = '', value = '') {
    this.dispatchEvent(new CustomEvent('wish', { detail: { wish, id, value } }));
  }
}

/** @param {string} text @param {() => void} act */
function wide(text, act) {
  const button = h('button', { type: 'button', class: 'wide' }, text);
  button.addEventListener('click', act);
  return button;
}

/** A button that asks whether it was meant, in its own place. @param {string} text @param {string} sure @param {() => void} act */
function twice(text, sure, act) {
  const button = wide(text, () => {
    const meant = button.textContent === sure;
    button.textContent = meant ? text : sure;
    if (meant) act();
  });
  button.addEventListener('blur', () => (button.textContent = text));
  return button;
}
