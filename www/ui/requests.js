// The list of all that the page and its workers asked for on the network, and what of it came after the model was ready.

import { REQUESTS } from '../start.js';
import { h } from './dom.js';
import { number, size } from './format.js';
import { dialog } from './settings.js';
import { TEXT } from './text.js';
import { told } from './told.js';

/** Rows that are kept: a large model comes in many ranges. */
const MOST = 2000;

export class Requests {
  /** @type {import('./told.js').Request[]} */ list = [];
  /** When the model was ready first. */ ready = Infinity;
  #channel = new BroadcastChannel(REQUESTS);
  #since = h('p', { role: 'status' });
  #rows = h('tbody');
  #table = h('table', {}, h('thead', {}, h('tr', {}, ...[TEXT.when, TEXT.size, TEXT.host, TEXT.file].map((name) => h('th', { scope: 'col' }, name)))), this.#rows);
  node = dialog(TEXT.requests, [h('p', {}, TEXT.requestsText), this.#since, h('div', { class: 'requests', tabindex: '0', role: 'region', 'aria-label': TEXT.requests }, this.#table)]);

  /** @param {import('../element.js').MoebiusChat} chat */
  constructor(chat) {
    told((more) => this.#add(more));
    this.#channel.addEventListener('message', ({ data }) => this.#add(data));
    chat.addEventListener('moebius-statechange', () => {
      if (chat.state === 'ready') this.ready = Math.min(this.ready, performance.timeOrigin + performance.now());
      this.#show();
    });
  }

  open() {
    this.node.showModal();
    this.#show();
  }

  /** @param {import('./told.js').Request[]} more */
  #add(more) {
    this.list = [...this.list, ...more].slice(-MOST);
    this.#show();
  }

  #show() {
    if (!this.node.open) return;
    const later = this.list.filter(({ at }) => at > this.ready).length;
    this.#since.textContent = this.ready === Infinity ? TEXT.notReady : later === 0 ? TEXT.noneSince : TEXT.someSince(number(later));
    this.#since.classList.toggle('good', later === 0 && this.ready !== Infinity);
    const rows = this.list.toSorted((a, b) => b.at - a.at).map(({ url, at, bytes, by }) => {
      const { host, pathname } = new URL(url);
      const what = `${pathname.split('/').at(-1) || '/'}${by ? ` (${by})` : ''}`;
      const cells = [`${number((at - performance.timeOrigin) / 1000, 1)} s`, bytes > 0 ? size(bytes) : TEXT.unsaid, host, what];
      return h('tr', { class: at > this.ready ? 'later' : false }, ...cells.map((cell, i) => h('td', i === 3 ? { title: url } : {}, cell)));
    });
    this.#rows.replaceChildren(...rows);
  }
}
