// Which model: those used before, those known to run, what somebody pastes, and files of this device.

import { h, icon } from '../ui/dom.js';
import { number, size } from '../ui/format.js';
import { fromInput } from './files.js';
import { forget, recent } from './recent.js';
import { badge, button, Sheet } from './sheet.js';
import { TEXT } from './texts.js';
import { device, fits, gigabytes } from './verdict.js';
import { where } from './where.js';

/** A model of models.json; weights and bytes in billions. @typedef {{name: string, src: string, params: number, active?: number, kind: string, bytes: number, memory: number, format?: string, licence: string}} Known */

/** Sends `own`; `plan` {where, format, rough}; `again` {model}; `files` {files}; `storage`. */
export class Picker extends Sheet {
  /** @type {Known[]} */ #known;
  /** The page's own model. @type {{name: string, card: string}} */ #own;
  #hub;
  #find = h('input', { type: 'text', inputmode: 'url', 'aria-label': TEXT.find, placeholder: TEXT.findExample, spellcheck: 'false', autocapitalize: 'off' });
  #complaint = h('p', { role: 'status', class: 'aside' });
  #device = h('p', { class: 'aside' });
  #lists = h('div');
  #file = h('input', { type: 'file', multiple: true, hidden: true });
  #folder = h('input', { type: 'file', webkitdirectory: true, hidden: true });

  /** @param {Known[]} known @param {{name: string, card: string}} own @param {string} [hub] */
  constructor(known, own, hub) {
    super(TEXT.models);
    this.#known = known;
    this.#own = own;
    this.#hub = hub;
    const form = h('form', { class: 'find' }, h('label', {}, TEXT.find, this.#find), h('button', { type: 'submit', class: 'wide solid' }, TEXT.show));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#sought();
    });
    for (const input of [this.#file, this.#folder]) {
      input.addEventListener('change', () => {
        const files = fromInput(input);
        if (files.length > 0) this.#tell('files', { files });
        else this.#complaint.textContent = TEXT.noModel;
      });
    }
    const local = h('div', { class: 'local' }, button(TEXT.openFile, () => this.#file.click()), button(TEXT.openFolder, () => this.#folder.click()), h('span', { class: 'aside' }, TEXT.orDrop));
    this.body.append(this.#device, form, this.#complaint, local, this.#lists, this.#file, this.#folder);
    this.foot.append(button(TEXT.storage, () => this.#tell('storage')));
  }

  /** @param {string} now the model in use; empty for the page's own */
  async open(now) {
    this.#complaint.textContent = '';
    this.show();
    const here = await device();
    const memory = here.memory === undefined ? TEXT.memorySilent : (here.atLeast ? TEXT.memoryLeast : TEXT.memoryTold)(gigabytes(here.memory));
    this.#device.textContent = [`${TEXT.here}: ${here.gpu ? TEXT.onGpu(here.gpu) : TEXT.onCpu}`, memory].join(' · ');
    if (!here.gpu) this.#device.append(`. ${hint()}`);
    const used = recent();
    const own = this.#row({ name: this.#own.name, note: this.#own.card, now: now === '', act: () => this.#tell('own') });
    const before = used.map(({ model, name = model, bytes, format }) =>
      this.#row({
        name,
        note: [model, bytes ? size(bytes) : '', format ? TEXT.formats[/** @type {keyof typeof TEXT.formats} */ (format)] : ''].filter(Boolean).join(' · '),
        now: now === model,
        act: () => this.#tell('again', { model }),
        drop: () => {
          forget(model);
          this.open(now);
        },
      }),
    );
    const known = this.#known.map((one) => {
      const { name, params, active, bytes, memory, kind, licence } = one;
      const parts = [TEXT.weights(number(params, 1), active ? number(active, 1) : ''), kind, TEXT.download(size(bytes * 1e9)), TEXT.needs(size(memory * 1.05e9 + 2.5e8)), licence];
      return this.#row({ name, note: parts.join(' · '), now: now === one.src, fit: fits(here, memory * 1e9).fit, act: () => this.#plan(one.src, one) });
    });
    this.#lists.replaceChildren(section(TEXT.pageOwn, [own]), ...(before.length > 0 ? [section(TEXT.before, before)] : []), section(TEXT.onHub, known, TEXT.hubNote));
  }

  #sought() {
    this.#complaint.textContent = '';
    this.#plan(this.#find.value);
  }

  /** @param {string} text @param {Known} [known] */
  #plan(text, known) {
    const found = where(text, this.#hub);
    if (!found) {
      this.#complaint.textContent = TEXT.notUnderstood;
      return;
    }
    if (known) found.name = known.name;
    this.#tell('plan', { where: found, format: known?.format, rough: known && { bytes: known.bytes * 1e9, licence: known.licence } });
  }

  /** @param {{name: string, note: string, now: boolean, fit?: import('./verdict.js').Fit, act: () => void, drop?: () => void}} what */
  #row({ name, note, now, fit, act, drop }) {
    const open = button('', act, { class: 'wide model', ...(now ? { 'aria-current': 'true' } : {}) });
    const mark = now ? [h('span', { class: 'badge' }, TEXT.now)] : fit ? [badge(fit)] : [];
    open.append(h('span', { class: 'name' }, h('strong', { dir: 'auto' }, name), ...mark), ...(note ? [h('span', { class: 'aside' }, note)] : []));
    const row = h('li', {}, open);
    if (drop) {
      const away = button('', drop, { class: 'square', 'aria-label': TEXT.forget(name), title: TEXT.forget(name) });
      away.append(icon('M6 6l12 12M18 6 6 18'));
      row.append(away);
    }
    return row;
  }

  /** @param {string} type @param {object} [detail] */
  #tell(type, detail = {}) {
    this.close();
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {string} title @param {Node[]} rows @param {string} [note] */
function section(title, rows, note) {
  return h('section', {}, h('h3', {}, title), ...(note ? [h('p', { class: 'aside' }, note)] : []), h('ul', { class: 'models' }, ...rows));
}

/** What helps where there is no WebGPU. */
function hint() {
  if (!isSecureContext) return TEXT.hint.insecure;
  if (/Firefox/.test(navigator.userAgent)) return TEXT.hint.firefox;
  return /Linux/.test(navigator.userAgent) && !/Android/.test(navigator.userAgent) ? TEXT.hint.linux : TEXT.hint.other;
}
