// What is said: the conversation, the reply that is being made, and the questions that wait for it to end.

import { MoebiusError } from './protocol.js';
import { Thread } from './thread.js';
import { Reply } from './ui/message.js';
import { TEXT } from './ui/text.js';

/** @typedef {import('./engine.js').Engine} Engine */
/** @typedef {import('./thread.js').Entry} Entry */
/** @typedef {{content?: string | null, reasoning_content?: string | null}} Delta */
/** A reply that is being made. @typedef {{entry: Entry, abort: AbortController, over: Promise<void>}} Run */

/** The element around it; `show` brings what is seen in line. @typedef {{load(): Promise<Engine>, engine(): Engine | null, show(): void,
 *   settings(): {system: string, generation: Record<string, any>, think: boolean}}} Host */

/** Milliseconds between copies of a reply that is being made: what a reload can lose. */
const KEEP_MS = 400;
/** Milliseconds that what changed is not shown yet, at most, while it is being kept. */
const HIDDEN_MS = 2000;

/**
 * Sends `begin`; `end` {error, entry, stopped}; `change` {put, removed, leaf, until}; `delta`, `message`, and `tokens` for each
 * of them. Whoever keeps a change hands `until` a promise of it: what is not kept yet is not shown, so that a page that dies
 * loses nothing that was seen.
 */
export class Talk extends EventTarget {
  thread = new Thread();
  /** Whether something changed that is not kept yet: the conversation is shown again once it is. */
  hidden = false;
  /** @type {Promise<unknown>} */ #kept = Promise.resolve();
  /** @type {Run | null} */ #run = null;
  /** Whether the questions that wait go on waiting. */
  #held = false;
  /** @type {Host} */ #host;
  /** @type {import('./ui/transcript.js').Transcript} */ #transcript;
  /** @type {import('./ui/composer.js').Waiting} */ #waiting;

  /** @param {Host} host @param {import('./ui/transcript.js').Transcript} transcript @param {import('./ui/composer.js').Waiting} waiting */
  constructor(host, transcript, waiting) {
    super();
    this.#host = host;
    this.#transcript = transcript;
    this.#waiting = waiting;
  }

  /** Whether a reply is being made. */
  get busy() {
    return this.#run !== null;
  }

  /** @param {string} text */
  async send(text) {
    if (this.#run) await this.#waiting.add(text);
    else await this.#ask(text);
  }

  stop() {
    this.#run?.abort.abort();
  }

  /** @param {Partial<import('./thread.js').Conversation>} [conversation] */
  begin(conversation) {
    this.#waiting.clear();
    this.keep();
    this.stop();
    this.#run = null;
    this.thread = new Thread(conversation);
  }

  /** Asks a question in another way, in a branch of its own. @param {string} id @param {string} text */
  async edit(id, text) {
    await this.#idle();
    const entry = this.thread.get(id);
    if (entry?.role === 'user') await this.#ask(text, entry.parent);
  }

  /** Makes another reply beside the last one, or one that is named. @param {string | null} [id] */
  async regenerate(id = this.thread.leaf) {
    await this.#idle();
    const entry = this.thread.get(id ?? '');
    if (entry) await this.#answer(this.#reply(entry.role === 'user' ? entry.id : entry.parent));
  }

  /** Goes on with the last reply, where it was stopped or the page was left. */
  async resume() {
    await this.#idle();
    const entry = this.thread.path().at(-1);
    if (entry?.role === 'assistant') await this.#answer(entry, { resume: true });
  }

  /** Takes out a message and what follows it. @param {string} id @returns {Promise<() => void>} puts it back */
  async discard(id) {
    if (this.#run && this.thread.path().some((entry) => entry.id === id)) await this.#idle();
    const { leaf } = this.thread;
    const removed = this.thread.remove(id);
    await this.#changed([], removed);
    this.#next();
    return () => {
      this.thread.merge(removed);
      this.thread.leaf = leaf;
      this.#changed(removed);
    };
  }

  /** Shows the branch that a message is in. @param {string} id */
  async choose(id) {
    await this.#idle();
    this.thread.choose(id);
    await this.#changed([]);
    this.#next();
  }

  /** Takes in what another tab changed. @param {{put: Entry[], removed: string[]}} change */
  merge({ put, removed }) {
    const mine = this.#run?.entry.id;
    if (mine && removed.includes(mine)) this.stop();
    this.thread.merge(put.filter(({ id }) => id !== mine), removed);
    if (mine) this.thread.choose(mine);
    this.#host.show();
  }

  /** @param {string} text @param {string | null} [parent] the message before it, the last one unless told */
  async #ask(text, parent) {
    const last = this.thread.path().at(-1);
    // A question that was never answered gives way.
    const before = parent !== undefined ? parent : last?.role === 'user' ? last.parent : (last?.id ?? null);
    const question = this.thread.add({ role: 'user', content: text, parent: before });
    this.#transcript.end();
    await this.#answer(this.#reply(question.id), { put: [question] });
  }

  /** A reply that is still to be made. @param {string | null} parent */
  #reply(parent) {
    const tries = this.thread.branches(parent).length;
    const { seed: first } = this.#host.settings().generation;
    const seed = first === undefined ? Math.floor(Math.random() * 2 ** 31) : first + tries;
    return this.thread.add({ role: 'assistant', content: '', parent, seed, end: 'partial' });
  }

  /**
   * Makes a reply, or goes on with it.
   * @param {Entry} entry
   * @param {{resume?: boolean, put?: Entry[], removed?: Entry[]}} [how] `put`, `removed`: what changed with it
   */
  async #answer(entry, { resume = false, put = [], removed = [] } = {}) {
    const abort = new AbortController();
    let over = () => {};
    /** @type {Run} */
    const run = { entry, abort, over: new Promise((resolve) => (over = () => resolve())) };
    this.#run = run;
    const more = resume && entry.end === 'length' ? (entry.tokens ?? 0) : 0;
    const resumed = new Resumed(resume ? { content: entry.content, reasoning: entry.reasoning_content ?? '' } : { content: '', reasoning: '' });
    entry.end = 'partial';
    const shown = this.#changed([...put, entry], removed);
    this.#tell('begin', {});
    await shown;
    const view = this.#transcript.view(entry.id);
    if (!(view instanceof Reply)) {
      over();
      return this.#end(run, null, { stopped: true }); // deleted in another tab, or another conversation was begun
    }
    const status = resume ? TEXT.pickingUp : TEXT.reading;
    view.begin(this.#host.engine() ? status : TEXT.waitsForModel);
    let kept = 0;
    try {
      const engine = await until(this.#host.load(), abort.signal);
      await until(engine.load(), abort.signal); // again, if its worker died meanwhile
      view.wait(status);
      this.#host.show();
      this.#tell('ready', {});
      for await (const chunk of this.#request(engine, entry, more, abort.signal)) {
        this.#tell('chunk', { chunk });
        if (chunk.timings) entry.speed = chunk.timings.predicted_per_second;
        if (chunk.usage) [entry.tokens, entry.context] = [chunk.usage.completion_tokens, chunk.usage.total_tokens];
        const choice = chunk.choices?.[0];
        if (!choice) continue;
        if (choice.finish_reason) entry.end = choice.finish_reason === 'length' ? 'length' : 'done';
        const delta = choice.delta ?? { content: choice.text };
        if (!delta.content && !delta.reasoning_content) continue;
        this.#tell('tokens', {});
        const fresh = resumed.take(delta);
        if (fresh) this.#grow(entry, view, fresh);
        if (performance.now() - kept > KEEP_MS) {
          kept = performance.now();
          this.keep();
        }
      }
      this.#end(run, view, {});
    } catch (error) {
      const stopped = abort.signal.aborted;
      if (stopped) entry.end = 'stopped';
      this.#end(run, view, stopped ? { stopped } : { error });
    } finally {
      over();
    }
  }

  /** @param {Run} run @param {Reply | null} view @param {{error?: unknown, stopped?: boolean}} how */
  #end(run, view, how) {
    if (this.#run !== run) return; // another conversation was begun meanwhile
    this.#run = null;
    this.#ended(run.entry, view);
    this.#tell('end', { ...how, entry: run.entry });
    this.#transcript.follow();
    if (how.error === undefined) this.#next();
  }

  /** Asks the question whose turn it is. */
  #next() {
    const next = this.#run || this.#held ? undefined : this.#waiting.take();
    if (next) this.#ask(next.text).then(next.done);
  }

  /** Makes a reply that failed once more. @param {Entry} entry */
  async again(entry) {
    const removed = this.thread.remove(entry.id);
    await this.#answer(this.#reply(entry.parent), { removed });
  }

  /** Takes a piece of a reply into the conversation. @param {Entry} entry @param {Reply} view @param {Delta & {again?: boolean}} delta */
  #grow(entry, view, delta) {
    if (delta.again) {
      entry.content = entry.reasoning_content = '';
      view.reset({ ...entry, thought: 0 });
    }
    view.add(delta);
    entry.content += delta.content ?? '';
    if (delta.reasoning_content) entry.reasoning_content = (entry.reasoning_content ?? '') + delta.reasoning_content;
    this.#transcript.follow();
    this.#tell('delta', { content: delta.content, reasoning_content: delta.reasoning_content });
  }

  /** A reply that was stopped before it said anything is none. @param {Entry} entry @param {Reply | null} view */
  #ended(entry, view) {
    view?.finish(entry);
    if (!view || !this.thread.get(entry.id)) return; // deleted meanwhile, in another tab perhaps
    if (view.thought > 0) entry.thought = view.thought;
    const cut = entry.end === 'stopped' || entry.end === 'partial';
    if (cut && !entry.content && !entry.reasoning_content) return void this.#changed([], this.thread.remove(entry.id));
    this.#changed([entry]);
    const { content, reasoning_content } = entry;
    this.#tell('message', { role: 'assistant', content, ...(reasoning_content ? { reasoning_content } : {}) });
  }

  /** @param {Engine} engine @param {Entry} entry @param {number} more tokens there are already @param {AbortSignal} signal */
  #request(engine, entry, more, signal) {
    const path = this.thread.path(entry.parent).filter(({ content }) => content !== '');
    const said = path.map(({ role, content }) => ({ role, content }));
    const { system: own, generation, think } = this.#host.settings();
    const system = own || engine.info?.system;
    const messages = system ? [{ role: 'system', content: system }, ...said] : said;
    const longer = more > 0 && generation.max_tokens ? { max_tokens: generation.max_tokens + more } : {};
    return request(engine, { messages, generation: { ...generation, seed: entry.seed, ...longer }, think, signal });
  }

  /** Stops what runs; what waits goes on waiting. */
  async #idle() {
    while (this.#run) {
      this.#held = true;
      const { over } = this.#run;
      this.stop();
      await over; // and of two that waited for it, the second waits for what the first began
      this.#held = false;
    }
  }

  /** The conversation changed: that is shown once it is kept. @param {Entry[]} put @param {Entry[]} [removed] */
  async #changed(put, removed = []) {
    /** @type {Promise<unknown>[]} */
    const keeping = [];
    const until = (/** @type {Promise<unknown>} */ promise) => keeping.push(promise);
    this.#tell('change', { put: put.map((entry) => ({ ...entry })), removed: removed.map(({ id }) => id), leaf: this.thread.leaf, until });
    if (keeping.length > 0) {
      const long = new Promise((resolve) => setTimeout(resolve, HIDDEN_MS));
      const before = this.#kept;
      this.#kept = Promise.race([Promise.allSettled(keeping), long]).then(() => before);
      this.hidden = true;
      /** @type {Promise<unknown>} */
      let all;
      do await (all = this.#kept);
      while (all !== this.#kept);
      this.hidden = false;
    }
    this.#host.show();
  }

  /** What there is of a reply, for whoever keeps it. */
  keep() {
    if (this.#run) this.#tell('change', { put: [{ ...this.#run.entry }], removed: [], leaf: this.thread.leaf });
  }

  /** @param {string} type @param {object} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * A promise, or an error as soon as the signal says so.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
function until(promise, signal) {
  const stopped = new Promise((_, reject) => {
    const stop = () => reject(new MoebiusError('aborted', 'Stopped.'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (stopped)]);
}

/**
 * The request for a reply. A model without a chat template continues the text instead.
 * @param {Engine} engine
 * @param {{messages: {role: string, content: string}[], generation: Record<string, any>, think: boolean, signal: AbortSignal}} what
 */
function request(engine, { messages, generation, think, signal }) {
  const body = /** @type {const} */ ({ stream: true, stream_options: { include_usage: true } });
  if (engine.info && !engine.info.chat) {
    const prompt = messages.at(-1)?.content ?? '';
    return engine.completions.create({ ...body, prompt, ...generation }, { signal });
  }
  const thinking = engine.info?.thinking ? { chat_template_kwargs: { enable_thinking: think } } : {};
  return engine.chat.completions.create({ ...body, ...thinking, messages, ...generation }, { signal });
}

/**
 * A reply that is made again with the same seed says the same again. What is known of it already is passed over; where it
 * says something else after all, as on another device, it begins anew.
 */
class Resumed {
  #known;
  #content = '';
  #reasoning = '';
  #caughtUp;

  /** @param {{content: string, reasoning: string}} known */
  constructor(known) {
    this.#known = known;
    this.#caughtUp = known.content === '' && known.reasoning === '';
  }

  /** @param {Delta} delta @returns {(Delta & {again?: boolean}) | null} what is new; `again`: all of it, what was known is void */
  take(delta) {
    if (this.#caughtUp) return delta;
    this.#content += delta.content ?? '';
    this.#reasoning += delta.reasoning_content ?? '';
    const { content, reasoning } = this.#known;
    const thought = this.#content === '' || this.#reasoning === reasoning || content === '';
    if (thought && reasoning.startsWith(this.#reasoning) && content.startsWith(this.#content)) return null;
    this.#caughtUp = true;
    if (this.#content.startsWith(content) && this.#reasoning.startsWith(reasoning)) {
      return { content: this.#content.slice(content.length), reasoning_content: this.#reasoning.slice(reasoning.length) };
    }
    return { content: this.#content, reasoning_content: this.#reasoning, again: true };
  }
}
