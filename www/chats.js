// Keeps the chat that is shown: which one it is, its settings, and what of it is written where.

import { newId, Thread } from './thread.js';
import { TEXT } from './ui/text.js';

/** @typedef {import('./element.js').MoebiusChat} MoebiusChat */
/** @typedef {import('./history.js').Chat} Chat */
/** @typedef {import('./history.js').History} History */
/** @typedef {import('./history.js').Settings} Settings */
/** @typedef {import('./thread.js').Entry} Entry */

/** A change of what is kept, of one chat or all. It is begun at once, and again if it failed. @typedef {{id?: string, act(): Promise<unknown>, begun?: Promise<unknown>}} Write */

/** Characters of a first question that make a title. */
const TITLE = 60;

export class Chats {
  /** The chat that is shown; null until something is said in it. @type {Chat | null} */ current = null;
  /** @type {Settings} */ settings = {};
  /** @type {MoebiusChat} */ #element;
  /** @type {History} */ #history;
  /** @type {import('./ui/panel.js').Panel} */ #panel;
  /** Fields of requests that this wrote, which others' are not taken for. @type {string[]} */ #written = [];
  /** What is not written yet, oldest first. @type {Write[]} */
  #unwritten = [];
  /** What is to be deleted: that does not wait for what cannot be written, as it makes room. @type {Write[]} */
  #deletions = [];
  /** Whether the last attempt failed. */
  #behind = false;
  /** How often the list was asked for, and what is being read of it. */
  #turn = 0;
  /** @type {Promise<unknown>} */ #read = Promise.resolve();
  /** The chat that the address named when it was opened last. */
  #address = '';

  /** @param {MoebiusChat} element @param {History} history @param {import('./ui/panel.js').Panel} panel */
  constructor(element, history, panel) {
    this.#element = element;
    this.#history = history;
    this.#panel = panel;
    element.addEventListener('moebius-change', (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
    element.addEventListener('moebius-clear', () => this.begin());
    history.addEventListener('change', (event) => this.#elsewhere(/** @type {CustomEvent} */ (event).detail));
    panel.addEventListener('wish', (event) => this.#wish(/** @type {CustomEvent} */ (event).detail));
    addEventListener('hashchange', () => this.#follow());
  }

  /** Shows the chat that the address names. */
  async start() {
    if (!this.#history.lasting) this.#panel.say(TEXT.notLasting);
    await this.#follow();
    await this.refresh();
  }

  /** A new chat. */
  begin() {
    this.#show(null, []);
    this.#panel.chosen();
    this.#element.focus();
  }

  /** Deletes every chat. */
  async clear() {
    this.#show(null, []);
    await this.#delete(() => this.#history.clear());
    this.#panel.say(TEXT.cleared);
  }

  /** @param {Settings} settings */
  set(settings) {
    this.settings = settings;
    this.#apply();
    if (this.current) this.#save({ ...this.current, settings });
  }

  /** The list again, as it is now. What is written waits for what is read, so of many times the last one counts. */
  async refresh() {
    const turn = (this.#turn += 1);
    await this.#read;
    if (turn !== this.#turn) return;
    const { sought } = this.#panel;
    const found = sought ? this.#history.search(sought) : this.#history.list();
    this.#read = found.catch(() => {});
    this.#panel.show(await found, this.current?.id);
  }

  async #follow() {
    const id = location.hash.slice(1);
    if (id === this.#address) return;
    const chat = id ? await this.#history.chat(id) : undefined;
    await this.#open(chat ?? null);
  }

  /** @param {Chat | null} chat */
  async #open(chat) {
    this.#show(chat, chat ? await this.#history.messages(chat.id) : []);
    this.#panel.chosen();
  }

  /** @param {Chat | null} chat @param {Entry[]} entries */
  #show(chat, entries) {
    this.#element.clear(); // what is being said is kept in the chat it belongs to
    this.#name(chat);
    this.settings = chat?.settings ?? {};
    this.#apply();
    this.#element.conversation = { entries, leaf: chat?.leaf ?? null };
    this.refresh();
  }

  /** The address names the chat, so that a reload and a bookmark find it. @param {Chat | null} chat */
  #name(chat) {
    this.current = chat;
    this.#address = chat?.id ?? '';
    history.replaceState(null, '', chat ? `#${chat.id}` : location.pathname + location.search);
  }

  /** Tells the element, leaving alone what others set. */
  #apply() {
    const { system = '', think = false, ...fields } = this.settings;
    const rest = Object.entries(this.#element.generation).filter(([name]) => !this.#written.includes(name));
    this.#element.generation = { ...Object.fromEntries(rest), ...fields };
    this.#written = Object.keys(fields);
    this.#element.system = system;
    this.#element.think = think || this.#element.thinking === 'show';
  }

  /** @param {{put: Entry[], removed: string[], leaf: string | null, until?: (kept: Promise<unknown>) => void}} change */
  #changed({ put, removed, leaf, until }) {
    const { think } = this.#element;
    if (think !== (this.settings.think ?? false)) this.settings = { ...this.settings, think };
    if (!this.current) {
      const first = put.find(({ role }) => role === 'user');
      if (!first) return;
      const title = first.content.split('\n')[0].slice(0, TITLE);
      this.#name({ id: newId(), title, created: Date.now(), updated: 0, leaf, settings: this.settings });
    }
    const chat = /** @type {Chat} */ (this.current);
    const kept = this.#save({ ...chat, leaf, settings: this.settings, updated: Date.now() }, put, removed);
    until?.(kept);
  }

  /** @param {Chat} chat @param {Entry[]} [put] @param {string[]} [removed] @returns {Promise<void>} when it is kept, or cannot be and that is said */
  #save(chat, put, removed) {
    if (chat.id === this.current?.id) this.current = chat;
    this.#unwritten.push({ id: chat.id, act: () => this.#history.save(chat, put, removed) });
    return this.#write();
  }

  /** @param {() => Promise<unknown>} act @param {string} [id] of the chat, if it is not all of them; what failed of it is not written any more */
  #delete(act, id) {
    for (const one of this.#unwritten) if (id === undefined || one.id === id) one.act = async () => {};
    this.#deletions.push({ act });
    return this.#write();
  }

  /** Begins what is not begun, in its order, which the database keeps: what is shown is not lost with the page a moment later. */
  async #write() {
    const both = await Promise.all([written(this.#deletions), written(this.#unwritten)]);
    if (both.includes(false)) {
      this.#behind = true;
      return this.#panel.say(TEXT.notKept);
    }
    if (this.#behind) this.#panel.say('');
    this.#behind = false;
    this.refresh();
  }

  /** What another tab did. @param {import('./history.js').Change} change */
  #elsewhere({ id, chat, put, removed }) {
    if (this.current && (id === null || (id === this.current.id && !chat))) this.#show(null, []);
    else if (chat && id === this.current?.id) {
      this.current = { ...chat, leaf: this.current.leaf };
      this.#element.merge({ put, removed });
    }
    this.refresh();
  }

  /** @param {{wish: import('./ui/panel.js').Wish, id: string, value: string}} what @returns {Promise<unknown>} */
  async #wish({ wish, id, value }) {
    if (wish === 'search') return this.refresh();
    if (wish === 'new') return this.begin();
    if (wish === 'clear') return this.clear();
    if (wish === 'export') return save('moebius-chats.json', JSON.stringify(await this.#history.export()));
    if (wish === 'import') return this.#import(value);
    const chat = await this.#history.chat(id);
    if (!chat) return this.refresh();
    if (wish === 'open') return this.#open(chat);
    if (wish === 'rename') return this.#save({ ...chat, title: value });
    if (wish === 'delete') {
      if (id === this.current?.id) this.#show(null, []);
      return this.#delete(() => this.#history.remove(id), id);
    }
    const entries = await this.#history.messages(id);
    const { markdown } = await archive();
    return save(`${chat.title.replace(/[^\p{L}\p{N} -]/gu, '') || 'chat'}.md`, markdown(chat.title, new Thread({ entries, leaf: chat.leaf }).path()));
  }

  /** @param {string} text */
  async #import(text) {
    try {
      this.#panel.say(TEXT.imported(await (await archive()).takeIn(this.#history, JSON.parse(text))));
    } catch {
      this.#panel.say(TEXT.notImported);
    }
    await this.refresh();
  }
}

/** Takes out what is written. What failed stays, and what came after it: its turn is after that. @param {Write[]} list @returns {Promise<boolean>} whether all is */
async function written(list) {
  const all = [...list];
  const how = await Promise.allSettled(all.map((one) => (one.begun ??= one.act())));
  const failed = how.findIndex(({ status }) => status === 'rejected');
  const done = failed < 0 ? all : all.slice(0, failed);
  for (const one of done) if (list.includes(one)) list.splice(list.indexOf(one), 1);
  if (failed >= 0) for (const one of all.slice(failed)) one.begun = undefined;
  return failed < 0;
}

/** Chats as files: what takes them in and out. */
export const archive = () => import('./archive/chats.js');

/** Hands a file to the visitor. @param {string} name @param {string} text */
function save(name, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
