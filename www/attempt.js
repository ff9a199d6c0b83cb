// Whether the page ended while a model was loading, as it does where memory is short: then it is not tried again unasked.

const KEY = 'moebius-loading';

/** What was loading when the page ended; empty where it ended well. */
export const ended = tab((store) => store.getItem(KEY)) ?? '';

/** Marks each attempt, and takes the mark away when it is over. @param {import('./element.js').MoebiusChat} chat */
export function watch(chat) {
  const over = () => tab((store) => store.removeItem(KEY));
  chat.addEventListener('moebius-statechange', () => {
    const { model } = chat.place;
    if (chat.state === 'loading') tab((store) => store.setItem(KEY, typeof model === 'string' ? model : 'files'));
    else if (chat.state !== 'generating' || chat.engine) over();
  });
  addEventListener('pagehide', over);
}

/** This tab's store, which survives its crash; some browsers keep none. @template T @param {(store: Storage) => T} act @returns {T | null} */
export function tab(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}
