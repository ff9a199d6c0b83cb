// A question being edited, in its own place. Enter asks, Escape leaves it as it was.

import { h } from './dom.js';
import { TEXT } from './text.js';

/**
 * @param {string} text
 * @param {{save: (text: string) => void, cancel: () => void}} then
 */
export function editor(text, { save, cancel }) {
  const box = h('textarea', { 'aria-label': TEXT.editLabel, rows: '2', dir: 'auto' });
  box.value = text;
  box.rows = Math.min(10, text.split('\n').length + 1);
  const leave = h('button', { type: 'button', class: 'plain' }, TEXT.cancel);
  const ask = h('button', { type: 'submit', class: 'plain solid' }, TEXT.ask);
  const form = h('form', { class: 'editor' }, box, h('div', { class: 'row' }, leave, ask));
  leave.addEventListener('click', cancel);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (box.value.trim() !== '') save(box.value.trim());
  });
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation(); // it stops this, not a reply
      cancel();
    } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  queueMicrotask(() => box.focus());
  return form;
}
