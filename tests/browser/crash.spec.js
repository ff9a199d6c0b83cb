// A page that dies at any moment, while questions are asked, replies come, and messages are changed and deleted: what was shown is kept.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import process from 'node:process';

import { FIXTURE } from './chat.js';
import { open } from './harness.js';
import { around } from './host.js';

/** @typedef {import('./chat.js').MoebiusChat} MoebiusChat */
/** @typedef {import('../../www/history.js').Row} Row */

/** Crashes at random moments: more may be asked for. */
const CRASHES = Number(process.env.MOEBIUS_CRASHES ?? 4);
/** Milliseconds that a page lives at most. */
const LIFE = 3000;
/** Milliseconds that a database takes at most to have what is shown: a crash of a busy machine in between may lose it. */
const GRACE = 500;

const there = around({ webgpu: false });

/** What a visitor in a hurry does, for ever; tells what began to change, and what was shown of it. Runs in the page. */
function hurry() {
  const { tell } = /** @type {{tell(kind: 'begun' | 'shown', what: {put?: object[], removed: string[]}): void}} */ (/** @type {any} */ (globalThis));
  const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
  const any = (/** @type {ArrayLike<any>} */ list) => list[Math.floor(Math.random() * list.length)];
  const press = (/** @type {string} */ selector) => any(/** @type {ShadowRoot} */ (chat.shadowRoot).querySelectorAll(selector))?.click();
  const named = (/** @type {string} */ name) => press(`button[aria-label="${name}"]:enabled`);
  chat.generation = { max_tokens: 30, ignore_eos: true };
  chat.addEventListener('moebius-change', (event) => {
    const { put, removed } = /** @type {CustomEvent} */ (event).detail;
    const { hash } = location;
    tell('begun', { removed });
    requestAnimationFrame(() => tell('shown', { removed, put: put.map((/** @type {object} */ entry) => ({ ...entry, chat: hash.slice(1) })) }));
  });
  let asked = 0;
  /** @type {[number, () => void][]} how often of a hundred times */
  const acts = [
    [45, () => chat.send(`Question ${(asked += 1)} of ${Date.now()}`)],
    [10, () => chat.edit(any(chat.conversation.entries.filter(({ role }) => role === 'user'))?.id ?? '', `Asked in another way at ${Date.now()}`)],
    [10, () => named('Regenerate')],
    [10, () => press('.versions button:enabled')],
    [8, () => named('Delete')],
    [4, () => press('.notice:not([hidden]) button:not([hidden])')],
    [5, () => chat.stop()],
    [5, () => /** @type {HTMLElement} */ (document.querySelector('.panel .wide')).click()],
    [3, () => {
      const row = document.querySelector('.panel [aria-current]')?.closest('li');
      const button = [...(row?.querySelectorAll('button') ?? [])].find(({ textContent }) => textContent === 'Delete');
      if (!button) return;
      tell('begun', { removed: [location.hash.slice(1)] });
      button.click();
      button.click();
    }],
  ];
  (async () => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
      let at = Math.random() * 100;
      acts.find(([often]) => (at -= often) < 0)?.[1]();
    }
  })();
}

/** All that is kept. @param {import('playwright-core').Page} page @returns {Promise<{chats: any[], messages: Row[]}>} */
function kept(page) {
  return page.evaluate(async () => {
    const path = '/www/history.js';
    return (await (await import(path)).History.open()).export();
  });
}

test(`${CRASHES} crashes at random moments lose nothing that was shown`, async (t) => {
  const first = await open(there.browser);
  const context = first.context();
  /** What was shown, and when, since the last crash; before it, what was kept then. @type {{row: Row, at: number}[]} */
  let shown = [];
  /** Messages that were seen to go, and when. @type {Map<string, number>} */
  const gone = new Map();
  /** Messages and chats that may be gone. @type {Set<string>} */
  const going = new Set();
  let [all, late, lost] = [0, 0, 0];
  await context.exposeFunction('tell', (/** @type {'begun' | 'shown'} */ kind, /** @type {{put: Row[], removed: string[]}} */ { put, removed }) => {
    const at = Date.now();
    for (const id of removed) kind === 'begun' ? going.add(id) : gone.set(id, at);
    for (const row of kind === 'shown' ? put.filter(({ content }) => content !== '') : []) {
      if (!shown.some(({ row: { id } }) => id === row.id)) all += 1;
      shown.push({ row, at });
      if (gone.delete(row.id)) going.delete(row.id); // put back
    }
  });
  let page = /** @type {import('playwright-core').Page} */ (first);
  let hash = '';
  for (let i = 0; i < CRASHES; i += 1) {
    await page.goto(`${there.site.url}index.html?model=${FIXTURE}${hash}`);
    await page.waitForFunction(() => document.querySelector('.panel .none, .panel .chat-row'));
    await page.evaluate(hurry);
    await page.waitForTimeout(Math.random() * LIFE);
    ({ hash } = new URL(page.url()));
    const session = await context.newCDPSession(page);
    const died = page.waitForEvent('crash');
    const end = Date.now();
    session.send('Page.crash').catch(() => {}); // nobody is left to answer
    await died;
    await page.close();
    page = await context.newPage();
    await page.goto(`${there.site.url}as/blank/x`);
    const { chats, messages } = await kept(page);
    const rows = new Map(messages.map((row) => [row.id, row]));
    for (const { row, at } of shown) {
      if (going.has(row.id) || going.has(row.chat) || rows.get(row.id)?.content.startsWith(row.content)) continue;
      assert.ok(end - at < GRACE, `crash ${i}: ${row.role} ${JSON.stringify(row.content)} was shown for ${end - at} ms; kept is ${JSON.stringify(rows.get(row.id)?.content)}`);
      [late, lost] = [Math.max(late, end - at), lost + 1];
    }
    for (const [id, at] of gone) assert.ok(!rows.has(id) || end - at < GRACE, `crash ${i}: what was deleted is back`);
    shown = messages.map((row) => ({ row, at: 0 }));
    going.clear();
    gone.clear();
    const names = new Set(chats.map((chat) => chat.id));
    for (const { chat, parent, content } of messages) {
      assert.ok(names.has(chat), `crash ${i}: ${content} is of no chat`);
      assert.ok(parent === null || rows.get(parent)?.chat === chat, `crash ${i}: ${content} follows nothing`);
    }
  }
  t.diagnostic(`${CRASHES} crashes, ${all} messages: kept is all but ${lost}, which were shown for ${late} ms at most`);
  assert.ok(all > CRASHES, `${all} messages`);
  await context.close();
});
