// What may go wrong around a model, and what helps: no network, no memory, a lost GPU, another tab.

import { TEXT } from './texts.js';

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */
/** @typedef {import('../ui/status.js').Told} Told */
/** Ways on: the list of models, the plan of this one again, the page's own. @typedef {{others(): void, again(): void, own(): void}} Ways */

/** One tab at a time has a model of another host, or of files: these may be large. */
const LOCK = 'moebius-model';

export class States {
  /** @type {MoebiusChat} */ #chat;
  /** @type {Ways} */ #ways;
  #held = false;
  /** @type {AbortController} */ #watching = new AbortController();

  /** @param {MoebiusChat} chat @param {Ways} ways */
  constructor(chat, ways) {
    this.#chat = chat;
    this.#ways = ways;
    chat.addEventListener('moebius-error', (event) => this.#advise(/** @type {CustomEvent} */ (event).detail));
    chat.addEventListener('moebius-moved', (event) => {
      const { kind, name } = /** @type {CustomEvent} */ (event).detail.device;
      chat.tell({ title: TEXT.lost, text: TEXT.lostText(kind === 'cpu' ? 'CPU' : name), label: TEXT.fine, act: () => {} }); // why is told below
    });
  }

  /** The page's own host has the model. @param {string} ended what was loading when the page ended */
  own(ended) {
    const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
    const load = () => void this.#chat.load().catch(() => {});
    if (ended) this.crashed(ended.split('/').filter(Boolean).at(-1) ?? ended, load);
    else if (connection?.saveData && this.#chat.state === 'empty') this.#chat.tell({ title: TEXT.saving, text: TEXT.savingText, label: TEXT.loadNow, act: load });
  }

  /** @param {string} name @param {() => void} load */
  crashed(name, load) {
    this.#chat.tell({ title: TEXT.crashed(name), text: TEXT.crashedText, label: TEXT.tryAgain, act: load, more: { label: TEXT.less, act: () => this.#ways.again() } });
  }

  /** The browser removed what it kept. @param {string} name */
  evicted(name) {
    this.#chat.tell({ title: TEXT.evicted(name), text: TEXT.evictedText, label: TEXT.seePlan, act: () => this.#ways.again(), more: { label: TEXT.useOwn, act: () => this.#ways.own() } });
  }

  /**
   * The model is there, and will not be next time.
   * @param {import('../protocol.js').Progress['unkept']} why
   * @param {boolean} elsewhere whether it comes from another host
   * @param {() => void} storage shows what is kept
   */
  unkept(why, elsewhere, storage) {
    if (why === 'full') this.#chat.tell({ title: TEXT.full, text: TEXT.fullText, label: TEXT.keeps, act: storage, more: { label: TEXT.fine, act: () => {} } });
    else if (why === 'blocked' && elsewhere) this.#chat.tell({ title: TEXT.blocked, text: TEXT.blockedText, label: TEXT.fine, act: () => {} });
  }

  /** Whether no other tab has a model loaded; else it is told, and `load` is called when this one is to have it. @param {() => void} load */
  async alone(load) {
    if (this.#held || !navigator.locks || (await this.#claim({ ifAvailable: true }))) return true;
    const act = async () => {
      await this.#claim({ steal: true });
      load();
    };
    this.#chat.tell({ title: TEXT.elsewhere, text: TEXT.elsewhereText, label: TEXT.useHere, act, more: { label: TEXT.useOwn, act: () => this.#ways.own() } });
    return false;
  }

  /** @param {LockOptions} how @returns {Promise<boolean>} whether this tab has it */
  #claim(how) {
    return new Promise((resolve) => {
      const held = navigator.locks.request(LOCK, how, (lock) => {
        this.#held = lock !== null;
        resolve(this.#held);
        return lock ? new Promise(() => {}) : undefined;
      });
      held.catch(() => this.#taken());
    });
  }

  /** Another tab took it. */
  #taken() {
    this.#held = false;
    const chat = this.#chat;
    chat.engine = null;
    chat.disabled = true;
    const act = async () => {
      await this.#claim({ steal: true });
      chat.disabled = false;
      chat.load().catch(() => {});
    };
    chat.tell({ title: TEXT.taken, text: TEXT.takenText, label: TEXT.useHere, act });
  }

  /** Says of an error what it means here, and offers what helps. @param {{error: import('../protocol.js').MoebiusError, told: Told}} what */
  #advise({ error: { code, message }, told }) {
    this.#watching.abort();
    const others = { label: TEXT.others, act: () => this.#ways.others() };
    const again = { label: TEXT.less, act: () => this.#ways.again() };
    const tell = (/** @type {string} */ title, /** @type {Partial<Told>} */ more = {}) => this.#chat.tell({ ...told, title, ...more });
    if (code === 'file' && !navigator.onLine) {
      this.#watching = new AbortController();
      addEventListener('online', () => (this.#chat.tell(null), told.act()), { once: true, signal: this.#watching.signal });
      return tell(TEXT.offline, { text: TEXT.offlineText, code: '', more: others });
    }
    if (code === 'unsupported') return tell(TEXT.unsupported, { label: TEXT.others, act: others.act });
    if (code === 'memory' || (/memory|out of/i.test(message) && ['device', 'limit', 'engine_crashed'].includes(code))) return tell(TEXT.tooLarge, { more: again });
    if (code === 'file' && /gated|token/.test(message)) return tell(TEXT.gatedTitle, { code: '', label: TEXT.seePlan, act: () => this.#ways.again(), more: others });
    if (code === 'file' && /damaged|changed|SHA-256/.test(message)) return tell(TEXT.corrupt, { more: others });
    if (code === 'file') return tell(TEXT.reached, { more: others });
    if (['malformed', 'tensor', 'config', 'tokenizer', 'template', 'limit'].includes(code) && !this.#chat.engine) return tell(TEXT.broken, { more: others });
    return undefined;
  }
}
