// The page: the chat element, told which model to load, with its chats kept. `?model=` names another folder, `?device=` where to run it.

import './policy.js';
import './element.js';
import { archive, Chats } from './chats.js';
import { History } from './history.js';
import { h, icon } from './ui/dom.js';
import { ended, watch } from './tab.js';
import { mark } from './ui/mark.js';
import { Panel } from './ui/panel.js';
import { Requests } from './ui/requests.js';
import { languageChoice } from './ui/language.js';
import { LANGUAGE, LANGUAGES, TEXT } from './ui/text.js';

/** @typedef {{name: string, src: string, card: string, heading: string, examples: string[]}} Model */

const chat = /** @type {import('./element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
const query = new URLSearchParams(location.search);
watch(chat);
const requests = new Requests(chat);
const panel = new Panel();
const chosen = choose();
const models = chosen.then(async (about) => new (await import('./models/models.js')).Models(chat, { ...about, forgetChats: async () => (await kept).clear() }));
favicon();
translate();
const kept = History.open().then((history) => new Chats(chat, history, panel));

/** Dialogs: they come beside the model, or when they are wanted. */
const dialogs = once(async () => {
  const all = await (await import('./sheets/sheets.js')).sheets(requests);
  all.settings.addEventListener('change', async (event) => (await kept).set(/** @type {CustomEvent} */ (event).detail));
  return all;
});

/** What shows the inside, once it was wanted. */
const inside = once(async () => new (await import('./inside/inside.js')).Inside(chat));

/** What keys and buttons do. */
const ACTS = {
  panel: () => panel.toggle(),
  search: () => panel.search(),
  settings: async () => (await dialogs()).settings.open((await kept).settings, chat.engine?.info?.thinking ?? false),
  shortcuts: async () => (await dialogs()).shortcuts.showModal(),
  models: async () => (await models).open(),
  inside: async () => (await inside()).toggle(),
  requests: async () => (await dialogs()).requests.open(),
  fresh: async () => (await kept).begin(),
  write: () => chat.focus(),
};
/** With Ctrl or Command, and Shift. @type {Record<string, keyof typeof ACTS>} */
const CHORDS = { KeyO: 'fresh', KeyH: 'panel', KeyF: 'search', KeyE: 'settings', KeyL: 'models', KeyY: 'inside' };

const header = /** @type {HTMLElement} */ (document.querySelector('header'));
header.prepend(button(TEXT.history, 'M4 7h16M4 12h16M4 17h16', 'panel'), mark());
header.append(
  button(TEXT.models, 'M12 3 3.5 7.5 12 12l8.5-4.5L12 3M3.5 12l8.5 4.5 8.5-4.5M3.5 16.5 12 21l8.5-4.5', 'models'),
  button(TEXT.inside, 'M4 4h4v4H4zM10 4h4v4h-4zM16 4h4v4h-4zM4 10h4v4H4zM16 10h4v4h-4zM10 16h4v4h-4zM16 16h4v4h-4z', 'inside'),
  button(TEXT.settings, 'M4 8h9M17 8h3M15 5.5v5M4 16h3M11 16h9M9 13.5v5', 'settings'),
  button(TEXT.shortcuts, 'M9 9a3 3 0 1 1 4 2.8c-.8.3-1 .9-1 1.7v.5M12 17.5h.01', 'shortcuts'),
);
chat.parentElement?.after(panel.node); // seen before it, but reached after it: a long list should not stand between a reader and the chat
addEventListener('keydown', (event) => {
  const typing = event.composedPath().some((node) => node instanceof Element && node.matches('input, textarea'));
  const chord = (event.ctrlKey || event.metaKey) && event.shiftKey ? CHORDS[event.code] : undefined;
  const key = typing || event.ctrlKey || event.metaKey || event.altKey ? undefined : { '?': /** @type {const} */ ('shortcuts'), '/': /** @type {const} */ ('write') }[event.key];
  const act = chord ?? key;
  if (!act || document.querySelector('dialog:modal')) return;
  event.preventDefault();
  ACTS[act]();
});
panel.start();
chosen.finally(() => document.body.classList.add('chosen')); // what stands there stays where it is from now on
await Promise.all([chosen, kept.then((chats) => chats.start())]);
import('./pwa/pwa.js').then(({ install }) => install(chat), () => {}); // the page does without

/** Tells the element which model, if it is on this host; for others see models/. */
async function choose() {
  /** @type {{default: string, models: Record<string, Model>, hub: import('./models/picker.js').Known[]}} */
  const list = await (await fetch(new URL('./models.json', import.meta.url))).json();
  const model = list.models[list.default];
  const other = query.get('model');
  const src = other ?? model.src;
  const own = URL.canParse(src, document.baseURI) && new URL(src, document.baseURI).origin === location.origin;
  chat.addEventListener('moebius-statechange', () => Promise.all([dialogs(), archive()]).catch(() => {}), { once: true }); // nothing is asked for once it is ready
  chat.heading = model.heading;
  chat.suggestions = model.examples;
  chat.device = query.get('device') ?? 'auto';
  if (own) {
    chat.src = src;
    if (!ended) setTimeout(() => (chat.preload = 'auto')); // the page is shown first
  }
  byId('card').textContent = other ? `${TEXT.model}: ${other}` : `${model.name} · ${model.card}`;
  return { name: model.name, card: model.card, own, known: list.hub };
}

/**
 * What comes when it is first asked for; if it did not, whoever asks next tries again.
 * @template T @param {() => Promise<T>} load @returns {() => Promise<T>}
 */
function once(load) {
  /** @type {Promise<T> | undefined} */
  let there;
  return () =>
    (there ??= load().catch((error) => {
      there = undefined;
      throw error;
    }));
}

/** The words of index.html in the visitor's language. */
function translate() {
  document.documentElement.lang = LANGUAGE;
  document.documentElement.dir = LANGUAGES[LANGUAGE].dir;
  for (const name of /** @type {const} */ (['tagline', 'promise'])) byId(name).textContent = TEXT[name];
  const asked = h('button', { type: 'button', class: 'wide' }, TEXT.requests);
  asked.addEventListener('click', () => ACTS.requests());
  document.querySelector('footer')?.append(asked, languageChoice());
}

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} label @param {string} path @param {keyof typeof ACTS} act */
function button(label, path, act) {
  const node = h('button', { type: 'button', class: 'square', 'aria-label': label, title: label }, icon(path));
  node.addEventListener('click', ACTS[act]);
  return node;
}

/** The mark as the page's icon: one that came from the host would come late, when nothing is to be asked for any more. */
function favicon() {
  const svg = new XMLSerializer().serializeToString(mark());
  const link = document.createElement('link');
  link.rel = 'icon';
  link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  document.head.append(link);
}
