// The bench's page: asks what is to be measured, and shows what was found.

import { copyBy } from '../ui/clipboard.js';
import { h } from '../ui/dom.js';
import { measure } from './measure.js';
import { TEXT } from './text.js';

/** @typedef {import('./measure.js').Found} Found */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [form, status, results] = [/** @type {HTMLFormElement} */ (byId('asked')), byId('status'), byId('results')];
const query = new URLSearchParams(location.search);

/** @param {string} name @param {string} label @param {string} value */
function field(name, label, value) {
  return h('label', {}, label, h('input', { name, value: query.get(name) ?? value, size: '12' }));
}

const devices = h('select', { name: 'device' });
for (const [value, text] of [['both', TEXT.both], ['gpu', TEXT.gpu], ['cpu', TEXT.cpu]]) {
  devices.append(h('option', { value: String(value), selected: query.get('device') === value }, String(text)));
}
const start = h('button', {}, TEXT.start);
form.append(
  field('model', TEXT.model, 'model/'),
  h('label', {}, TEXT.device, devices),
  field('lengths', TEXT.lengths, '128, 512'),
  field('tokens', TEXT.tokens, '32'),
  start,
);

/** @param {number} value */
const digits = (value) => (Number.isFinite(value) ? value.toPrecision(value >= 1000 ? 4 : 3).replace(/\.?0+$/, '') : '–');
/** Whole numbers stay whole. @param {number} value */
const plain = (value) => (value >= 100 ? Math.round(value).toLocaleString('en') : digits(value));

/** @param {string} caption @param {readonly string[]} heads @param {string[][]} rows */
function table(caption, heads, rows) {
  const head = h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)));
  const body = rows.map((row) => h('tr', {}, ...row.map((text) => h('td', {}, text))));
  const made = h('table', {}, h('caption', {}, caption), h('tbody', {}, ...body));
  if (heads.length > 0) made.tBodies[0]?.before(h('thead', {}, head));
  return h('div', { class: 'table', tabindex: '0' }, made);
}

/** @param {'gpu' | 'cpu'} kind @param {Found} found */
function show(kind, { device, loadMs, bytesPerToken, probeGbPerSecond, speeds, token, kernels }) {
  const rows = speeds.map((s) => [String(s.prompt), plain(s.read), plain(s.made), digits(s.gbPerSecond), `${digits(s.percent)} %`]);
  const { counts } = TEXT;
  const facts = [[counts.bytes, plain(bytesPerToken / 1e6)], [counts.probe, plain(probeGbPerSecond)], [counts.load, digits(loadMs / 1000)]];
  if (token) {
    for (const key of /** @type {const} */ (['launches', 'submits', 'syncs', 'read', 'host'])) facts.push([counts[key], plain(token[key])]);
  }
  results.append(
    h('h2', {}, `${TEXT[kind]}: ${device.name}`),
    table(TEXT.speeds, TEXT.columns, rows),
    table(TEXT.token, [], /** @type {string[][]} */ (facts)),
  );
  if (!kernels) return;
  const list = Object.entries(kernels).sort(([, a], [, b]) => b.ms - a.ms);
  const all = list.reduce((sum, [, { ms }]) => sum + ms, 0);
  const spent = list.map(([name, { ms, launches }]) => [name, String(launches), digits(ms), `${digits((100 * ms) / all)} %`]);
  results.append(table(TEXT.kernels, TEXT.kernelColumns, spent));
}

/** @returns {Promise<Record<string, any>>} */
async function bench() {
  const asked = new FormData(form);
  const number = (/** @type {string} */ text) => Math.max(1, Math.round(Number(text) || 1));
  const lengths = String(asked.get('lengths')).split(',').map(number);
  const plan = { model: String(asked.get('model')), lengths, tokens: number(String(asked.get('tokens'))) };
  const kinds = /** @type {('gpu' | 'cpu')[]} */ (devices.value === 'both' ? ['gpu', 'cpu'] : [devices.value]);
  /** @type {Record<string, any>} */
  const found = { when: new Date().toISOString(), browser: navigator.userAgent, cores: navigator.hardwareConcurrency, ...plan };
  results.replaceChildren();
  for (const kind of kinds) {
    try {
      found[kind] = await measure(plan, kind, (text) => void (status.textContent = text));
      show(kind, found[kind]);
    } catch (error) {
      found[kind] = { error: error instanceof Error ? error.message : String(error) };
      results.append(h('h2', {}, TEXT[kind]), h('p', {}, found[kind].error));
    }
  }
  const copy = h('button', { type: 'button' }, TEXT.copy);
  copy.addEventListener('click', () => copyBy(copy, JSON.stringify(found, null, 1), { ...TEXT, label: TEXT.copy }));
  results.append(copy);
  status.textContent = TEXT.done;
  return found;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  start.disabled = true;
  const found = await bench();
  start.disabled = false;
  document.dispatchEvent(new CustomEvent('moebius-bench', { detail: found }));
});
