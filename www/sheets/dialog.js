// A dialog of the page: a heading, what is between, and a way out.

import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';

/** @param {string} title @param {Node[]} content @param {...Node} buttons */
export function dialog(title, content, ...buttons) {
  const done = h('button', { class: 'wide solid' }, TEXT.done);
  const form = h('form', { method: 'dialog' }, h('h2', {}, title), ...content, h('div', { class: 'row' }, ...buttons, done));
  const node = h('dialog', { class: 'sheet', 'aria-label': title }, form);
  node.addEventListener('click', (event) => {
    if (event.target === node) node.close(); // beside it
  });
  return node;
}
