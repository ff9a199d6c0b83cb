// What the model is doing, beside the chat: figures, its experts, curves, memory. Nothing is gathered before it was opened.

import { looks } from '../sheets/looks.js';
import { copyBy } from '../ui/clipboard.js';
import { h, icon } from '../ui/dom.js';
import { duration, number, size, speed, where } from '../ui/format.js';
import { TEXT as WORDS } from '../ui/text.js';
import { ExpertMap } from './map.js';
import { Gathered } from './record.js';
import { report } from './report.js';
import { Chart, table } from './svg.js';
import { TEXT } from './texts.js';
import { Tokens } from './tokens.js';
import { Words } from './words.js';

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */
/** @typedef {import('../protocol.js').ExpertMap} Experts */

/** Width from which there is room beside the chat. */
const WIDE = matchMedia('(width >= 80rem)');
/** Milliseconds between looks at the engine. */
const LOOK_MS = 500;

export class Inside {
  /** @type {MoebiusChat} */ #chat;
  #record;
  /** @type {Experts | null} */ #experts = null;
  #timer = 0;
  #asking = false;
  /** Whether a token is looked at, whose experts are then shown. */ #held = false;
  #figures = h('dl');
  #map = new ExpertMap();
  #tokens = new Tokens();
  /** Of the reply in the chat itself. */ #words;
  #decode = new Chart(TEXT.decode, [TEXT.position, TEXT.rate]);
  #prefill = new Chart(TEXT.prefill, [TEXT.length, TEXT.rate], true);
  #memory = h('div');
  #none = h('p', {}, TEXT.noModel);
  #routed = h('div', {}, h('h3', {}, TEXT.experts), this.#map.node, this.#tokens.node, h('h3', {}, TEXT.load), this.#map.load);
  #all = h('div', { hidden: true });
  node = h('dialog', { class: 'inside', 'aria-label': TEXT.title });

  /** @param {MoebiusChat} chat */
  constructor(chat) {
    this.#chat = chat;
    this.#record = new Gathered(chat); // goes on while this is shut: where it covers the chat, it has to be to ask something
    this.#record.addEventListener('change', this.#changed);
    this.#words = new Words(chat);
    this.#words.addEventListener('look', (event) => this.#tokens.tell(/** @type {CustomEvent} */ (event).detail));
    chat.generation = { ...chat.generation, routing: true };
    looks('inside/inside.css');
    const close = h('button', { type: 'button', class: 'square', 'aria-label': TEXT.close, title: TEXT.close }, icon('M6 6l12 12M18 6 6 18'));
    close.addEventListener('click', () => this.node.close());
    const share = h('button', { type: 'button', class: 'wide' }, TEXT.report);
    share.addEventListener('click', async () => {
      const { info } = chat.engine ?? {};
      if (info) await copyBy(share, await report(info, this.#experts, this.#record), { ...TEXT, label: TEXT.report });
    });
    this.#all.append(this.#figures, this.#routed, h('h3', {}, TEXT.curves), this.#decode.node, this.#prefill.node, h('h3', {}, TEXT.memory), this.#memory, share);
    this.node.append(h('div', { class: 'sheet-head' }, h('h2', {}, TEXT.title), close), this.#none, this.#all);
    document.body.append(this.node);
    this.node.addEventListener('close', () => this.#stop());
    this.node.addEventListener('click', (event) => event.target === this.node && this.node.matches(':modal') && this.node.close());
    this.#tokens.addEventListener('look', (event) => {
      const piece = /** @type {CustomEvent<import('./record.js').Piece | null>} */ (event).detail;
      this.#held = piece !== null;
      this.#map.fire(piece?.routing ?? []);
      this.#words.mark(piece);
    });
  }

  toggle() {
    if (this.node.open) return this.node.close();
    if (WIDE.matches) this.node.show();
    else this.node.showModal();
    this.#start();
  }

  #start() {
    this.#chat.addEventListener('moebius-statechange', this.#look);
    this.#timer = setInterval(this.#look, LOOK_MS);
    this.#words.start(() => this.#record.pieces);
    this.#look();
  }

  #stop() {
    clearInterval(this.#timer);
    this.#words.stop();
    this.#chat.removeEventListener('moebius-statechange', this.#look);
  }

  /** More of a reply came. */
  #changed = () => {
    const { pieces } = this.#record;
    if (!this.#held) this.#map.fire(this.#chat.state === 'generating' ? (pieces.at(-1)?.routing ?? []) : []);
  };

  /** Asks the engine, and shows all again. */
  #look = async () => {
    const { engine } = this.#chat;
    const info = engine?.info;
    this.#none.hidden = Boolean(info);
    this.#all.hidden = !info;
    if (!engine || !info || this.#asking) return;
    this.#asking = true;
    try {
      this.#routed.hidden = info.spec.experts === 0;
      if (info.spec.experts > 0) {
        this.#experts = await engine.experts();
        this.#map.show(this.#experts);
      }
      await this.#show(info);
    } catch {
      // The engine is being replaced; the next look finds it.
    } finally {
      this.#asking = false;
    }
  };

  /** @param {import('../protocol.js').Info} info */
  async #show(info) {
    const record = this.#record;
    this.#changed();
    this.#tokens.show(record.pieces);
    const curve = record.curve();
    this.#decode.show(curve);
    this.#prefill.show(record.prompts.map(({ tokens, perSecond }) => ({ x: tokens, y: perSecond })).sort((a, b) => a.x - b.x));
    const { timings, first } = record;
    const { family, layers, experts, active } = info.spec;
    const rate = timings?.predicted_per_second || curve.at(-1)?.y || 0;
    /** @type {[string, string][]} */
    const figures = [
      [TEXT.speed, rate > 0 ? speed(rate) : TEXT.none],
      [TEXT.first, first > 0 ? (first < 1000 ? `${number(first)} ms` : duration(first / 1000)) : TEXT.none],
      [TEXT.prompt, timings ? TEXT.read(WORDS.tokens(number(timings.prompt_n), timings.prompt_n), speed(timings.prompt_per_second)) : TEXT.none],
      [TEXT.reply, timings ? WORDS.tokens(number(timings.predicted_n), timings.predicted_n) : TEXT.none],
      [TEXT.model, experts > 0 ? TEXT.family(family, number(layers), number(experts), number(active)) : TEXT.plain(family, number(layers))],
      [TEXT.device, where(info)],
    ];
    const { hits = 0, misses = 0 } = this.#experts ?? {};
    if (hits + misses > 0) figures.push([TEXT.found, `${number((100 * hits) / (hits + misses))} %`]);
    this.#figures.replaceChildren(...figures.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
    await this.#tiers(info);
  }

  /** What is kept where. @param {import('../protocol.js').Info} info */
  async #tiers(info) {
    const heap = /** @type {{memory?: {usedJSHeapSize: number}}} */ (/** @type {unknown} */ (performance)).memory?.usedJSHeapSize;
    const kept = await navigator.storage?.estimate?.().catch(() => null);
    const rows = [[TEXT.weights, size(info.bytes)]];
    if (heap) rows.push([TEXT.page, size(heap)]);
    if (kept?.usage) rows.push([TEXT.store, size(kept.usage)]);
    this.#memory.replaceChildren(table([TEXT.tier, TEXT.bytes], rows));
  }
}
