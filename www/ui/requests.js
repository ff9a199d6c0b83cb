// What the page and its workers asked for on the network, from the first file on. sheets/requests.js shows it.

import { REQUESTS } from '../start.js';
import { told } from './told.js';

/** Requests that are kept: a large model comes in many ranges. */
const MOST = 2000;

/** Sends `change`. */
export class Requests extends EventTarget {
  /** @type {import('./told.js').Request[]} */ list = [];
  /** When the model was ready first. */ ready = Infinity;
  #channel = new BroadcastChannel(REQUESTS);

  /** @param {import('../element.js').MoebiusChat} chat */
  constructor(chat) {
    super();
    told((more) => this.#add(more));
    this.#channel.addEventListener('message', ({ data }) => this.#add(data));
    chat.addEventListener('moebius-statechange', () => {
      if (chat.state === 'ready') this.ready = Math.min(this.ready, performance.timeOrigin + performance.now());
      this.#add([]);
    });
  }

  /** @param {import('./told.js').Request[]} more */
  #add(more) {
    this.list = [...this.list, ...more].slice(-MOST);
    this.dispatchEvent(new Event('change'));
  }
}
