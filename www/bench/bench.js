// The bench's page: asks what is to be measured, and shows what was found.

import { measure } from './measure.js';
import { TEXT } from './text.js';

/** @typedef {import('./measure.js').Found} Found */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, string>} attributes @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [form, status, results] = [/** @type {HTMLFormElement} */ (byId('asked')), byId('status'), byId('results')];
const query = new URLSearchParams(location.search);

/** @param {string} name @param {string} label @param {string} value */
function field(name, label, value) {
  return element('label', {}, label, element('input', { name, value: query.get(name) ?? value, size: '12' }));
}

const devices = element('select', { name: 'device' });
for (const [value, text] of [['both', TEXT.both], ['gpu', TEXT.gpu], ['cpu', TEXT.cpu]]) {
  devices.append(element('option', { value: String(value), ...(query.get('device') === value ? { selected: '' } : {}) }, String(text)));
}
const start = element('button', {}, TEXT.start);
form.append(
  field('model', TEXT.model, 'model/'),
  element('label', {}, TEXT.device, devices),
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
  const head = element('tr', {}, ...heads.map((text) => element('th', { scope: 'col' }, text)));
  const body = rows.map((row) => element('tr', {}, ...row.map((text) => element('td', {}, text))));
  const made = element('table', {}, element('caption', {}, caption), element('tbody', {}, ...body));
  if (heads.length > 0) made.tBodies[0]?.before(element('thead', {}, head));
  return element('div', { class: 'table', tabindex: '0' }, made);
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
    element('h2', {}, `${TEXT[kind]}: ${device.name}`),
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
      results.append(element('h2', {}, TEXT[kind]), element('p', {}, found[kind].error));
    }
  }
  const copy = element('button', { type: 'button' }, TEXT.copy);
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(JSON.stringify(found, null, 1));
    copy.textContent = TEXT.copied;
  });
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
