// The texts in the language of this visit: what the visitor chose on this page, else what the browser asks for, else English.

import { TEXT as ENGLISH } from '../languages/en.js';

/** @typedef {typeof ENGLISH} Texts */

/** Where the choice is kept. */
const KEY = 'moebius-language';

/** What there is beside English, each a file of its own that is loaded where it is wanted. @type {Record<string, () => Promise<{TEXT: Texts}>>} */
const OTHERS = {
  de: () => import('../languages/de.js'),
  zh: () => import('../languages/zh.js'),
};

/** Languages by tag: how they call themselves, and which way they run. @type {Record<string, {name: string, dir: 'ltr' | 'rtl'}>} */
export const LANGUAGES = { en: { name: 'English', dir: 'ltr' }, de: { name: 'Deutsch', dir: 'ltr' }, zh: { name: '简体中文', dir: 'ltr' } };

/** Which it is. @type {string} */
export const LANGUAGE = wanted().find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? 'en';

/** Every text. */
export const TEXT = await inLanguage(ENGLISH, OTHERS);

/**
 * Texts in the language of this visit. One that cannot be loaded gives way to English.
 * @template T @param {T} english @param {Record<string, () => Promise<{TEXT: T}>>} others
 * @returns {Promise<Readonly<T>>}
 */
export async function inLanguage(english, others) {
  return Object.freeze((await others[LANGUAGE]?.().then((module) => module.TEXT, () => english)) ?? english);
}

/** Keeps a choice; it holds from the next visit on. @param {string} tag */
export function choose(tag) {
  try {
    localStorage.setItem(KEY, tag);
  } catch {
    // This browser keeps nothing here.
  }
}

/** Tags without their region, the most wanted first. A page that the element is a guest of has a language already. */
function wanted() {
  const { lang, dataset } = document.documentElement;
  const tags = 'moebius' in dataset || lang === '' ? [chosen(), ...navigator.languages] : [lang];
  return tags.map((tag) => tag.toLowerCase().split('-')[0]);
}

function chosen() {
  try {
    return new URLSearchParams(location.search).get('lang') ?? localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}
