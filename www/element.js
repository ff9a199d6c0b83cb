// <moebius-chat>: a chat with a model that runs in this page, as one tag. The parts are in ui/; this wires them.

import { createEngine, MoebiusError } from './engine.js';
import { Attributes } from './ui/attributes.js';
import { Announcer } from './ui/announcer.js';
import { Composer } from './ui/composer.js';
import { h } from './ui/dom.js';
import { speed } from './ui/format.js';
import { Loading } from './ui/loading.js';
import { mark } from './ui/mark.js';
import { Notice } from './ui/notice.js';
import { loadMarkdown } from './ui/prose.js';
import { Transcript } from './ui/transcript.js';

/** @typedef {import('./engine.js').Engine} Engine */
/** @typedef {{role: string, content: string, reasoning_content?: string}} Message */
/** @typedef {'empty' | 'loading' | 'ready' | 'generating' | 'error'} State */

/**
 * Attributes, each with a property of the same name: `src` (folder of a model), `device` (auto, gpu, cpu), `preload`
 * (`auto` loads at once, else the first question does), `context` (tokens), `system`, `heading`, `placeholder`,
 * `thinking` (auto, hide, show), `theme` (auto, light, dark), `disabled`.
 *
 * Events, all bubbling and composed: `moebius-statechange` {state}, `moebius-progress` {loaded, total, file},
 * `moebius-send` {text} (cancelable), `moebius-delta` {content, reasoning_content}, `moebius-message` {message},
 * `moebius-error` {error}.
 */
export class MoebiusChat extends Attributes {
  static observedAttributes = ['src', 'device', 'preload', 'context', 'heading', 'placeholder', 'thinking', 'disabled'];

  /** @type {Engine | null} */ #engine = null;
  /** @type {Promise<Engine> | null} */ #loading = null;
  #loadAbort = new AbortController();
  /** @type {AbortController | null} */ #run = null;
  /** @type {Message[]} */ #messages = [];
  /** @type {string[]} */ #suggestions = [];
  /** @type {Record<string, any>} */ #generation = {};
  /** @type {State} */ #state = 'empty';
  /** Whether the engine was handed in, so that others may use it too. */
  #shared = false;

  #internals = this.attachInternals();
  #transcript = new Transcript();
  #composer = new Composer();
  #loadingBar = new Loading();
  #notice = new Notice();
  #announcer = new Announcer();
  #heading = h('h2', { part: 'heading' });
  #chips = h('div', { class: 'chips' });
  #think = h('input', { type: 'checkbox' });
  #thinkLabel = h('label', { class: 'toggle', hidden: true }, this.#think, h('span', {}, 'Think first'));
  #stats = h('span', { part: 'stats', class: 'stats' });
  #fresh = h('button', { type: 'button', class: 'plain', part: 'new-chat' }, 'New chat');

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    const sheets = ['./chat.css', './prose.css'].map((file) => h('link', { rel: 'stylesheet', href: new URL(file, import.meta.url).href }));
    const foot = h('div', { class: 'foot' }, this.#thinkLabel, this.#stats, this.#fresh);
    const dock = h('div', { class: 'dock' });
    dock.append(this.#notice.node, this.#loadingBar.node, this.#composer.node, foot, this.#announcer.node);
    const chat = h('div', { class: 'chat', part: 'container', hidden: true }, this.#transcript.node, dock);
    const styled = sheets.map((sheet) => new Promise((resolve) => (sheet.onload = sheet.onerror = resolve)));
    Promise.all(styled).then(() => (chat.hidden = false)); // nothing is shown unstyled
    const welcome = h('slot', { name: 'empty' }, mark(), this.#heading);
    this.#transcript.welcome(welcome, this.#chips);
    root.append(...sheets, chat);

    this.#composer.addEventListener('send', (event) => this.send(/** @type {CustomEvent<string>} */ (event).detail));
    this.#composer.addEventListener('stop', () => this.stop());
    this.#fresh.addEventListener('click', () => {
      this.clear();
      this.#composer.focus();
    });
    root.addEventListener('keydown', (event) => {
      if (/** @type {KeyboardEvent} */ (event).key === 'Escape') this.stop();
    });
    this.#show();
  }

  connectedCallback() {
    for (const name of Object.keys(this)) this.#upgrade(name);
    this.#labels();
    this.#preload();
  }

  disconnectedCallback() {
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
    const reload = ['src', 'device', 'context'].includes(name);
    if (reload && (this.#engine || this.#loading)) this.#unload();
    if (this.isConnected && (reload || name === 'preload')) this.#preload();
  }

  /** Where the chat stands. @returns {State} */
  get state() {
    return this.#state;
  }

  /** The conversation, in OpenAI's shape. Setting it replaces what is shown. @returns {Message[]} */
  get messages() {
    return this.#messages.map((message) => ({ ...message }));
  }

  set messages(messages) {
    this.clear();
    this.#messages = messages.map((message) => ({ ...message }));
    for (const message of messages) {
      if (message.role === 'user') this.#transcript.ask(message.content);
      if (message.role !== 'assistant') continue;
      const reply = this.#transcript.reply({ reasoning: this.#reasoning() });
      reply.add(message);
      reply.finish();
    }
    this.#show();
  }

  /** Questions offered before the first one. @returns {string[]} */
  get suggestions() {
    return [...this.#suggestions];
  }

  set suggestions(suggestions) {
    this.#suggestions = [...suggestions];
    const chips = this.#suggestions.map((text) => {
      const chip = h('button', { type: 'button', part: 'suggestion' }, text);
      chip.addEventListener('click', () => {
        this.#composer.focus();
        this.send(text);
      });
      return chip;
    });
    this.#chips.replaceChildren(...chips);
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
   * Asks a question; resolves when the reply is complete, stopped or failed. While the model loads, the question waits.
   * @param {string} text
   */
  async send(text) {
    if (this.#run || this.disabled) return;
    if (!this.#emit('moebius-send', { text }, true)) return;
    if (this.#messages.at(-1)?.role === 'user') this.#messages.pop(); // it was never answered
    this.#messages.push({ role: 'user', content: text });
    this.#transcript.ask(text);
    await this.#reply();
  }

  /** Stops the reply; what there is of it stays. */
  stop() {
    this.#run?.abort();
  }

  /** Begins a new conversation. */
  clear() {
    this.stop();
    this.#messages = [];
    this.#transcript.clear();
    this.#announcer.clear();
    this.#notice.hide();
    if (this.#state === 'error') this.#set(this.#engine ? 'ready' : 'empty');
    this.#show();
  }

  /** Loads the model, showing how far it is. */
  async #load() {
    const abort = this.#loadAbort;
    this.#notice.hide();
    this.#loadingBar.start();
    if (this.#state !== 'generating') this.#set('loading');
    try {
      if (!this.src) throw new MoebiusError('request', 'The attribute src names no model.');
      const markdown = loadMarkdown(); // beside the model, so that nothing is asked for once it is ready
      const engine = await createEngine({
        model: this.src,
        device: this.#choice(),
        context: Number(this.context) || undefined,
        signal: abort.signal,
        onProgress: (progress) => {
          this.#loadingBar.show(progress);
          this.#emit('moebius-progress', progress);
        },
        onMoved: () => {
          this.#loadingBar.stop();
          this.#stats.textContent = this.#where();
          this.#announcer.say(`The GPU was lost. The reply goes on: ${this.#where()}.`);
        },
      });
      await markdown;
      if (abort.signal.aborted) throw new MoebiusError('aborted', 'Loading was stopped.');
      this.#engine = engine;
      if (!this.#run) this.#set('ready');
      this.#announcer.say('Ready.');
      return engine;
    } catch (error) {
      if (abort === this.#loadAbort) this.#loading = null;
      if (!abort.signal.aborted && !this.#run) this.#failed('The model could not be loaded.', error);
      throw error;
    } finally {
      if (abort === this.#loadAbort) this.#loadingBar.stop();
      this.#show();
    }
  }

  /** Answers the last question. */
  async #reply() {
    const run = new AbortController();
    this.#run = run;
    this.#notice.hide();
    const reply = this.#transcript.reply({ reasoning: this.#reasoning() });
    reply.wait(this.#engine ? 'Reading…' : 'Your question waits for the model…');
    this.#set('generating');
    const live = { first: 0, tokens: 0 };
    try {
      const engine = await until(this.load(), run.signal);
      await until(engine.load(), run.signal); // again, if its worker died meanwhile
      this.#loadingBar.stop();
      reply.wait('Reading…');
      this.#show();
      this.#announcer.say('Replying.');
      let finish = '';
      let timings = { predicted_per_second: 0, predicted_n: 0 };
      for await (const chunk of this.#request(engine, run.signal)) {
        if (chunk.timings) timings = chunk.timings;
        const choice = chunk.choices?.[0];
        if (!choice) continue;
        finish = choice.finish_reason ?? finish;
        const delta = choice.delta ?? { content: choice.text };
        if (!delta.content && !delta.reasoning_content) continue;
        reply.add(delta);
        live.first ||= performance.now();
        live.tokens += 1;
        const seconds = (performance.now() - live.first) / 1000;
        this.#stats.textContent = seconds > 0.5 ? `${this.#where()} · ${speed((live.tokens - 1) / seconds)}` : this.#where();
        this.#announcer.grow(delta.content ?? '');
        this.#transcript.follow();
        this.#emit('moebius-delta', delta);
      }
      const note = finish === 'length' ? 'cut at the length limit' : '';
      reply.finish({ note, perSecond: timings.predicted_per_second, tokens: timings.predicted_n });
      this.#keep(reply);
      this.#announcer.say('Reply complete.');
      this.#run = null;
      this.#set('ready');
    } catch (error) {
      const stopped = run.signal.aborted;
      reply.finish({ note: stopped ? 'stopped' : 'interrupted' });
      if (this.#run !== run) return; // cleared meanwhile
      this.#run = null;
      if (stopped) {
        this.#keep(reply);
        this.#announcer.say('Stopped.');
        this.#set(this.#engine ? 'ready' : this.#loading ? 'loading' : 'empty');
      } else {
        this.#failed('There is no complete reply.', error, reply);
      }
    } finally {
      this.#loadingBar.stop();
      this.#transcript.follow();
      this.#show();
    }
  }

  /**
   * The request for a reply. A model without a chat template continues the text instead.
   * @param {Engine} engine
   * @param {AbortSignal} signal
   */
  #request(engine, signal) {
    const body = /** @type {const} */ ({ stream: true, stream_options: { include_usage: true } });
    const messages = this.system ? [{ role: 'system', content: this.system }, ...this.#messages] : this.#messages;
    if (engine.info && !engine.info.chat) {
      const prompt = this.#messages.at(-1)?.content ?? '';
      return engine.completions.create({ ...body, prompt, ...this.#generation }, { signal });
    }
    const thinking = engine.info?.thinking ? { chat_template_kwargs: { enable_thinking: this.#think.checked && this.thinking !== 'hide' } } : {};
    return engine.chat.completions.create({ ...body, ...thinking, messages, ...this.#generation }, { signal });
  }

  /** Takes a reply into the conversation, if it says anything. @param {import('./ui/message.js').Reply} reply */
  #keep(reply) {
    if (!reply.text) return;
    /** @type {Message} */
    const message = { role: 'assistant', content: reply.text };
    if (reply.reasoning) message.reasoning_content = reply.reasoning;
    this.#messages.push(message);
    this.#emit('moebius-message', { message: { ...message } });
  }

  /**
   * Says what went wrong and offers the one thing that helps.
   * @param {string} title
   * @param {unknown} cause
   * @param {import('./ui/message.js').Reply} [reply] the reply that failed
   */
  #failed(title, cause, reply) {
    const error = cause instanceof MoebiusError ? cause : new MoebiusError('engine_crashed', String(cause));
    const full = error.code === 'context_full';
    const act = () => {
      this.#notice.hide();
      this.#composer.focus();
      if (full) return this.clear();
      reply?.node.remove();
      if (reply) this.#reply();
      else this.load().catch(() => {});
    };
    this.#notice.show({ title, error, label: full ? 'New chat' : 'Try again', act });
    this.#set('error');
    this.#emit('moebius-error', { error });
  }

  /** Loads at once where that was asked for, and the visitor does not save data. */
  #preload() {
    const { connection } = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
    if (this.preload !== 'auto' || !this.src || connection?.saveData) return;
    this.load().catch(() => {}); // shown
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
    this.#composer.busy = this.#run !== null;
    this.#fresh.disabled = this.#transcript.empty;
    this.#thinkLabel.hidden = !this.#engine?.info?.thinking || this.thinking === 'hide';
    if (this.#state !== 'generating') this.#stats.textContent = this.#where();
  }

  /** How replies show reasoning. @returns {'hidden' | 'folded' | 'open'} */
  #reasoning() {
    if (this.thinking === 'hide') return 'hidden';
    return this.thinking === 'show' ? 'open' : 'folded';
  }

  /** Where the model runs, and why there. */
  #where() {
    const info = this.#engine?.info;
    if (!info) return '';
    const { kind, name, why, fallbacks } = info.device;
    if (kind === 'cpu') return `CPU · ${why || name}`;
    return [`GPU · ${name}`, ...fallbacks].join(' · ');
  }

  #labels() {
    this.#heading.textContent = this.heading;
    this.#heading.hidden = this.heading === '';
    this.#composer.placeholder = this.placeholder || 'Ask something';
    this.#composer.disabled = this.disabled;
    this.#show();
  }

  /** @returns {import('./protocol.js').DeviceChoice} */
  #choice() {
    return this.device === 'gpu' || this.device === 'cpu' ? this.device : 'auto';
  }

  /**
   * A property that was set before the element was defined hides the accessor: set it again.
   * @param {string} name
   */
  #upgrade(name) {
    if (!(name in MoebiusChat.prototype)) return;
    const self = /** @type {Record<string, any>} */ (/** @type {unknown} */ (this));
    const value = self[name];
    delete self[name];
    self[name] = value;
  }

  /** @param {string} type @param {object} detail @param {boolean} [cancelable] */
  #emit(type, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable, bubbles: true, composed: true }));
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
    signal.addEventListener('abort', () => reject(new MoebiusError('aborted', 'Stopped.')), { once: true });
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (stopped)]);
}

customElements.define('moebius-chat', MoebiusChat);
