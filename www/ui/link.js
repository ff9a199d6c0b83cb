// Links as model output may have them: http and https alone, never followed unasked, the address in sight.

import { h } from './dom.js';

/** Characters of an address that are shown; the whole of it is in the tooltip. */
const SHOWN = 64;

/**
 * The address if it is one a reader may follow. Relative ones are none: a model knows nothing of where this page is.
 * One with a name before an `@` is none either, since it looks like another host.
 * @param {string} href
 * @returns {URL | null}
 */
export function address(href) {
  try {
    const url = new URL(href);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
    return url.username || url.password ? null : url;
  } catch {
    return null;
  }
}

/**
 * A link, followed by where it leads unless its text says just that. The browser writes hosts of other alphabets in ASCII.
 * @param {string} href
 * @param {Node} label
 */
export function link(href, label) {
  const url = address(href);
  const text = label.textContent ?? '';
  if (!url) return fragment(label, text === href || href === '' ? '' : ` (${href})`);
  const anchor = h('a', { href: url.href, rel: 'noopener noreferrer nofollow', target: '_blank', title: url.href }, label);
  if (text === url.href || `${text}/` === url.href) return anchor;
  const shown = url.href.length > SHOWN ? `${url.href.slice(0, SHOWN)}…` : url.href;
  return fragment(anchor, ' ', h('bdi', { class: 'address' }, `(${shown})`));
}

/** @param {...(Node | string)} parts */
function fragment(...parts) {
  const all = document.createDocumentFragment();
  all.append(...parts);
  return all;
}
