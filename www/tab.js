// What this tab keeps for itself, over a reload and a crash: whether it ended while a model was loading, as it does where memory is
// short (then it is not tried again unasked), and what is written and not asked yet.

const LOADING = 'moebius-loading';
const DRAFT = 'moebius-draft';

/** What was loading when the page ended; empty where it ended well. */
export const ended = of((store) => store.getItem(LOADING)) ?? '';

/** Marks each attempt, and takes the mark away when it is over; keeps the draft. @param {import('./element.js').MoebiusChat} chat */
export function watch(chat) {
  const over = () => of((store) => store.removeItem(LOADING));
  chat.addEventListener('moebius-statechange', () => {
    const { model } = chat.place;
    if (chat.state === 'loading') of((store) => store.setItem(LOADING, typeof model === 'string' ? model : 'files'));
    else if (chat.state !== 'generating' || chat.engine) over();
  });
  addEventListener('pagehide', over);
  chat.draft = of((store) => store.getItem(DRAFT)) ?? '';
  chat.addEventListener('moebius-draft', () => of((store) => (chat.draft === '' ? store.removeItem(DRAFT) : store.setItem(DRAFT, chat.draft))));
}

/** Some browsers keep none. @template T @param {(store: Storage) => T} act @returns {T | null} */
function of(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}
