// Chats are kept: over a reload in the middle of a reply, in two tabs, as files; and nothing is left when all is cleared.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Thread } from '../../www/thread.js';
import { ask, bounded, chat, FIXTURE, questions, reaches, replies, slowly } from './chat.js';
import { open } from './harness.js';
import { around } from './host.js';

/** @typedef {Awaited<ReturnType<typeof open>>} Page */
/** @typedef {import('../../www/thread.js').Entry} Entry */

const there = around({ webgpu: false });

const SHORT = { max_tokens: 6, temperature: 1, ignore_eos: true };

/** @param {Page} [page] a new visitor unless one is given @param {string} [hash] */
async function visit(page, hash = '') {
  const here = page ?? (await open(there.browser));
  await here.goto(`${there.site.url}index.html?model=${FIXTURE}${hash}`);
  await reaches(here, 'ready');
  await bounded(here, SHORT);
  return here;
}

/** @param {Page} page @param {string} text */
async function answered(page, text) {
  await ask(page, text);
  await reaches(page, 'ready');
}

/** Titles in the panel. @param {Page} page */
function titles(page) {
  return page.locator('.chat-row > .wide').allTextContents();
}

/** @param {Page} page @param {string[]} expected */
async function listed(page, expected) {
  await page.waitForFunction(
    (expected) => [...document.querySelectorAll('.chat-row > .wide')].map((e) => e.textContent).join('|') === expected,
    expected.join('|'),
  );
}

/** Everything that the page's origin keeps. @param {Page} page */
function kept(page) {
  return page.evaluate(async () => {
    let records = 0;
    for (const { name = '' } of await indexedDB.databases()) {
      const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = (event) => resolve(/** @type {any} */ (event.target).result)));
      for (const store of db.objectStoreNames) {
        records += await new Promise((resolve) => (db.transaction(store).objectStore(store).count().onsuccess = (/** @type {any} */ event) => resolve(event.target.result)));
      }
      db.close();
    }
    return records + localStorage.length + sessionStorage.length + (await caches.keys()).length;
  });
}

describe('one visitor', () => {
  /** @type {Page} */
  let page;
  before(async () => {
    page = await visit();
  });
  after(() => page?.context().close());

  test('has chats listed by their first question, newest first', async () => {
    await answered(page, 'About apples');
    await page.getByRole('dialog', { name: 'Chats' }).getByRole('button', { name: 'New chat' }).click();
    assert.deepEqual(await questions(page), []);
    await answered(page, 'About pears');
    await listed(page, ['About pears', 'About apples']);
    await page.getByRole('button', { name: 'About apples', exact: true }).click();
    await page.getByText('About apples').nth(1).waitFor();
    assert.deepEqual(await questions(page), ['About apples']);
  });

  test('finds a chat by what was said in it', async () => {
    const box = page.getByRole('searchbox', { name: 'Search chats' });
    await box.fill('PEARS');
    await listed(page, ['About pears']);
    await box.fill('');
    await listed(page, ['About pears', 'About apples']);
  });

  test('renames a chat', async () => {
    await page.getByRole('button', { name: 'More for About pears' }).click();
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('textbox', { name: 'Title' }).fill('Fruit');
    await page.keyboard.press('Enter');
    await listed(page, ['Fruit', 'About apples']);
  });

  test('finds everything again after a reload', async () => {
    const [before] = await replies(page);
    await page.reload();
    await reaches(page, 'ready');
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 2);
    assert.deepEqual(await questions(page), ['About apples']);
    assert.deepEqual(await replies(page), [before]);
    await listed(page, ['Fruit', 'About apples']);
  });

  test('takes chats to another browser as JSON, and out as Markdown', async () => {
    const panel = page.getByRole('dialog', { name: 'Chats' });
    const [file] = await Promise.all([page.waitForEvent('download'), panel.getByRole('button', { name: 'Export all' }).click()]);
    const json = readFileSync(await file.path(), 'utf8');
    await page.getByRole('button', { name: 'More for Fruit' }).click();
    const [text] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export as Markdown' }).click()]);
    assert.equal(text.suggestedFilename(), 'Fruit.md');
    assert.match(readFileSync(await text.path(), 'utf8'), /^# Fruit\n\n## You\n\nAbout pears\n\n## Moebius\n\n/);

    const other = await visit();
    /** @param {string} text */
    const give = (text) => other.locator('input[type=file]').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer: Buffer.from(text) });
    for (const bad of ['', '{}', '[]', '{"format":"moebius-chats"}', '{"chats":[],"messages":[]}', '<script>']) {
      await give(bad);
      await other.getByText('no export of chats').waitFor();
      await give('{"format":"moebius-chats","chats":[],"messages":[]}');
      await other.getByText('0 chats imported').waitFor();
    }
    await give(json);
    await listed(other, ['Fruit', 'About apples']);
    await other.getByRole('button', { name: 'About apples', exact: true }).click();
    await other.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 2);
    assert.deepEqual(await replies(other), await replies(page));
    await other.context().close();
  });

  test('deletes a chat, then all of them, and nothing is left', async () => {
    const panel = page.getByRole('dialog', { name: 'Chats' });
    await panel.getByRole('button', { name: 'Delete', exact: true }).click();
    assert.deepEqual(await titles(page), ['Fruit', 'About apples'], 'asked whether it was meant');
    await panel.getByRole('button', { name: 'Really delete?' }).click();
    await listed(page, ['About apples']);
    assert.ok((await kept(page)) > 0);
    await page.getByRole('button', { name: 'Clear all' }).click();
    await page.getByRole('button', { name: 'Delete every chat?' }).click();
    await page.getByText('Every chat is deleted.').waitFor();
    assert.deepEqual(await titles(page), []);
    assert.deepEqual(await questions(page), []);
    assert.equal(await kept(page), 0);
  });
});

test('a reply survives a reload in its middle, and goes on to the same end', async () => {
  const page = await visit();
  const long = { max_tokens: 40, temperature: 1, seed: 11, ignore_eos: true };
  await bounded(page, long);
  await answered(page, 'Tell me');
  const [whole] = await replies(page);
  await page.keyboard.press('Control+Shift+O');
  await slowly(page, 100);
  await ask(page, 'Tell me');
  await page.waitForFunction(() => (document.querySelector('moebius-chat')?.shadowRoot?.querySelector('article.assistant .body')?.textContent ?? '').length > 10);
  await page.getByRole('button', { name: /^More for/ }).nth(1).click();
  await page.waitForTimeout(500);
  assert.ok(await page.getByRole('button', { name: 'Rename' }).isVisible(), 'what is open in the list stays open while a reply is kept');
  await page.reload();
  await reaches(page, 'ready');
  await bounded(page, long);
  await page.locator('article.assistant').waitFor();
  const [part] = await replies(page);
  assert.ok(part.length > 10 && part.length < whole.length, `${part.length} of ${whole.length} characters were kept`);
  assert.match(await page.locator('article.assistant .meta').innerText(), /interrupted/);
  const goesOn = page.getByRole('button', { name: 'Continue' });
  await goesOn.click();
  // Not "generating", nor the button: the rest may have come before anybody looks, and then more may be asked for.
  await page.locator('article.assistant .meta', { hasText: 'interrupted' }).waitFor({ state: 'detached' });
  await reaches(page, 'ready');
  assert.deepEqual(await replies(page), [whole]);
  await page.context().close();
});

test('what is written and not asked yet is there after a reload', async () => {
  const page = await visit();
  await slowly(page, 300);
  await ask(page, 'Asked');
  await ask(page, 'Waiting');
  await page.getByRole('textbox', { name: 'Message' }).fill('Half a sen');
  await page.locator('article.assistant .body p').waitFor();
  await page.reload();
  await page.locator('article.assistant').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'Message' }).inputValue(), 'Waiting\n\nHalf a sen');
  assert.deepEqual(await questions(page), ['Asked']);
  await page.getByRole('textbox', { name: 'Message' }).fill('');
  await page.reload();
  await page.locator('article.assistant').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'Message' }).inputValue(), '');
  await page.context().close();
});

test('two tabs on one chat lose no message', async () => {
  const one = await visit();
  await answered(one, 'From the start');
  const two = Object.assign(await one.context().newPage(), { problems: [] });
  await visit(two, new URL(one.url()).hash);
  await two.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 2);
  await Promise.all([slowly(one, 30), slowly(two, 30)]);
  // Both at once: each message is a branch, and each tab has all of them in the end.
  for (let turn = 0; turn < 2; turn += 1) {
    await Promise.all([ask(one, `one ${turn}`), ask(two, `two ${turn}`)]);
    await Promise.all([reaches(one, 'ready'), reaches(two, 'ready')]);
  }
  const all = 'From the start,one 0,one 1,two 0,two 1';
  for (const page of [one, two]) {
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).conversation.entries.length === 10);
    const asked = await chat(page, (chat) => chat.conversation.entries.filter(({ role }) => role === 'user').map(({ content }) => content));
    assert.equal(asked.sort().join(), all);
  }
  await one.reload();
  await reaches(one, 'ready');
  await one.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).conversation.entries.length === 10);
  const replied = await chat(one, (chat) => chat.conversation.entries.filter(({ role, content, end }) => role === 'assistant' && content !== '' && end !== 'partial').length);
  assert.equal(replied, 5);

  // What one tab deletes is gone in the other.
  await two.getByRole('button', { name: /^More for/ }).click();
  const panel = two.getByRole('dialog', { name: 'Chats' });
  await panel.getByRole('button', { name: 'Delete', exact: true }).click();
  await panel.getByRole('button', { name: 'Really delete?' }).click();
  await one.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 0);
  await one.context().close();
});

test('where the browser refuses to keep anything, it says so and works', async () => {
  const page = await open(there.browser);
  await page.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('refused', 'SecurityError');
    };
  });
  await visit(page);
  await page.getByText('This browser keeps nothing here').waitFor();
  await answered(page, 'Still there?');
  await listed(page, ['Still there?']);
  await page.keyboard.press('Control+Shift+O');
  await page.getByRole('button', { name: 'Still there?', exact: true }).click();
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 2);
  await page.context().close();
});

test('what could not be written is said, and is written when it can be', async () => {
  const page = await visit();
  await answered(page, 'Before');
  await page.getByRole('dialog', { name: 'Chats' }).getByRole('button', { name: 'New chat' }).click();
  await page.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    Object.assign(globalThis, { mend: () => (IDBObjectStore.prototype.put = put) });
    IDBObjectStore.prototype.put = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
  });
  await answered(page, 'One');
  await page.getByText('could not be saved').waitFor();
  // What is deleted makes room, and does not wait for what has none.
  const panel = page.getByRole('dialog', { name: 'Chats' });
  await panel.getByRole('button', { name: 'More for Before' }).click();
  await panel.getByRole('button', { name: 'Delete', exact: true }).click();
  await panel.getByRole('button', { name: 'Really delete?' }).click();
  while ((await kept(page)) > 0) await page.waitForTimeout(20);
  await page.evaluate(() => /** @type {any} */ (globalThis).mend());
  await answered(page, 'Two');
  await page.getByText('could not be saved').waitFor({ state: 'detached' });
  await page.reload();
  await reaches(page, 'ready');
  await page.locator('article').nth(3).waitFor();
  assert.deepEqual(await questions(page), ['One', 'Two']);
  await page.context().close();
});

describe('settings', () => {
  test('belong to the chat, are sent with it, and can be reset', async () => {
    const page = await visit();
    await answered(page, 'Plain');
    await page.getByRole('button', { name: 'Settings of this chat' }).click();
    const sheet = page.getByRole('dialog', { name: 'Settings of this chat' });
    await sheet.getByRole('spinbutton', { name: 'Most tokens in a reply' }).fill('3');
    await sheet.getByRole('spinbutton', { name: 'Temperature' }).fill('9');
    await sheet.getByRole('spinbutton', { name: 'Seed' }).fill('5');
    await sheet.getByRole('textbox', { name: 'System prompt' }).fill('Be brief.');
    await sheet.getByRole('button', { name: 'Done' }).click();
    assert.ok(await sheet.isVisible(), 'what is out of range is told');
    assert.equal(await chat(page, (chat) => chat.generation.temperature), 1, 'and not sent');
    await sheet.getByRole('spinbutton', { name: 'Temperature' }).fill('0.5');
    await sheet.getByRole('button', { name: 'Done' }).click();
    const set = await chat(page, (chat) => ({ ...chat.generation, system: chat.system }));
    assert.deepEqual(set, { ...SHORT, temperature: 0.5, max_tokens: 3, seed: 5, system: 'Be brief.' });
    await answered(page, 'Short');
    assert.match(await page.locator('article.assistant .meta').last().innerText(), /cut at the length limit · 3 tokens/);

    await page.keyboard.press('Control+Shift+O');
    assert.equal(await chat(page, (chat) => chat.system), '', 'a new chat has none of it');
    await page.getByRole('button', { name: 'Plain', exact: true }).click();
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).system === 'Be brief.');
    await page.reload();
    await reaches(page, 'ready');
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).generation.max_tokens === 3);
    await page.keyboard.press('Control+Shift+E');
    await sheet.getByRole('button', { name: /^Reset/ }).click();
    await page.keyboard.press('Escape');
    assert.deepEqual(await chat(page, (chat) => chat.generation), {});
    await page.context().close();
  });
});

describe('a conversation as a tree', () => {
  const entry = (/** @type {string} */ id, /** @type {string | null} */ parent) => /** @type {Entry} */ ({ id, parent, created: 0, role: 'user', content: id });

  test('shows every message of a file that goes in circles or hangs in the air', () => {
    const entries = [entry('a', 'b'), entry('b', 'c'), entry('c', 'a'), entry('d', 'nowhere'), entry('e', 'e'), entry('f', null)];
    for (const { id } of entries) {
      const thread = new Thread({ entries, leaf: id });
      assert.equal(thread.leaf, id);
      /** @type {Set<string>} */
      const reached = new Set();
      const walk = (/** @type {string | null} */ parent) => {
        for (const { id } of thread.branches(parent)) {
          assert.ok(!reached.has(id));
          reached.add(id);
          walk(id);
        }
      };
      walk(null);
      assert.equal(reached.size, entries.length);
      thread.choose('a');
      thread.merge([entry('g', 'b')]);
      assert.ok(thread.remove('a').length > 0);
    }
  });

  test('ten thousand changes of two hands, told to each other late, leave both with the same messages', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const hands = [new Thread(), new Thread()];
    /** @type {Entry[][]} */
    const letters = [[], []];
    const written = new Set();
    for (let i = 0; i < 10_000; i += 1) {
      const who = random() < 0.5 ? 0 : 1;
      if (random() < 0.02) {
        hands[who].merge(letters[who].splice(0));
      } else {
        const path = hands[who].path();
        const parent = path[Math.max(0, path.length - 1 - Math.floor(random() * 30))]?.id ?? null;
        const added = hands[who].add({ role: 'user', content: String(i), parent: random() < 0.01 ? null : parent });
        letters[1 - who].push({ ...added });
        written.add(added.id);
      }
      if (i % 500 === 0) hands[who].leaf = hands[who].branches(null)[0]?.id ?? null;
    }
    for (const who of [0, 1]) hands[who].merge(letters[who]);
    for (const hand of hands) assert.deepEqual(new Set(hand.conversation.entries.map(({ id }) => id)), written);
  });
});
