// Style sheets of what is not there from the beginning.

import { h } from '../ui/dom.js';

/** @type {Map<string, Promise<unknown>>} */
const coming = new Map();

/**
 * Loads a style sheet into the page, once.
 * @param {string} file within www
 * @returns {Promise<unknown>} until it is there, or cannot be
 */
export function looks(file) {
  let there = coming.get(file);
  if (!there) {
    const link = h('link', { rel: 'stylesheet', href: new URL(`../${file}`, import.meta.url).href });
    coming.set(file, (there = new Promise((resolve) => (link.onload = link.onerror = resolve))));
    document.head.append(link);
  }
  return there;
}
