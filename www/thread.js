// A conversation as a tree: an edited question or another reply is a branch beside the first. What is shown is one path.

/**
 * A message and where it stands: `parent` is the one before it, `created` orders branches. Of a reply: `end` (`partial`: none
 * yet, or the page was left before), `context` (tokens with its prompt), `speed` (tokens a second), `thought` (seconds).
 * @typedef {{id: string, parent: string | null, created: number, role: 'system' | 'user' | 'assistant', content: string,
 *   reasoning_content?: string, end?: 'done' | 'stopped' | 'length' | 'partial', seed?: number, tokens?: number,
 *   context?: number, speed?: number, thought?: number}} Entry
 */

/** @typedef {{entries: Entry[], leaf: string | null}} Conversation */

export class Thread {
  /** @type {Map<string, Entry>} */ #entries = new Map();
  /** The last message of the path. @type {string | null} */ leaf = null;

  /** @param {Partial<Conversation>} [from] */
  constructor({ entries = [], leaf = null } = {}) {
    for (const entry of entries) this.#entries.set(entry.id, { ...entry });
    for (const { id } of entries) {
      // What was imported may hang in the air or go round in a circle: it begins a branch.
      const [first] = this.path(id);
      first.parent = null;
    }
    this.leaf = leaf !== null && this.#entries.has(leaf) ? leaf : null;
    if (this.leaf === null && entries.length > 0) this.choose(this.branches(null)[0]?.id ?? '');
  }

  /** A copy that can be kept. @returns {Conversation} */
  get conversation() {
    return { entries: [...this.#entries.values()].map((entry) => ({ ...entry })), leaf: this.leaf };
  }

  /** @param {string} id */
  get(id) {
    return this.#entries.get(id);
  }

  /** From the first message to one, the leaf unless told. @param {string | null} [to] @returns {Entry[]} */
  path(to = this.leaf) {
    /** @type {Entry[]} */
    const path = [];
    for (let id = to; id !== null && path.length <= this.#entries.size; ) {
      const entry = this.#entries.get(id);
      if (!entry) break;
      path.unshift(entry);
      id = entry.parent;
    }
    return path;
  }

  /** What follows a message, or begins the conversation, oldest first. @param {string | null} parent @returns {Entry[]} */
  branches(parent) {
    const all = [...this.#entries.values()].filter((entry) => entry.parent === parent);
    return all.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
  }

  /** Adds a message and makes it the leaf. @param {Omit<Entry, 'id' | 'created'>} what @returns {Entry} */
  add(what) {
    const entry = { ...what, id: newId(), created: Date.now() };
    this.#entries.set(entry.id, entry);
    this.leaf = entry.id;
    return entry;
  }

  /** Shows the branch that a message is in, down to its newest end. @param {string} id */
  choose(id) {
    if (!this.#entries.has(id)) return;
    for (let next = this.#entries.get(id); next; next = this.branches(next.id).at(-1)) this.leaf = next.id;
  }

  /** Removes a message and all that follows it; shows a branch beside it, or ends before it. @param {string} id @returns {Entry[]} what was removed */
  remove(id) {
    const first = this.#entries.get(id);
    if (!first) return [];
    const removed = [first];
    for (const entry of removed) removed.push(...this.branches(entry.id));
    const shown = this.path().includes(first);
    for (const entry of removed) this.#entries.delete(entry.id);
    if (!shown) return removed;
    const beside = this.branches(first.parent).at(-1);
    if (beside) this.choose(beside.id);
    else this.leaf = first.parent;
    return removed;
  }

  /**
   * Takes what another hand changed. The path stays, and grows if it grew there.
   * @param {Entry[]} put @param {string[]} [removed]
   */
  merge(put, removed = []) {
    for (const entry of put) this.#entries.set(entry.id, { ...entry });
    for (const id of removed) this.remove(id);
    const end = this.leaf === null ? this.branches(null).at(-1) : this.branches(this.leaf).at(-1);
    if (end) this.choose(end.id);
  }
}

/** An id that no other tab makes. `randomUUID` wants a secure origin. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
