// What this page keeps in the browser: models, how much room they take, and ways to take them out, bring them in and delete them.

import { list, clear, estimate, exportTo, importFrom, persist, remove } from '../store.js';
import { h } from '../ui/dom.js';
import { number, size } from '../ui/format.js';
import { LANGUAGE } from '../ui/text.js';
import { forgetAll } from './recent.js';
import { button, Sheet } from './sheet.js';
import { TEXT } from './texts.js';

/** @typedef {import('../protocol.js').Stored} Stored */

export class Storage extends Sheet {
  #used = h('p');
  #bar = h('progress', { 'aria-label': TEXT.storageUsed });
  #lasting = h('p');
  #list = h('ul', { class: 'models' });
  #status = h('p', { role: 'status', class: 'aside' });
  #file = h('input', { type: 'file', accept: '.tar', hidden: true });
  #forgetChats;

  /** @param {() => Promise<unknown>} forgetChats */
  constructor(forgetChats) {
    super(TEXT.storageTitle);
    this.#forgetChats = forgetChats;
    this.#file.addEventListener('change', () => this.#import());
    this.body.append(this.#used, this.#bar, this.#lasting, h('h3', {}, TEXT.models), this.#list, this.#status, this.#file);
    this.foot.append(button(TEXT.import, () => this.#file.click()), twice(TEXT.clearAll, TEXT.clearSure, () => this.#clear(false)), twice(TEXT.clearChats, TEXT.clearSure, () => this.#clear(true)));
  }

  async open() {
    this.#status.textContent = '';
    this.show();
    await this.#refresh();
  }

  async #refresh() {
    const [models, { usage, quota, persisted }] = await Promise.all([list(), estimate()]);
    this.#used.textContent = quota > 0 ? TEXT.storageOf(size(usage), size(quota)) : TEXT.noRoom;
    this.#bar.hidden = quota === 0;
    this.#bar.max = quota || 1;
    this.#bar.value = usage;
    this.#lasting.replaceChildren(persisted ? TEXT.lasting : `${TEXT.fleeting} `);
    if (!persisted) this.#lasting.append(button(TEXT.persist, () => this.#persist(), { class: 'plain-link' }));
    this.#list.replaceChildren(...models.map((model) => this.#row(model)));
    if (models.length === 0) this.#list.append(h('li', { class: 'none' }, TEXT.nothingKept));
  }

  /** @param {Stored} model */
  #row(model) {
    const { id, place, bytes, total, used } = model;
    const name = called(model);
    const whole = bytes >= total;
    const when = new Date(used).toLocaleDateString(LANGUAGE, { dateStyle: 'medium' });
    const parts = [whole ? size(bytes) : TEXT.part(size(bytes), `${number((100 * bytes) / total)} %`), TEXT.lastUsed(when), host(place)];
    const out = button(TEXT.export, () => this.#export(model), { 'aria-label': TEXT.exportOf(name) });
    out.hidden = !whole;
    const away = twice(TEXT.delete, TEXT.deleteSure, async () => {
      await this.#try(() => remove(id), TEXT.deleted(name));
      /** @type {HTMLElement} */ (this.foot.firstChild).focus(); // what was pressed is gone
    });
    return h('li', {}, h('span', { class: 'model' }, h('strong', { dir: 'auto' }, name), h('span', { class: 'aside' }, parts.filter(Boolean).join(' · '))), out, away);
  }

  /** Does it, looks again, then says so or what went wrong: who reads that finds a list that stays. @param {() => Promise<unknown>} act @param {string} said */
  async #try(act, said) {
    this.#status.textContent = TEXT.working;
    try {
      await act();
    } catch (error) {
      const left = error instanceof DOMException && error.name === 'AbortError';
      said = left ? '' : error instanceof Error ? error.message : String(error);
    }
    await this.#refresh();
    this.#status.textContent = said;
  }

  async #persist() {
    const lasting = await persist();
    this.#status.textContent = lasting ? '' : TEXT.notPersisted;
    await this.#refresh();
    /** @type {HTMLElement} */ (this.#lasting.querySelector('button') ?? this.foot.firstChild).focus();
  }

  /** @param {Stored} model */
  #export(model) {
    const name = called(model);
    return this.#try(async () => exportTo(model.id, await writable(`${name.replace(/[^\p{L}\p{N}._-]/gu, '_')}.tar`)), TEXT.exported(name));
  }

  async #import() {
    const file = this.#file.files?.[0];
    this.#file.value = '';
    if (file) await this.#try(() => importFrom(file), TEXT.imported(file.name));
  }

  /** @param {boolean} chats */
  #clear(chats) {
    return this.#try(async () => {
      await clear();
      forgetAll();
      if (!chats) return;
      await this.#forgetChats();
      for (const name of await caches.keys()) await caches.delete(name);
      for (const worker of (await navigator.serviceWorker?.getRegistrations()) ?? []) await worker.unregister(); // which would keep them again
      localStorage.clear();
      sessionStorage.clear();
    }, chats ? TEXT.allCleared : TEXT.cleared);
  }
}

/** Where a file goes: where the visitor says, or among the downloads. @param {string} suggestedName @returns {Promise<WritableStream<Uint8Array>>} */
async function writable(suggestedName) {
  const { showSaveFilePicker } = /** @type {any} */ (globalThis);
  if (showSaveFilePicker) return (await showSaveFilePicker({ suggestedName })).createWritable();
  /** @type {Blob[]} */
  let parts = [];
  return new WritableStream({
    write(part) {
      parts.push(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (part)])); // which a browser keeps on disk when there are many
    },
    close() {
      const link = h('a', { href: URL.createObjectURL(new Blob(parts)), download: suggestedName });
      parts = [];
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    },
  });
}

/** What people know it by: of a hub's repository, its name in place of the commit. @param {Stored} model */
function called({ name, place }) {
  const [, repository, file] = /\/([\w.-]+)\/resolve\/[^/]+\/([^?]*)$/.exec(place) ?? [];
  return repository ? [repository, file].filter(Boolean).join(' · ') : name;
}

/** @param {string} place */
function host(place) {
  return URL.canParse(place, document.baseURI) ? new URL(place, document.baseURI).host : '';
}

/** A button that asks whether it was meant, in its own place. @param {string} text @param {string} sure @param {() => void} act */
function twice(text, sure, act) {
  const node = button(text, () => {
    const meant = node.textContent === sure;
    node.textContent = meant ? text : sure;
    if (meant) act();
  });
  node.addEventListener('blur', () => (node.textContent = text));
  return node;
}
