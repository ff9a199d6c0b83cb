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

const there = around({ webgpu: false });

/**
 * What a visitor in a hurry does, for ever; tells in each frame what was painted, or was and is no more. What may go is written down
 * where a crash leaves it: what is told in a page's last moment does not arrive. Runs in the page.
 */
function hurry() {
  const { tell } = /** @type {{tell(what: {shown: object[], gone: string[]}): void}} */ (/** @type {any} */ (globalThis));
  const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
  const root = /** @type {ShadowRoot} */ (chat.shadowRoot);
  const any = (/** @type {ArrayLike<any>} */ list) => list[Math.floor(Math.random() * list.length)];
  const press = (/** @type {string} */ selector) => any(root.querySelectorAll(selector))?.click();
  const named = (/** @type {string} */ name) => press(`button[aria-label="${name}"]:enabled`);
  chat.generation = { max_tokens: 30, ignore_eos: true };
  /** What may be lost. @type {Set<string>} */
  const going = new Set();
  /** Of it, what is being put back, and may be there. @type {Set<string>} */
  const coming = new Set();
  const write = () => localStorage.setItem('moving', JSON.stringify({ going: [...going], coming: [...coming] }));
  /** Messages that were painted, and how much of them. @type {Map<string, number>} */
  const painted = new Map();
  /** Messages that are to go. @type {Set<string>} */
  const leaving = new Set();
  chat.addEventListener('moebius-change', (event) => {
    const { put, removed } = /** @type {CustomEvent} */ (event).detail;
    for (const id of removed) leaving.add(id), going.add(id), coming.delete(id);
    for (const { id } of put) if (leaving.delete(id) || going.has(id)) coming.add(id);
    write();
  });
  const look = () => {
    const articles = /** @type {HTMLElement[]} */ ([...root.querySelectorAll('article')]);
    const there = new Set(articles.map(({ dataset }) => dataset.id));
    const gone = [...leaving].filter((id) => painted.has(id) && !there.has(id));
    const fresh = chat.conversation.entries.filter(({ id, content }) => there.has(id) && (painted.get(id) ?? -1) < content.length);
    for (const id of gone) leaving.delete(id), painted.delete(id);
    for (const { id, content } of fresh) painted.set(id, content.length), going.delete(id), coming.delete(id);
    if (fresh.length > 0) write();
    if (fresh.length > 0 || gone.length > 0) tell({ gone, shown: fresh.map((entry) => ({ ...entry, chat: location.hash.slice(1) })) });
    requestAnimationFrame(look);
  };
  look();
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
      going.add(location.hash.slice(1));
      write();
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

/** All that is kept, what was to go, and what of it to come back.
 * @param {import('playwright-core').Page} page @returns {Promise<{chats: any[], messages: Row[], going: Set<string>, coming: Set<string>}>} */
async function kept(page) {
  const { moving, ...all } = await page.evaluate(async () => {
    const path = '/www/history.js';
    const moving = localStorage.getItem('moving') ?? '{}';
    localStorage.removeItem('moving');
    return { moving, ...(await (await (await import(path)).History.open()).export()) };
  });
  const { going, coming } = JSON.parse(moving);
  return { going: new Set(going), coming: new Set(coming), ...all };
}

/** Whether a message is kept: whole, or as a reply whose rest the same seed makes again. @param {Row | undefined} row @param {Row} shown */
function whole(row, { content }) {
  return row !== undefined && (row.content.startsWith(content) || (row.end === 'partial' && row.seed !== undefined && content.startsWith(row.content)));
}

test(`${CRASHES} crashes at random moments lose nothing that was shown`, async (t) => {
  const first = await open(there.browser);
  const context = first.context();
  /** What was shown since the last crash; before it, what was kept then. @type {Map<string, Row>} */
  let shown = new Map();
  /** Messages that were seen to go. @type {Set<string>} */
  const gone = new Set();
  let all = 0;
  await context.exposeFunction('tell', (/** @type {{shown: Row[], gone: string[]}} */ what) => {
    for (const id of what.gone) gone.add(id);
    for (const row of what.shown) {
      if (!shown.has(row.id)) all += 1;
      shown.set(row.id, row);
      gone.delete(row.id); // put back
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
    session.send('Page.crash').catch(() => {}); // nobody is left to answer
    await died;
    await page.close();
    page = await context.newPage();
    await page.goto(`${there.site.url}as/blank/x`);
    const { chats, messages, going, coming } = await kept(page);
    const rows = new Map(messages.map((row) => [row.id, row]));
    for (const row of shown.values()) {
      if (going.has(row.id) || going.has(row.chat)) continue;
      assert.ok(whole(rows.get(row.id), row), `crash ${i}: ${JSON.stringify(row)} was shown; kept is ${JSON.stringify(rows.get(row.id))}`);
    }
    for (const id of gone) assert.ok(!rows.has(id) || !going.has(id) || coming.has(id), `crash ${i}: what was deleted is back`);
    shown = new Map(messages.map((row) => [row.id, row]));
    gone.clear();
    const names = new Set(chats.map((chat) => chat.id));
    for (const { chat, parent, content } of messages) {
      assert.ok(names.has(chat), `crash ${i}: ${content} is of no chat`);
      assert.ok(parent === null || rows.get(parent)?.chat === chat, `crash ${i}: ${content} follows nothing`);
    }
  }
  t.diagnostic(`${CRASHES} crashes, ${all} messages: each is kept`);
  assert.ok(all > CRASHES, `${all} messages`);
  await context.close();
});
