// The page: the chat element, told which model to load. `?model=` names another folder, `?device=` where to run it.

import './element.js';
import { mark } from './ui/mark.js';

/** @typedef {{name: string, src: string, card: string, heading: string, examples: string[]}} Model */

const chat = /** @type {import('./element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
const query = new URLSearchParams(location.search);

document.querySelector('header')?.prepend(mark());
icon();

/** @type {{default: string, models: Record<string, Model>}} */
const list = await (await fetch(new URL('./models.json', import.meta.url))).json();
const model = list.models[list.default];
const other = query.get('model');
chat.heading = model.heading;
chat.suggestions = model.examples;
chat.device = query.get('device') ?? 'auto';
chat.src = other ?? model.src;
chat.preload = 'auto';
const card = /** @type {HTMLElement} */ (document.querySelector('#card'));
card.textContent = other ? `Model: ${other}` : `${model.name} · ${model.card}`;

/** The mark as the page's icon. */
function icon() {
  const svg = new XMLSerializer().serializeToString(mark());
  const link = document.createElement('link');
  link.rel = 'icon';
  link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  document.head.append(link);
}
