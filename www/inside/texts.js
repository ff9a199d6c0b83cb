// The texts of what shows the inside, in the page's language.

import { LANGUAGE } from '../ui/text.js';
import { TEXT as ENGLISH } from './languages/en.js';

/** @type {Record<string, () => Promise<{TEXT: typeof ENGLISH}>>} */
const OTHERS = { de: () => import('./languages/de.js'), zh: () => import('./languages/zh.js') };

/** Every text. A language that cannot be loaded gives way to English. */
export const TEXT = Object.freeze((await OTHERS[LANGUAGE]?.().then((module) => module.TEXT, () => ENGLISH)) ?? ENGLISH);
