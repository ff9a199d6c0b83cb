// The page as an app: its files kept for starting offline, and a new version offered between replies.

import { scriptUrl } from '../start.js';
import { h } from '../ui/dom.js';
import { TEXT } from '../ui/text.js';

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */

/** @param {MoebiusChat} chat */
export async function install(chat) {
  if (!navigator.serviceWorker) return;
  const registration = await navigator.serviceWorker.register(scriptUrl(new URL('../../sw.js', import.meta.url).href), { updateViaCache: 'none' }).catch(() => null);
  if (!registration) return; // a host without the list of files, or a browser that keeps nothing
  const look = () => {
    // Where none is at work yet, the one that waits is the first, and no update.
    if (registration.waiting && registration.active) offer(registration.waiting, chat);
  };
  const follow = () => registration.installing?.addEventListener('statechange', look);
  registration.addEventListener('updatefound', follow);
  follow();
  look();
}

/** Says that there is a new version, once no reply comes. @param {ServiceWorker} waiting @param {MoebiusChat} chat */
function offer(waiting, chat) {
  if (document.querySelector('.update')) return;
  const now = h('button', { type: 'button', class: 'wide solid' }, TEXT.reload);
  const later = h('button', { type: 'button', class: 'wide' }, TEXT.later);
  const node = h('aside', { class: 'update', role: 'status', hidden: true }, h('p', {}, TEXT.newVersion), now, later);
  const show = () => (node.hidden = chat.state === 'generating');
  chat.addEventListener('moebius-statechange', show);
  later.addEventListener('click', () => {
    chat.removeEventListener('moebius-statechange', show);
    node.remove();
  });
  now.addEventListener('click', () => {
    waiting.addEventListener('statechange', () => waiting.state === 'activated' && location.reload());
    waiting.postMessage('update');
  });
  document.querySelector('header')?.after(node);
  show();
}
