// The list of all that the page and its workers asked for on the network, and what of it came after the model was ready.

import { h } from '../ui/dom.js';
import { number, size } from '../ui/format.js';
import { TEXT } from '../ui/text.js';
import { dialog } from './dialog.js';

export class RequestsDialog {
  /** @type {import('../ui/requests.js').Requests} */ #requests;
  #since = h('p', { role: 'status' });
  #rows = h('tbody');
  #table = h('table', {}, h('thead', {}, h('tr', {}, ...[TEXT.when, TEXT.size, TEXT.host, TEXT.file].map((name) => h('th', { scope: 'col' }, name)))), this.#rows);
  node = dialog(TEXT.requests, [h('p', {}, TEXT.requestsText), this.#since, h('div', { class: 'requests', tabindex: '0', role: 'region', 'aria-label': TEXT.requests }, this.#table)]);

  /** @param {import('../ui/requests.js').Requests} requests */
  constructor(requests) {
    this.#requests = requests;
    requests.addEventListener('change', () => this.node.open && this.#show());
  }

  open() {
    this.#show();
    this.node.showModal();
  }

  #show() {
    const { list, ready } = this.#requests;
    const later = list.filter(({ at }) => at > ready).length;
    this.#since.textContent = ready === Infinity ? TEXT.notReady : later === 0 ? TEXT.noneSince : TEXT.someSince(number(later));
    this.#since.classList.toggle('good', later === 0 && ready !== Infinity);
    const rows = list.toSorted((a, b) => b.at - a.at).map(({ url, at, bytes, by }) => {
      const { host, pathname } = new URL(url);
      const what = `${pathname.split('/').at(-1) || '/'}${by ? ` (${by})` : ''}`;
      const cells = [`${number((at - performance.timeOrigin) / 1000, 1)} s`, bytes > 0 ? size(bytes) : TEXT.unsaid, host, what];
      return h('tr', { class: at > ready ? 'later' : false }, ...cells.map((cell, i) => h('td', i === 3 ? { title: url } : {}, cell)));
    });
    this.#rows.replaceChildren(...rows);
  }
}
