// The choice of language, in the page's foot.

import { h } from './dom.js';
import { choose, LANGUAGE, LANGUAGES, TEXT } from './text.js';

/** A list of languages. Choosing one shows the page in it; a reply that comes goes on there. */
export function languageChoice() {
  const list = h('select', { 'aria-label': TEXT.language, title: TEXT.language });
  for (const [tag, { name }] of Object.entries(LANGUAGES)) list.append(h('option', { value: tag, lang: tag }, name));
  list.value = LANGUAGE;
  list.addEventListener('change', () => {
    choose(list.value);
    const url = new URL(location.href);
    url.searchParams.delete('lang');
    if (url.href === location.href) location.reload();
    else location.assign(url);
  });
  return list;
}
