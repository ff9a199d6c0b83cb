// Settings of one chat, and the list of keyboard shortcuts: two dialogs.

import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';
import { dialog } from './dialog.js';

/** @typedef {import('../history.js').Settings} Settings */

/** Numbers by name: what they are called and may be, as the engine has it. */
const NUMBERS = /** @type {const} */ ({
  temperature: { text: TEXT.temperature, min: '0', max: '2', step: '0.1' },
  top_p: { text: TEXT.topP, min: '0.05', max: '1', step: '0.05' },
  max_tokens: { text: TEXT.maxTokens, min: '1', max: '1000000', step: '1' },
  seed: { text: TEXT.seed, min: '0', max: '4294967295', step: '1' },
});

/** Sends `change` with the settings. */
export class SettingsDialog extends EventTarget {
  #system = h('textarea', { rows: '4', dir: 'auto' });
  #think = h('input', { type: 'checkbox' });
  #thinkLabel = h('label', { class: 'check' }, this.#think, TEXT.thinkFirst);
  /** @type {[keyof typeof NUMBERS, HTMLInputElement][]} */
  #numbers = /** @type {any} */ (
    Object.entries(NUMBERS).map(([name, { text: _, ...range }]) => [name, h('input', { type: 'number', placeholder: TEXT.modelsOwn, inputmode: 'decimal', ...range })])
  );
  node;

  constructor() {
    super();
    const reset = h('button', { type: 'button', class: 'wide' }, TEXT.reset);
    reset.addEventListener('click', () => {
      this.#fill({});
      this.#changed();
    });
    const fields = this.#numbers.map(([name, input]) => h('label', {}, NUMBERS[name].text, input));
    this.node = dialog(TEXT.settings, [h('label', {}, TEXT.system, this.#system), h('div', { class: 'fields' }, ...fields), this.#thinkLabel], reset);
    this.node.addEventListener('input', () => this.#changed());
  }

  /** @param {Settings} settings @param {boolean} thinking whether the model can be told to think */
  open(settings, thinking) {
    this.#fill(settings);
    this.#thinkLabel.hidden = !thinking;
    this.node.showModal();
  }

  /** @param {Settings} settings */
  #fill(settings) {
    this.#system.value = settings.system ?? '';
    this.#think.checked = settings.think ?? false;
    for (const [name, input] of this.#numbers) input.value = String(settings[name] ?? '');
  }

  /** What is empty or out of range is the model's own. */
  #changed() {
    /** @type {Settings} */
    const settings = {};
    if (this.#system.value.trim()) settings.system = this.#system.value;
    if (this.#think.checked) settings.think = true;
    for (const [name, input] of this.#numbers) {
      if (input.value !== '' && input.validity.valid) settings[name] = input.valueAsNumber;
    }
    this.dispatchEvent(new CustomEvent('change', { detail: settings }));
  }
}

/** The list of shortcuts. */
export function shortcutsDialog() {
  const rows = TEXT.keys.map(([keys, what]) => h('tr', {}, h('th', { scope: 'row' }, h('kbd', {}, keys)), h('td', {}, what)));
  return dialog(TEXT.shortcuts, [h('table', {}, h('tbody', {}, ...rows))]);
}
