// What stands above the composer at times: how far the download is; what went wrong or was done.

import { h } from './dom.js';
import { duration, number, size } from './format.js';
import { TEXT } from './text.js';

/** A bar with bytes, speed and time left. Sends `pause`, `resume` and `cancel`. */
export class Loading extends EventTarget {
  #bar = h('progress', { part: 'progress', 'aria-label': TEXT.loading });
  #text = h('span', { class: 'figures' }, TEXT.starting);
  #hold = h('button', { type: 'button', class: 'plain' }, TEXT.pause);
  #cancel = h('button', { type: 'button', class: 'plain' }, TEXT.cancel);
  #paused = false;
  /** Whether the model answers; the rest of it may still come. */
  #ready = false;
  /** What was last told. @type {import('../protocol.js').Progress | null} */
  #last = null;
  node = h('div', { class: 'loading', hidden: true }, this.#bar, this.#text, h('span', {}, this.#hold, this.#cancel));

  constructor() {
    super();
    this.#cancel.addEventListener('click', () => this.dispatchEvent(new Event('cancel')));
    this.#hold.addEventListener('click', () => {
      this.dispatchEvent(new Event(this.#paused ? 'resume' : 'pause'));
      this.#pause(!this.#paused);
    });
  }

  start() {
    this.node.hidden = false;
    this.#ready = false;
    this.#last = null;
    this.#pause(false);
    this.#bar.removeAttribute('value');
    this.#text.textContent = TEXT.starting;
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.#paused = paused;
    this.#hold.textContent = paused ? TEXT.resume : TEXT.pause;
    if (paused) this.#text.textContent = [TEXT.paused, this.#text.textContent?.split(' · ')[0]].filter(Boolean).join(' · ');
  }

  /** @param {import('../protocol.js').Progress} progress */
  show(progress) {
    this.#last = progress;
    if (this.#paused) return;
    const { loaded, total, stored, speed, waiting } = progress;
    this.node.hidden = this.#ready && loaded >= total;
    this.#cancel.hidden = this.#ready;
    if (total === 0) return;
    this.#bar.max = total;
    this.#bar.value = loaded;
    if (loaded >= total) {
      this.#text.textContent = TEXT.preparing(size(total));
      return;
    }
    const parts = [TEXT.loaded(size(loaded), size(total))];
    if (this.#ready) parts.unshift(TEXT.meanwhile);
    if (waiting > 0) parts.push(TEXT.again(duration(waiting / 1000)));
    else if (speed > 0) parts.push(`${size(speed)}/s`, TEXT.left(duration((total - loaded) / speed)));
    if (stored > 0) parts.push(stored < total ? TEXT.pickedUp(`${number(Math.floor((100 * stored) / total))} %`) : TEXT.fromHere);
    this.#text.textContent = parts.join(' · ');
  }

  /** @param {boolean} [ready] the model answers: what is left of it is shown on */
  stop(ready = false) {
    this.#ready = ready;
    const { loaded, total } = this.#last ?? { loaded: 0, total: 0 };
    this.node.hidden = !ready || loaded >= total;
    if (ready && this.#last) this.show(this.#last);
  }
}

/** What is said, and what can be done: one thing, or one of two. `code` is an error's.
 * @typedef {{title: string, text?: string, code?: string, label: string, act: () => void, more?: {label: string, act: () => void}}} Told */

/** A sentence, and what to do about it. */
export class Notice {
  #title = h('strong');
  #text = h('span');
  #code = h('code');
  #action = h('button', { type: 'button', class: 'plain' });
  #more = h('button', { type: 'button', class: 'plain' });
  node = h(
    'div',
    { role: 'alert', part: 'notice', class: 'notice', hidden: true },
    h('p', {}, this.#title, ' ', this.#text, ' ', this.#code),
    h('span', {}, this.#action, this.#more),
  );
  #act = () => {};
  #other = () => {};

  constructor() {
    this.#action.addEventListener('click', () => this.#act());
    this.#more.addEventListener('click', () => this.#other());
  }

  /** @param {Told} what */
  show({ title, text = '', code = '', label, act, more }) {
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#code.textContent = code;
    this.#code.hidden = code === '';
    this.#action.textContent = label;
    this.#act = act;
    this.#more.textContent = more?.label ?? '';
    this.#more.hidden = !more;
    this.#other = more?.act ?? act;
    this.node.classList.toggle('bad', code !== '');
    this.node.hidden = false;
  }

  hide() {
    this.node.hidden = true;
  }
}
