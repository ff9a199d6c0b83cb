// The texts of the models' part of the page, in the page's language.

import { inLanguage } from '../ui/text.js';
import { TEXT as ENGLISH } from './languages/en.js';

/** Every text. */
export const TEXT = await inLanguage(ENGLISH, { de: () => import('./languages/de.js'), zh: () => import('./languages/zh.js') });
