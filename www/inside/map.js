// The map of experts, a row for each layer; and how evenly each layer's share the work.

import { h } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { s, table, unfolded } from './svg.js';
import { TEXT } from './texts.js';

/** @typedef {import('../protocol.js').ExpertMap} Experts */
/** @typedef {'untouched' | 'elsewhere' | 'stored' | 'device' | 'firing'} State */

/** In the order that they are drawn in. @type {State[]} */
const STATES = ['elsewhere', 'stored', 'untouched', 'device', 'firing'];
/** Pixels that a square is wide at most. */
const LARGEST = 22;

/** How evenly a layer's experts share what was done: the entropy of their shares, over that of equal ones. @param {Uint32Array} uses */
export function evenness(uses) {
  const all = uses.reduce((sum, one) => sum + one, 0);
  if (all === 0 || uses.length < 2) return null;
  let bits = 0;
  for (const one of uses) if (one > 0) bits -= (one / all) * Math.log(one / all);
  return bits / Math.log(uses.length);
}

/** What the rows of a map say. @param {Experts} experts */
export function rows({ layers, experts, where, uses }) {
  return Array.from({ length: layers }, (_, layer) => {
    const of = uses.subarray(layer * experts, (layer + 1) * experts);
    const at = where.subarray(layer * experts, (layer + 1) * experts);
    const all = of.reduce((sum, one) => sum + one, 0);
    const busiest = of.indexOf(Math.max(...of));
    const [elsewhere, stored, here] = [0, 1, 2].map((place) => at.filter((one) => one === place).length);
    return { layer, even: evenness(of), busiest, share: all > 0 ? of[busiest] / all : 0, unused: of.filter((one) => one === 0).length, here, stored, elsewhere };
  });
}

/** @param {number} part */
export function percent(part) {
  return `${number(part * 100)} %`;
}

export class ExpertMap {
  #svg = s('svg', { role: 'img', class: 'map' });
  #paths = /** @type {Record<State, SVGElement>} */ (Object.fromEntries(STATES.map((state) => [state, s('path', { class: state })])));
  #legend = h('ul', { class: 'legend' });
  #bars = s('svg', { role: 'img', class: 'bars' });
  #details = unfolded(table([], []));
  /** @type {Experts | null} */ #experts = null;
  /** Experts at work, as places on the map. @type {Set<number>} */ #firing = new Set();
  /** The map, and what is under it. */ node = h('div', {}, h('p', {}, TEXT.mapHelp), this.#svg, this.#legend);
  load = h('div', {}, h('p', {}, TEXT.loadHelp), this.#bars, this.#details);

  constructor() {
    this.#svg.append(...Object.values(this.#paths));
  }

  /** @param {Experts} experts */
  show(experts) {
    this.#experts = experts;
    this.#svg.setAttribute('viewBox', `0 0 ${experts.experts} ${experts.layers}`);
    this.#svg.setAttribute('width', String(experts.experts * LARGEST));
    this.#svg.setAttribute('aria-label', TEXT.map(number(experts.layers), number(experts.experts)));
    this.#draw();
    this.#weigh(experts);
  }

  /** Shows which experts work on some tokens: for each, those of each layer. @param {number[][][]} routing */
  fire(routing) {
    const width = this.#experts?.experts ?? 0;
    this.#firing = new Set(routing.flatMap((layers) => layers.flatMap((chosen, layer) => chosen.map((expert) => layer * width + expert))));
    this.#draw();
  }

  #draw() {
    if (!this.#experts) return;
    const { layers, experts, where, uses } = this.#experts;
    /** @type {Record<State, string>} */
    const paths = { untouched: '', elsewhere: '', stored: '', device: '', firing: '' };
    /** @type {Record<State, number>} */
    const counts = { untouched: 0, elsewhere: 0, stored: 0, device: 0, firing: 0 };
    for (let at = 0; at < layers * experts; at += 1) {
      const state = this.#firing.has(at) ? 'firing' : where[at] < 2 ? /** @type {const} */ (['elsewhere', 'stored'])[where[at]] : uses[at] === 0 ? 'untouched' : 'device';
      // One at work is larger, so that it is told from the others without its colour.
      const gap = state === 'firing' ? 0.02 : 0.14;
      const side = (1 - 2 * gap).toFixed(2);
      paths[state] += `M${(at % experts) + gap} ${Math.floor(at / experts) + gap}h${side}v${side}h-${side}z`;
      counts[state] += 1;
    }
    for (const state of STATES) this.#paths[state].setAttribute('d', paths[state]);
    this.#legend.replaceChildren(
      ...STATES.toReversed().map((state) => h('li', {}, s('svg', { viewBox: '0 0 1 1', 'aria-hidden': 'true' }, s('path', { d: 'M0 0h1v1h-1z', class: state })), `${TEXT.states[state]}: ${number(counts[state])}`)),
    );
  }

  /** @param {Experts} experts */
  #weigh(experts) {
    const all = rows(experts);
    const width = 320 / Math.max(1, all.length);
    this.#bars.setAttribute('viewBox', '0 0 320 60');
    this.#bars.setAttribute('aria-label', all.map(({ layer, even }) => TEXT.evenness(number(layer + 1), even === null ? TEXT.none : percent(even))).join(', '));
    this.#bars.replaceChildren(
      s('path', { d: 'M0 59.5H320', class: 'axis' }),
      ...all.map(({ layer, even }) => s('rect', { x: layer * width + 1, y: 60 - 58 * (even ?? 0), width: Math.max(1, Math.min(width - 2, 24)), height: 58 * (even ?? 0) })),
    );
    const head = [TEXT.layer, TEXT.entropy, TEXT.busiest, TEXT.unused, TEXT.onDevice, TEXT.stored, TEXT.elsewhere];
    const body = all.map(({ layer, even, busiest, share, unused, here, stored, elsewhere }) => [
      number(layer + 1), even === null ? TEXT.none : percent(even), share > 0 ? TEXT.share(number(busiest), percent(share)) : TEXT.none, number(unused), number(here), number(stored), number(elsewhere),
    ]); // prettier-ignore
    this.#details.replaceChild(table(head, body), /** @type {Node} */ (this.#details.lastChild));
  }
}
