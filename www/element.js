// <moebius-chat>: a chat with a model that runs in this page, as one tag. The parts are in ui/; this wires them.

import { Engine, MoebiusError } from './engine.js';
import { Talk } from './talk.js';
import { Thread } from './thread.js';
import { Attributes } from './ui/attributes.js';
import { Announcer } from './ui/announcer.js';
import { Chips } from './ui/chips.js';
import { Composer, Waiting } from './ui/composer.js';
import { copy } from './ui/clipboard.js';
import { h } from './ui/dom.js';
import { where } from './ui/format.js';
import { mark } from './ui/mark.js';
import { Question } from './ui/message.js';
import { Meter } from './ui/meter.js';
import { loadMarkdown } from './ui/prose.js';
import { Stats } from './ui/stats.js';
import { Loading, Notice } from './ui/status.js';
import { LANGUAGE, TEXT } from './ui/text.js';
import { Transcript } from './ui/transcript.js';

/** @typedef {import('./thread.js').Entry} Entry */
/** @typedef {{role: string, content: string, reasoning_content?: string}} Message */
/** @typedef {'empty' | 'loading' | 'ready' | 'generating' | 'error'} State */

/**
 * Attributes are in ui/attributes.js, each with a property of the same name.
 *
 * Events, all bubbling and composed: `moebius-statechange` {state}, `moebius-progress` {loaded, total, file}, `moebius-send` {text} (cancelable),
 * `moebius-delta` {content, reasoning_content}, `moebius-message` {message}, `moebius-chunk` {chunk} (as the engine gave it), `moebius-change` {put, removed, leaf,
 * until} (of the conversation, shown once what `until` is given is over), `moebius-draft`, `moebius-clear` (by its button), `moebius-error` {error, told}, `moebius-moved` {device}.
 */
export class MoebiusChat extends Attributes {
  static observedAttributes = ['src', 'device', 'preload', 'context', 'heading', 'placeholder', 'thinking', 'disabled'];

  /** @type {Engine | null} */ #engine = null;
  /** @type {Promise<Engine> | null} */ #loading = null;
  /** @type {Engine | null} */ #coming = null;
  #loadAbort = new AbortController();
  /** @type {Record<string, any>} */ #generation = {};
  /** @type {State} */ #state = 'empty';
  /** Whether the engine was handed in, so that others may use it too. */
  #shared = false;

  #internals = this.attachInternals();
  #transcript = new Transcript();
  #composer = new Composer();
  #waiting = new Waiting();
  #loadingBar = new Loading();
  #notice = new Notice();
  #announcer = new Announcer();
  #meter = new Meter();
  #heading = h('h2', { part: 'heading' });
  #chips = new Chips();
  #think = h('input', { type: 'checkbox' });
  #thinkLabel = h('label', { class: 'toggle', hidden: true }, this.#think, h('span', {}, TEXT.thinkFirst));
  #stats = new Stats();
  #fresh = h('button', { type: 'button', class: 'plain', part: 'new-chat' }, TEXT.newChat);
  #talk = new Talk(
    {
      load: () => this.load(),
      engine: () => this.#engine,
      settings: () => ({ system: this.system, generation: this.#generation, think: this.think && this.thinking !== 'hide' }),
      show: () => this.#show(),
    },
    this.#transcript,
    this.#waiting,
  );
  #keep = () => this.#talk.keep();

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    const sheets = ['./chat.css', './messages.css'].map((file) => h('link', { rel: 'stylesheet', href: new URL(file, import.meta.url).href }));
    const foot = h('div', { class: 'foot' }, this.#thinkLabel, this.#stats.node, this.#meter.node, this.#fresh);
    const dock = h('div', { class: 'dock' });
    dock.append(this.#notice.node, this.#loadingBar.node, this.#waiting.node, this.#composer.node, foot, this.#announcer.node);
    const chat = h('div', { class: 'chat', part: 'container', lang: LANGUAGE, hidden: true }, this.#transcript.node, dock);
    const styled = sheets.map((sheet) => new Promise((resolve) => (sheet.onload = sheet.onerror = resolve)));
    Promise.all(styled).then(() => (chat.hidden = false)); // nothing is shown unstyled
    const welcome = h('slot', { name: 'empty' }, mark(), this.#heading);
    this.#transcript.welcome(welcome, this.#chips.node);
    root.append(...sheets, chat);

    this.#composer.addEventListener('send', (event) => this.send(/** @type {CustomEvent<string>} */ (event).detail));
    this.#composer.addEventListener('stop', () => this.stop());
    this.#chips.addEventListener('pick', (event) => {
      this.focus();
      this.send(/** @type {CustomEvent<string>} */ (event).detail);
    });
    this.#waiting.addEventListener('change', () => this.#emit('moebius-draft', {}));
    this.#composer.addEventListener('draft', (event) => this.#drafted(/** @type {CustomEvent<string>} */ (event).detail));
    this.#composer.addEventListener('recall', () => {
      const last = this.#talk.thread.path().findLast(({ role }) => role === 'user');
      if (last) this.#act('edit', last.id);
    });
    this.#transcript.addEventListener('action', (event) => {
      const { action, id } = /** @type {CustomEvent} */ (event).detail;
      this.#act(action, id);
    });
    this.#loadingBar.addEventListener('cancel', () => this.#cancel());
    this.#loadingBar.addEventListener('pause', () => this.#coming?.pause());
    this.#loadingBar.addEventListener('resume', () => this.#coming?.resume());
    this.#listen();
    this.#fresh.addEventListener('click', () => this.#begin());
    this.#think.addEventListener('change', () => this.#emit('moebius-change', { put: [], removed: [], leaf: this.#talk.thread.leaf }));
    root.addEventListener('keydown', (event) => /** @type {KeyboardEvent} */ (event).key === 'Escape' && this.stop());
    this.#show();
  }

  /** What the conversation tells. */
  #listen() {
    /** @param {string} type @param {(detail: any) => void} then */
    const on = (type, then) => this.#talk.addEventListener(type, (event) => then(/** @type {CustomEvent} */ (event).detail));
    on('begin', () => {
      this.#notice.hide();
      this.#stats.begin();
      this.#set('generating');
    });
    on('ready', () => {
      this.#loadingBar.stop(true);
      this.#announcer.say(TEXT.replying);
    });
    on('chunk', (detail) => this.#emit('moebius-chunk', detail));
    on('tokens', () => this.#stats.count(this.#engine?.info));
    on('delta', (delta) => {
      this.#announcer.grow(delta.content ?? '');
      this.#emit('moebius-delta', delta);
    });
    on('message', (message) => this.#emit('moebius-message', { message }));
    on('change', (change) => this.#emit('moebius-change', change));
    on('end', ({ error, stopped, entry }) => {
      this.#loadingBar.stop(!!this.#engine?.info);
      if (error !== undefined) return this.#failed(TEXT.noReply, error, entry);
      this.#announcer.say(stopped ? TEXT.stopped : TEXT.complete);
      this.#set(this.#rest());
    });
  }

  connectedCallback() {
    this.upgrade();
    this.#labels();
    this.#preload();
    addEventListener('pagehide', this.#keep);
  }

  disconnectedCallback() {
    removeEventListener('pagehide', this.#keep);
    // Moving the element disconnects it for a moment; what is gone at the end of the task is gone.
    queueMicrotask(() => {
      if (!this.isConnected) this.#unload();
    });
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name === 'thinking') this.#think.checked = after === 'show';
    this.#labels();
    if (['src', 'device', 'context'].includes(name)) this.placed();
    else if (this.isConnected && name === 'preload') this.#preload();
  }

  placed() {
    if (this.#engine || this.#loading) this.#unload();
    if (this.isConnected) this.#preload();
  }

  /** Where the chat stands. @returns {State} */
  get state() {
    return this.#state;
  }

  /** The conversation as it is shown, in OpenAI's shape. Setting it replaces what is shown. @returns {Message[]} */
  get messages() {
    const said = this.#talk.thread.path().filter(({ role, content }) => role !== 'assistant' || content !== '');
    return said.map(({ role, content, reasoning_content }) => ({ role, content, ...(reasoning_content ? { reasoning_content } : {}) }));
  }

  set messages(messages) {
    const thread = new Thread();
    for (const message of messages) thread.add({ .../** @type {any} */ (message), parent: thread.leaf });
    this.conversation = thread.conversation;
  }

  /** The conversation with its branches, to be kept and set again. @returns {import('./thread.js').Conversation} */
  get conversation() {
    return this.#talk.thread.conversation;
  }

  set conversation(conversation) {
    if (conversation.entries.length > 0) loadMarkdown();
    this.#transcript.end();
    this.#replace(conversation);
  }

  /** Whether a model that can switch it reasons visibly. */
  get think() {
    return this.#think.checked;
  }

  set think(think) {
    this.#think.checked = think;
  }

  /** Questions offered before the first one. @returns {string[]} */
  get suggestions() {
    return this.#chips.texts;
  }

  set suggestions(suggestions) {
    this.#chips.texts = suggestions;
  }

  /** What is written and not asked yet: questions that wait, and what the text box has. Setting it replaces what the box has. */
  get draft() {
    return [...this.#waiting.texts, this.#composer.text].filter((text) => text !== '').join('\n\n');
  }

  set draft(text) {
    this.#composer.text = text;
  }

  /** Fields added to every request, as in OpenAI's shape: `temperature`, `max_tokens`, … @returns {Record<string, any>} */
  get generation() {
    return { ...this.#generation };
  }

  set generation(generation) {
    this.#generation = { ...generation };
  }

  /** The engine; set it to share one between elements. @returns {Engine | null} */
  get engine() {
    return this.#engine;
  }

  set engine(engine) {
    this.#unload();
    this.#engine = engine;
    this.#shared = engine !== null;
    this.#set(engine ? 'ready' : 'empty');
  }

  /** Loads the model unless it is loaded. @returns {Promise<Engine>} rejects with a {@link MoebiusError} */
  load() {
    if (this.#engine) return Promise.resolve(this.#engine);
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /**
   * Asks a question; resolves when the reply is complete, stopped or failed. While the model loads, the question waits;
   * while another reply comes, it waits its turn.
   * @param {string} text
   */
  async send(text) {
    if (this.disabled || !this.#emit('moebius-send', { text }, true)) return;
    await this.#talk.send(text);
  }

  /** Stops the reply; what there is of it stays. */
  stop() {
    this.#talk.stop();
  }

  /** Says something above the text box, with what can be done about it. @param {import('./ui/status.js').Told | null} told null: nothing more */
  tell(told) {
    this.#notice.hide();
    if (!told) return;
    /** @param {() => void} act */
    const then = (act) => () => {
      this.#notice.hide();
      this.#composer.focus();
      act();
    };
    this.#notice.show({ ...told, act: then(told.act), more: told.more && { ...told.more, act: then(told.more.act) } });
  }

  /** To the text box. */
  focus() {
    this.#composer.focus();
  }

  /** Puts a text into the text box, where its caret is. @param {string} text */
  insert(text) {
    this.#composer.insert(text);
  }

  /** Begins a new conversation. */
  clear() {
    this.#replace({});
  }

  /** Asks a question in another way, in a branch of its own. @param {string} id @param {string} text */
  edit(id, text) {
    return this.#talk.edit(id, text);
  }

  /** Makes another reply beside the last one, or one that is named. @param {string | null} [id] */
  regenerate(id) {
    return this.#talk.regenerate(id);
  }

  /** Goes on with the last reply, where it was stopped or the page was left. */
  resume() {
    return this.#talk.resume();
  }

  /** Takes in what another tab changed. @param {{put: Entry[], removed: string[]}} change */
  merge(change) {
    this.#talk.merge(change);
  }

  /** @param {Partial<import('./thread.js').Conversation>} conversation */
  #replace(conversation) {
    this.#talk.begin(conversation);
    this.#announcer.clear();
    this.#notice.hide();
    if (this.#state === 'error' || this.#state === 'generating') this.#set(this.#rest());
    this.#show();
  }

  /** Loads the model, showing how far it is. */
  async #load() {
    const abort = this.#loadAbort;
    this.#notice.hide();
    this.#loadingBar.start();
    if (this.#state !== 'generating') this.#set('loading');
    try {
      if (this.place.model === '') throw new MoebiusError('request', 'The attribute src names no model.');
      const markdown = loadMarkdown(true); // beside the model, so that nothing is asked for once it is ready
      const engine = new Engine({
        ...this.place,
        device: this.device === 'gpu' || this.device === 'cpu' ? this.device : 'auto',
        context: Number(this.context) || undefined,
        signal: abort.signal,
        onProgress: (progress) => {
          this.#loadingBar.show(progress);
          this.#emit('moebius-progress', progress);
        },
        onMoved: (device) => {
          this.#loadingBar.stop(true);
          this.#stats.show(this.#engine?.info);
          this.#announcer.say(TEXT.moved(where(this.#engine?.info)));
          this.#emit('moebius-moved', { device });
        },
      });
      this.#coming = engine;
      abort.signal.addEventListener('abort', () => engine.unload(), { once: true });
      await Promise.all([engine.load(), markdown]);
      if (abort.signal.aborted) throw new MoebiusError('aborted', 'Loading was stopped.');
      this.#engine = engine;
      if (!this.#talk.busy) this.#set('ready');
      this.#announcer.say(TEXT.ready);
      return engine;
    } catch (error) {
      if (abort === this.#loadAbort) this.#loading = null;
      if (!abort.signal.aborted && !this.#talk.busy) this.#failed(TEXT.notLoaded, error);
      throw error;
    } finally {
      if (abort === this.#loadAbort) this.#loadingBar.stop(!!this.#engine);
      this.#show();
    }
  }

  /** What a person asked for with a message. @param {import('./ui/tools.js').Action} action @param {string} id */
  async #act(action, id) {
    const entry = this.#talk.thread.get(id);
    const view = this.#transcript.view(id);
    if (!entry || !view) return;
    if (action === 'copy') return view.tools.copied(await copy(entry.content));
    if (action === 'edit') return view instanceof Question ? view.edit(entry.content, (text) => this.edit(id, text)) : undefined;
    if (action === 'regenerate') this.regenerate(id);
    if (action === 'resume') this.resume();
    if (action === 'delete') await this.#discard(id);
    if (action === 'previous' || action === 'next') {
      const all = this.#talk.thread.branches(entry.parent);
      const beside = all[all.indexOf(entry) + (action === 'next' ? 1 : -1)];
      if (!beside) return;
      await this.#talk.choose(beside.id);
      return this.#transcript.view(beside.id)?.tools.focus(action);
    }
    this.#composer.focus(); // what was pressed may be gone
  }

  /** Takes out a message and what follows it, and offers to put it back. @param {string} id */
  async #discard(id) {
    const back = await this.#talk.discard(id);
    this.tell({ title: TEXT.deleted, label: TEXT.undo, act: back });
  }

  /** @param {string} text */
  #drafted(text) {
    this.#emit('moebius-draft', {});
    const { engine } = this;
    // The worker answers in turn: while it replies, a count would come too late.
    this.#meter.draft(text, async () => (engine && !this.#talk.busy ? (await engine.tokenize(text)).length : 0));
  }

  /** A new conversation, by the button for it. */
  #begin() {
    this.clear();
    this.#composer.focus();
    this.#emit('moebius-clear', {});
  }

  /**
   * Says what went wrong and offers the one thing that helps.
   * @param {string} title
   * @param {unknown} cause
   * @param {Entry} [entry] the reply that failed
   */
  #failed(title, cause, entry) {
    const error = cause instanceof MoebiusError ? cause : new MoebiusError('engine_crashed', String(cause));
    const full = error.code === 'context_full';
    const act = () => {
      if (full) return this.#begin();
      if (!entry) return this.load().catch(() => {});
      return this.#talk.again(entry);
    };
    const told = { title, text: error.message, code: error.code, label: full ? TEXT.newChat : TEXT.tryAgain, act };
    this.tell(told);
    this.#set('error');
    this.#emit('moebius-error', { error, told });
  }

  /** Loads at once where that was asked for, and the visitor does not save data. */
  #preload() {
    const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
    if (this.preload !== 'auto' || this.place.model === '' || connection?.saveData) return;
    this.load().catch(() => {}); // shown
  }

  /** The loading, by its button. */
  #cancel() {
    this.#unload();
    this.tell({ title: TEXT.loadingStopped, label: TEXT.tryAgain, act: () => this.load().catch(() => {}) });
  }

  #unload() {
    this.stop();
    this.#loadAbort.abort();
    this.#loadAbort = new AbortController();
    if (!this.#shared) this.#engine?.unload();
    this.#engine = null;
    this.#loading = null;
    this.#shared = false;
    this.#loadingBar.stop();
    this.#set('empty');
  }

  /** The state between replies. @returns {State} */
  #rest() {
    return this.#engine ? 'ready' : this.#loading ? 'loading' : 'empty';
  }

  /** @param {State} state */
  #set(state) {
    const before = this.#state;
    this.#state = state;
    this.#show();
    if (state === before) return;
    this.#internals.states.delete(before);
    this.#internals.states.add(state);
    this.#emit('moebius-statechange', { state });
  }

  /** Brings what is shown in line with the state. */
  #show() {
    if (!this.#talk.hidden) this.#transcript.show(this.#talk.thread, { reasoning: this.#reasoning(), busy: this.#talk.busy, more: 'max_tokens' in this.#generation });
    const used = this.#talk.thread.path().findLast(({ context }) => context)?.context ?? 0;
    this.#meter.show({ used, limit: this.#engine?.info?.context ?? 0 });
    this.#composer.busy = this.#talk.busy;
    this.#fresh.disabled = this.#transcript.empty;
    this.#thinkLabel.hidden = !this.#engine?.info?.thinking || this.thinking === 'hide';
    if (this.#state !== 'generating') this.#stats.show(this.#engine?.info);
  }

  /** How replies show reasoning. @returns {'hidden' | 'folded' | 'open'} */
  #reasoning() {
    if (this.thinking === 'hide') return 'hidden';
    return this.thinking === 'show' ? 'open' : 'folded';
  }

  #labels() {
    this.#heading.textContent = this.heading;
    this.#heading.hidden = this.heading === '';
    this.#composer.placeholder = this.placeholder || TEXT.placeholder;
    this.#composer.disabled = this.disabled;
    this.#show();
  }

  /** @param {string} type @param {object} detail @param {boolean} [cancelable] */
  #emit(type, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable, bubbles: true, composed: true }));
  }
}

customElements.define('moebius-chat', MoebiusChat);
