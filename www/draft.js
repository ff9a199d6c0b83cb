// Keeps what is written and not asked yet, for this tab: a reload does not take it, nor does a crash.

import { tab } from './attempt.js';

const KEY = 'moebius-draft';

/** @param {import('./element.js').MoebiusChat} chat */
export function keepDraft(chat) {
  chat.draft = tab((store) => store.getItem(KEY)) ?? '';
  chat.addEventListener('moebius-draft', () => {
    const { draft } = chat;
    tab((store) => (draft === '' ? store.removeItem(KEY) : store.setItem(KEY, draft)));
  });
}
