// Conversations kept in IndexedDB, or in memory where the browser refuses it. The only file that names the database.

/** @typedef {import('./thread.js').Entry} Entry */
/** Fields of a request and `think`, `system`. @typedef {{system?: string, think?: boolean, temperature?: number, top_p?: number, max_tokens?: number, seed?: number}} Settings */
/** @typedef {{id: string, title: string, created: number, updated: number, leaf: string | null, settings: Settings}} Chat */
/** @typedef {Entry & {chat: string}} Row */
/** What changed: `chat` null if it is gone, `id` null if all are. @typedef {{id: string | null, chat: Chat | null, put: Row[], removed: string[]}} Change */

const NAME = 'moebius';
const STORES = /** @type {const} */ (['chats', 'messages']);
/** What exports say they are. */
export const FORMAT = 'moebius-chats';

/** Sends `change` for what another tab changed. Each message is a record of its own, so two tabs never write over each other's. */
export class History extends EventTarget {
  /** @type {IDBDatabase | null} */ #db = null;
  /** Stands in for the stores where there is no database. */
  #memory = { chats: new Map(), messages: new Map() };
  #channel = new BroadcastChannel(NAME);

  /** @returns {Promise<History>} */
  static async open() {
    const history = new History();
    try {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('chats', { keyPath: 'id' });
        request.result.createObjectStore('messages', { keyPath: 'id' }).createIndex('chat', 'chat');
      };
      const db = await done(request);
      db.onversionchange = () => db.close(); // a newer page in another tab
      history.#db = db;
    } catch {
      // A private window, or storage is off: chats live as long as the page.
    }
    history.#channel.onmessage = ({ data }) => history.dispatchEvent(new CustomEvent('change', { detail: data }));
    return history;
  }

  /** Whether chats outlive the page. */
  get lasting() {
    return this.#db !== null;
  }

  /** Newest first. @returns {Promise<Chat[]>} */
  async list() {
    const chats = /** @type {Chat[]} */ (await this.#all('chats'));
    return chats.sort((a, b) => b.updated - a.updated);
  }

  /** Chats that have a text in their title or messages. @param {string} text */
  async search(text) {
    const wanted = text.trim().toLocaleLowerCase();
    const rows = /** @type {Row[]} */ (await this.#all('messages'));
    const found = new Set(rows.filter(({ content }) => content.toLocaleLowerCase().includes(wanted)).map(({ chat }) => chat));
    return (await this.list()).filter(({ id, title }) => found.has(id) || title.toLocaleLowerCase().includes(wanted));
  }

  /** @param {string} id @returns {Promise<Chat | undefined>} */
  async chat(id) {
    return this.#db ? done(this.#db.transaction('chats').objectStore('chats').get(id)) : this.#memory.chats.get(id);
  }

  /** @param {string} chat @returns {Promise<Row[]>} */
  async messages(chat) {
    return /** @type {Row[]} */ (await this.#all('messages', chat));
  }

  /** Writes a chat, and those of its messages that changed. @param {Chat} chat @param {Entry[]} [put] @param {string[]} [removed] */
  async save(chat, put = [], removed = []) {
    const rows = put.map((entry) => ({ ...entry, chat: chat.id }));
    await this.#write({ id: chat.id, chat, put: rows, removed });
  }

  /** @param {string} id */
  async remove(id) {
    await this.#write({ id, chat: null, put: [], removed: (await this.messages(id)).map((row) => row.id) });
  }

  /** Empties every store. */
  async clear() {
    await this.#write({ id: null, chat: null, put: [], removed: [] });
  }

  /** Everything, as an object to be written as JSON. */
  async export() {
    return { format: FORMAT, version: 1, chats: await this.#all('chats'), messages: await this.#all('messages') };
  }

  /** @param {'chats' | 'messages'} store @param {string} [chat] @returns {Promise<any[]>} */
  #all(store, chat) {
    if (!this.#db) return Promise.resolve([...this.#memory[store].values()].filter((row) => chat === undefined || row.chat === chat));
    const source = this.#db.transaction(store).objectStore(store);
    return done(chat === undefined ? source.getAll() : source.index('chat').getAll(chat));
  }

  /** All of a change or none of it; other tabs hear of it. @param {Change} change @returns {Promise<void>} */
  async #write(change) {
    const { id, chat, put, removed } = change;
    const transaction = this.#db?.transaction(STORES, 'readwrite');
    const [chats, messages] = STORES.map((name) => transaction?.objectStore(name) ?? store(this.#memory[name]));
    if (id === null) for (const store of [chats, messages]) store.clear();
    else if (chat) chats.put(chat);
    else chats.delete(id);
    for (const row of put) messages.put(row);
    for (const row of removed) messages.delete(row);
    if (transaction) {
      transaction.commit?.(); // not when the page has heard of each of these: it may be gone by then
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
    }
    this.#channel.postMessage(change);
  }
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** A map with the methods of a store. @param {Map<string, any>} map */
function store(map) {
  return { put: (/** @type {any} */ row) => map.set(row.id, row), delete: (/** @type {string} */ id) => map.delete(id), clear: () => map.clear() };
}
