// What a model would take, shown before a byte of it is asked for, and the agreement to that.

import { h } from '../ui/dom.js';
import { duration, size } from '../ui/format.js';
import { FORMATS } from './families.js';
import { look, NotFound } from './look.js';
import { badge, button, Sheet } from './sheet.js';
import { TEXT } from './texts.js';
import { device, disk, gigabytes, line, memory } from './verdict.js';
import { told } from './where.js';

/** @typedef {import('./where.js').Where} Where */
/** @typedef {import('./look.js').Facts} Facts */
/** @typedef {{where?: Where, files?: File[], format?: string, rough?: {bytes: number, licence: string}, hub?: string, looked: boolean}} Wanted `looked`: looking it up was agreed to */

/** Sends `look` {where, format} and `load` {where, files, format, token, facts} when these are agreed to, and `others`. */
export class Plan extends Sheet {
  /** @type {Wanted} */ #wanted = { looked: false };
  /** @type {Facts | null} */ #facts = null;
  #token = h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', 'aria-label': TEXT.token });
  #format = h('select', { 'aria-label': TEXT.format });
  #abort = new AbortController();

  constructor() {
    super();
    this.#format.addEventListener('change', () => this.#planned());
    this.addEventListener('close', () => this.#abort.abort());
  }

  /** @param {Wanted} wanted */
  async open(wanted) {
    this.#wanted = wanted;
    this.#facts = null;
    this.#token.value = '';
    this.title = TEXT.plan(this.#name());
    const formats = Object.keys(FORMATS).map((name) => h('option', { value: name }, TEXT.formats[/** @type {keyof typeof TEXT.formats} */ (name)]));
    this.#format.replaceChildren(...formats);
    this.#format.value = wanted.format ?? '';
    this.show();
    if (wanted.files) this.#local(wanted.files);
    else if (wanted.looked) await this.#look();
    else this.#before();
  }

  #name() {
    const { where, files } = this.#wanted;
    return where?.name ?? (files?.length === 1 ? files[0].name : (files?.[0].webkitRelativePath.split('/')[0] || files?.[0].name) ?? '');
  }

  /** Nothing is known, and nothing was asked. */
  #before() {
    const { rough, format = '' } = this.#wanted;
    const where = /** @type {Where} */ (this.#wanted.where);
    const [host] = where.hosts.map(told);
    this.body.replaceChildren(
      h('p', {}, TEXT.notAsked(host)),
      ...(rough ? [rows([[TEXT.downloads, `≈ ${size(rough.bytes)}`], [TEXT.licence, rough.licence], [TEXT.asks, where.hosts.map(told).join(', ')]])] : []),
    );
    this.foot.replaceChildren(
      button(TEXT.cancel, () => this.close()),
      button(TEXT.lookUp(host), () => this.#tell('look', { where, format }), { class: 'wide solid' }),
    );
    /** @type {HTMLElement} */ (this.foot.lastChild).focus();
  }

  async #look() {
    const where = /** @type {Where} */ (this.#wanted.where);
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.body.replaceChildren(h('p', { role: 'status' }, TEXT.looking(told(where.hosts[0] ?? ''))));
    this.foot.replaceChildren(button(TEXT.cancel, () => this.close()));
    try {
      this.#facts = await look(where, { token: this.#token.value || undefined, hub: this.#wanted.hub, signal });
      await this.#planned(true);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof NotFound)) throw error;
      this.#failed(error);
    }
  }

  /** @param {NotFound} error */
  #failed(error) {
    const { page, name } = /** @type {Where} */ (this.#wanted.where);
    const [title, text] = error.gated ? [TEXT.gated(name), TEXT.gatedHow] : error.offline ? [TEXT.offline, ''] : [TEXT.notFound, ''];
    this.body.replaceChildren(
      h('p', { role: 'alert' }, h('strong', {}, title), ' ', text),
      h('p', { class: 'aside' }, error.message),
      ...(error.gated ? [this.#tokenField()] : []),
      ...(error.gated && page ? [h('p', {}, link(page, TEXT.gatedPage))] : []),
    );
    this.foot.replaceChildren(
      button(TEXT.others, () => this.#tell('others')),
      button(TEXT.again, () => this.#look(), { class: 'wide solid' }),
    );
    if (error.gated) this.#token.focus();
    else /** @type {HTMLElement} */ (this.foot.lastChild).focus();
  }

  /** @param {File[]} files */
  #local(files) {
    const weights = files.filter(({ name }) => /\.(gguf|safetensors|bin)$/i.test(name));
    const bytes = weights.reduce((sum, { size }) => sum + size, 0);
    const packed = files.some(({ name }) => name === 'moebius.json');
    this.#facts = { name: this.#name(), bytes, files: files.length, kind: /\.gguf$/i.test(weights[0]?.name ?? '') ? weights[0].name.toUpperCase() : '', packed };
    this.#planned(true);
  }

  /** All that is known, and what to do about it. */
  async #planned(fresh = false) {
    const facts = /** @type {Facts} */ (this.#facts);
    const { where, files } = this.#wanted;
    const here = await device();
    if (this.#facts !== facts) return;
    const format = facts.packed ? '' : this.#format.value;
    const need = memory(here, facts, format);
    const room = files ? 'fits' : disk(here, facts.bytes);
    const { rate, measured } = line();
    const time = rate ? (measured ? TEXT.takes : TEXT.reckoned)(duration(facts.bytes / rate), size(rate)) : TEXT.noRate;
    const all = size(facts.bytes);
    const bad = facts.unsupported === true;
    /** @type {[string, string | Node, import('./verdict.js').Fit?][]} */
    const told_ = [
      [files ? TEXT.size : TEXT.downloads, TEXT.filesOf(all, facts.files)],
      ...(files ? [] : /** @type {[string, string][]} */ ([[TEXT.time, time]])),
      [TEXT.memory, TEXT.memoryWhy[need.why](size(need.need), gigabytes(need.have ?? 0)), need.fit],
      ...(files ? [] : /** @type {[string, string, import('./verdict.js').Fit][]} */ ([[TEXT.disk, `${here.free === undefined ? TEXT.noRoom : TEXT.room(size(here.free))}; ${room === 'no' ? TEXT.staysNot : TEXT.stays}`, room]])),
      [TEXT.runsOn, here.gpu ? TEXT.onGpu(here.gpu) : TEXT.onCpu],
      ...(facts.family ? /** @type {[string, string | Node][]} */ ([[TEXT.family, bad ? h('span', {}, badge('no', TEXT.willNot), ' ', TEXT.familyBad(facts.family)) : facts.family]]) : []),
      ...(where ? /** @type {[string, string | Node][]} */ ([[TEXT.licence, licence(facts, where)], [TEXT.asks, where.hosts.map(told).join(', ')]]) : []),
      ...(facts.commit ? /** @type {[string, string][]} */ ([[TEXT.version, facts.commit.slice(0, 12)]]) : []),
    ];
    const choice = h('label', {}, TEXT.format, this.#format, h('span', { class: 'aside' }, TEXT.formatWhy));
    choice.hidden = facts.packed === true || bad;
    this.body.replaceChildren(...(files ? [h('p', {}, TEXT.planFiles)] : []), rows(told_), choice, ...(facts.gated && !bad ? [this.#tokenField()] : []));
    const doubtful = need.fit === 'no' || room === 'no';
    const go = files ? (doubtful ? TEXT.loadFilesAnyway : TEXT.loadFiles) : (doubtful ? TEXT.loadAnyway : TEXT.load)(all);
    this.foot.replaceChildren(button(bad ? TEXT.others : TEXT.cancel, () => (bad ? this.#tell('others') : this.close())));
    if (!bad) this.foot.append(button(go, () => this.#tell('load', { where, files, format, token: this.#token.value || undefined, facts }), { class: 'wide solid' }));
    if (fresh) /** @type {HTMLElement} */ (this.foot.lastChild).focus();
  }

  #tokenField() {
    return h('label', {}, TEXT.token, this.#token, h('span', { class: 'aside' }, TEXT.tokenWhy));
  }

  /** @param {string} type @param {object} [detail] */
  #tell(type, detail = {}) {
    this.close();
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {[string, string | Node, import('./verdict.js').Fit?][]} list */
function rows(list) {
  return h('dl', { class: 'facts' }, ...list.flatMap(([name, value, fit]) => [h('dt', {}, name), h('dd', {}, ...(fit ? [badge(fit), ' '] : []), value)]));
}

/** @param {Facts} facts @param {Where} where */
function licence(facts, where) {
  const said = facts.licence ?? TEXT.licenceUnknown;
  return where.page ? h('span', {}, `${said} · `, link(where.page, TEXT.licenceOpen)) : said;
}

/** @param {string} href @param {string} text */
function link(href, text) {
  return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, text);
}
