// The models' part of the page: which one is in use, what is agreed to for another, and what is told on the way.

import { ended } from '../tab.js';
import { agreement } from '../policy.js';
import { fromDrop, model, texts } from './files.js';
import { measured, recent, remember } from './recent.js';
import { States } from './states.js';
import { TEXT } from './texts.js';

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */
/** @typedef {{name: string, card: string, own: boolean, known: import('./picker.js').Known[], forgetChats: () => Promise<unknown>}} About the page's own model, and whether the address names one of this host */
/** @typedef {{where?: import('./where.js').Where, files?: File[], format: string, token?: string, facts?: import('./look.js').Facts}} Choice */

export class Models {
  /** @type {MoebiusChat} */ #chat;
  /** @type {About} */ #about;
  #query = new URLSearchParams(location.search);
  #hub = this.#query.get('hub') || undefined;
  /** The model in use, as the address has it. */
  #now = this.#query.get('model') ?? '';
  /** Why the model is not kept; empty where it is. @type {import('../protocol.js').Progress['unkept']} */ #unkept = '';
  /** @type {States} */ #states;
  /** Dialogs come when they are wanted. @type {Promise<import('./picker.js').Picker> | undefined} */ #picker;
  /** @type {Promise<import('./plan.js').Plan> | undefined} */ #plan;
  /** @type {Promise<import('./storage.js').Storage> | undefined} */ #storage;
  /** What is being loaded, or was. @type {Choice | null} */ #choice = null;

  /** @param {MoebiusChat} chat @param {About} about */
  constructor(chat, about) {
    this.#chat = chat;
    this.#about = about;
    this.#states = new States(chat, {
      others: () => this.open(),
      again: () => this.#replan(),
      own: () => this.#go(''),
    });
    this.#dropping();
    this.#timing();
    chat.addEventListener('moebius-statechange', () => chat.state === 'ready' && this.#loaded());
    if (about.own) this.#states.own(ended);
    else this.#elsewhere();
  }

  /** The list. */
  async open() {
    (await this.#list()).open(this.#now);
  }

  /** What is kept. */
  async storage() {
    this.#storage ??= import('./storage.js').then(({ Storage }) => new Storage(this.#about.forgetChats));
    (await this.#storage).open();
  }

  /** The address names a model of another host: nothing is asked there before that is agreed to. */
  async #elsewhere() {
    this.#chat.disabled = true;
    const { where } = await import('./where.js');
    const found = where(this.#now, this.#hub);
    if (!found) return this.open();
    const known = this.#about.known.find(({ src }) => src === found.model);
    const { agreed, format = known?.format ?? '', name = known?.name ?? found.name } = agreement ?? {};
    found.name = name;
    this.#chat.heading = name;
    this.#chat.suggestions = []; // there is nobody yet to ask
    this.#choice = { where: found, format };
    const gone = agreement?.kept && !(await kept(found));
    if (agreed === 'load' && !ended && !gone) return this.#load(this.#choice);
    if (gone && !ended) return this.#states.evicted(name);
    if (ended) return this.#states.crashed(name, () => this.#load(/** @type {Choice} */ (this.#choice)));
    const rough = known && { bytes: known.bytes * 1e9, licence: known.licence };
    await this.#propose({ where: found, format, rough, hub: this.#hub, looked: agreed !== undefined });
  }

  /** @param {import('./plan.js').Wanted} wanted */
  async #propose(wanted) {
    const plan = await this.#card();
    await plan.open(wanted);
    if (!this.#chat.disabled) return;
    // It can be put aside; what stands there then says how to come back.
    const { name } = /** @type {import('./where.js').Where} */ (wanted.where);
    const act = () => this.#propose(wanted);
    this.#chat.tell({ title: TEXT.waiting(name), text: wanted.looked ? '' : TEXT.waitingText, label: TEXT.seePlan, act, more: { label: TEXT.useOwn, act: () => this.#go('') } });
  }

  /** The plan of what was to be loaded once more. */
  #replan() {
    const { where, files, format } = this.#choice ?? {};
    if (where || files) return this.#propose({ where, files, format, hub: this.#hub, looked: true });
    return this.open();
  }

  /** @param {Choice} choice */
  async #load(choice) {
    this.#choice = choice;
    const { where, files, format, token } = choice;
    this.#chat.tell(null);
    this.#chat.disabled = true;
    if (!(await this.#states.alone(() => this.#load(choice)))) return;
    const stored = where && (await kept(where));
    // What is kept whole is read as it is: nobody is asked about it, and it is there without a network.
    const found = stored && stored.bytes >= stored.total ? stored.place : where?.model;
    const model = files ? (files.length === 1 ? files[0] : files) : /** @type {string} */ (found);
    this.#chat.disabled = false;
    this.#chat.place = { model, format: format || undefined, token, hub: this.#hub };
    this.#chat.suggestions = TEXT.suggestions;
    this.#chat.heading = where?.name ?? files?.[0].name ?? '';
    /** @type {HTMLElement} */ (document.querySelector('#card')).textContent = [where?.name ?? files?.[0].name, where?.id, choice.facts?.licence].filter(Boolean).join(' · ');
    this.#chat.load().catch(() => {}); // shown
  }

  /** It is there: remembered, to be found again. */
  #loaded() {
    const { where, format, facts } = this.#choice ?? {};
    this.#states.unkept(this.#unkept, where !== undefined, () => this.storage());
    const known = where && recent().find(({ model }) => model === where.model);
    if (!known) return; // forgotten meanwhile
    remember({ ...named(where), agreed: 'load', format, bytes: facts?.bytes ?? known.bytes, kept: this.#unkept === '' });
  }

  /** To another model, by the address: a document's policy names the hosts of its model alone. @param {string} model */
  #go(model) {
    const query = new URLSearchParams(this.#query);
    query.delete('model');
    const rest = query.toString();
    const named = model && `model=${encodeURIComponent(model).replace(/%(3A|2F|40)/g, decodeURIComponent)}`;
    const search = [named, rest].filter(Boolean).join('&');
    if (`?${search}` === location.search) location.reload();
    else location.assign(`${location.pathname}${search && `?${search}`}${location.hash}`);
  }

  #list() {
    this.#picker ??= import('./picker.js').then(({ Picker }) => {
      const picker = new Picker(this.#about.known, this.#about, this.#hub);
      /** @param {string} type @param {(detail: any) => void} then */
      const on = (type, then) => picker.addEventListener(type, (event) => then(/** @type {CustomEvent} */ (event).detail));
      on('own', () => this.#go(''));
      on('storage', () => this.storage());
      on('again', ({ model }) => this.#go(model));
      on('files', ({ files }) => this.#propose({ files, looked: true }));
      on('plan', ({ where, ...rest }) => {
        const looked = where.model === agreement?.model;
        if (where.own) this.#go(where.model);
        else this.#propose({ where, ...rest, hub: this.#hub, looked });
      });
      return picker;
    });
    return this.#picker;
  }

  #card() {
    this.#plan ??= import('./plan.js').then(({ Plan }) => {
      const plan = new Plan();
      plan.addEventListener('look', (event) => {
        const { where, format } = /** @type {CustomEvent} */ (event).detail;
        if (remember({ ...named(where), agreed: 'look', format })) this.#go(where.model);
        else this.#chat.tell({ title: TEXT.noStore, label: TEXT.fine, act: () => {} });
      });
      plan.addEventListener('load', (event) => {
        /** @type {Choice} */
        const choice = /** @type {CustomEvent} */ (event).detail;
        const { where, format, facts } = choice;
        if (where) remember({ ...named(where), agreed: 'load', format, bytes: facts?.bytes });
        this.#load(choice);
      });
      plan.addEventListener('others', () => this.open());
      return plan;
    });
    return this.#plan;
  }

  /** A folder or a .gguf may be dropped anywhere, and a text, which goes into the question. */
  #dropping() {
    const over = (/** @type {DragEvent} */ event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      document.documentElement.classList.add('dropping');
    };
    const out = () => document.documentElement.classList.remove('dropping');
    addEventListener('dragover', over);
    addEventListener('dragleave', (event) => event.relatedTarget ?? out());
    addEventListener('drop', async (event) => {
      out();
      if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      const dropped = await fromDrop(event.dataTransfer);
      const files = model(dropped);
      const text = files.length > 0 ? '' : await texts(dropped);
      if (files.length > 0) await this.#propose({ files, looked: true });
      else if (text !== '') this.#chat.insert(text);
      else this.#chat.tell({ title: TEXT.noModel, label: TEXT.fine, act: () => {} });
    });
  }

  /** How fast downloads are here. */
  #timing() {
    /** @type {{at: number, fetched: number} | null} */
    let first = null;
    let last = { at: 0, fetched: 0 };
    this.#chat.addEventListener('moebius-progress', (event) => {
      const { loaded, total, fetched, unkept } = /** @type {CustomEvent<import('../protocol.js').Progress>} */ (event).detail;
      const changed = unkept !== this.#unkept;
      this.#unkept = unkept;
      if (changed && this.#chat.engine && loaded >= total) this.#loaded(); // the rest came while it answered
      last = { at: performance.now(), fetched };
      first ??= last;
    });
    this.#chat.addEventListener('moebius-statechange', () => {
      if (this.#chat.state === 'ready' && first && !this.#choice?.files) measured(last.fetched - first.fetched, (last.at - first.at) / 1000);
      if (this.#chat.state !== 'loading') first = null;
    });
  }
}

/** What is remembered of where a model is. @param {import('./where.js').Where} where */
function named({ model, name, hosts }) {
  return { model, name, hosts };
}

/** What the browser has of a model. @param {import('./where.js').Where} where @returns {Promise<import('../protocol.js').Stored | undefined>} */
async function kept({ id, model }) {
  const { list } = await import('../store.js');
  const all = await list().catch(() => []);
  return all.find(({ place }) => (id ? place.includes(`/${id}/resolve/`) && (!/\.gguf$/i.test(model) || place.endsWith(model.slice(model.lastIndexOf('/')))) : place.startsWith(model)));
}
