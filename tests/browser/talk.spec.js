// What can be done with messages: copied, asked again, edited into branches, deleted, continued; and questions that wait.

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

import { ask, bounded, chat, FIXTURE, press, questions, reaches, replies, shows, slowly } from './chat.js';
import { open } from './harness.js';
import { around } from './host.js';

/** @type {Awaited<ReturnType<typeof open>>} */
let page;
const there = around({ webgpu: false }, async () => {
  page = await open(there.browser);
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
});

/** One page for all of it: a new conversation each. */
beforeEach(async () => {
  await chat(page, (chat) => chat.clear());
  await bounded(page, { max_tokens: 6, temperature: 1, ignore_eos: true });
});

/** @param {string} text */
async function answered(text) {
  await ask(page, text);
  await reaches(page, 'ready');
}

describe('a message', () => {
  test('is copied', async () => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await answered('Copy *me*');
    await press(page, 'Copy', 'user');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'Copy *me*');
    await press(page, 'Copy', 'assistant');
    const said = await chat(page, (chat) => chat.messages.at(-1)?.content);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), said);
  });

  test('is answered again, and both replies stay', async () => {
    await answered('Say something');
    const [first] = await replies(page);
    await press(page, 'Regenerate', 'assistant');
    await reaches(page, 'ready');
    const [second] = await replies(page);
    const article = page.locator('article.assistant');
    await article.locator('.count', { hasText: '2/2' }).waitFor();
    await press(page, 'Previous version', 'assistant');
    await article.locator('.count', { hasText: '1/2' }).waitFor();
    await shows(page, replies, [first]);
    assert.ok(await article.getByRole('button', { name: 'Next version' }).evaluate((b) => b.matches(':focus')), 'focus stays on the switch');
    await press(page, 'Next version', 'assistant');
    await shows(page, replies, [second]);
  });

  test('is edited into a branch; the other is a step away', async () => {
    await answered('First');
    await answered('More');
    await press(page, 'Edit', 'user', 0);
    const box = page.getByRole('textbox', { name: 'Edit the question' });
    assert.equal(await box.inputValue(), 'First');
    await box.fill('Second');
    await page.keyboard.press('Enter');
    await reaches(page, 'ready');
    await shows(page, questions, ['Second']);
    await press(page, 'Previous version', 'user');
    await shows(page, questions, ['First', 'More']);
    assert.equal((await replies(page)).length, 2);
  });

  test('stays as it was when editing is given up', async () => {
    await answered('As it is');
    await page.getByRole('textbox', { name: 'Message' }).focus();
    await page.keyboard.press('ArrowUp');
    const box = page.getByRole('textbox', { name: 'Edit the question' });
    await box.fill('changed');
    await page.keyboard.press('Escape');
    await shows(page, questions, ['As it is']);
    assert.equal(await box.count(), 0);
  });

  test('is deleted with what follows, and comes back', async () => {
    await answered('One');
    await answered('Two');
    await press(page, 'Delete', 'user', 1);
    await shows(page, questions, ['One']);
    assert.equal((await replies(page)).length, 1);
    await page.getByRole('button', { name: 'Undo' }).click();
    await shows(page, questions, ['One', 'Two']);
    assert.equal((await replies(page)).length, 2);
  });

  test('that is deleted gives way to the branch beside it', async () => {
    await answered('One');
    const [first] = await replies(page);
    await press(page, 'Regenerate', 'assistant');
    await reaches(page, 'ready');
    await press(page, 'Delete', 'assistant');
    await shows(page, replies, [first]);
  });
});

test('a stopped reply goes on as if it had not been', async () => {
  await bounded(page, { max_tokens: 40, temperature: 1, seed: 7, ignore_eos: true });
  await answered('Tell me');
  const [whole] = await replies(page);
  await chat(page, (chat) => chat.clear());
  await slowly(page, 30);
  await ask(page, 'Tell me');
  await page.waitForFunction(() => (document.querySelector('moebius-chat')?.shadowRoot?.querySelector('article.assistant .body')?.textContent ?? '').length > 10);
  await page.keyboard.press('Escape');
  await reaches(page, 'ready');
  const [part] = await replies(page);
  assert.ok(part.length < whole.length, 'it was stopped before its end');
  await press(page, 'Continue', 'assistant');
  await reaches(page, 'ready');
  await shows(page, replies, [whole]);
  assert.match(await page.locator('article.assistant .meta').innerText(), /40 tokens/);
});

test('questions wait their turn, and can be taken back', async () => {
  await slowly(page, 100);
  await ask(page, 'One');
  await ask(page, 'Two');
  await ask(page, 'Never');
  await ask(page, 'Three');
  const list = page.getByRole('list', { name: 'Waiting their turn' });
  assert.equal(await list.getByRole('listitem').count(), 3);
  await list.getByRole('listitem').filter({ hasText: 'Never' }).getByRole('button').click();
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 6);
  await shows(page, questions, ['One', 'Two', 'Three']);
  assert.ok(!(await list.isVisible()));
});

test('editing while a reply comes stops that, and what waits goes on waiting', async () => {
  await slowly(page, 200);
  await ask(page, 'One');
  await ask(page, 'Two');
  await page.locator('article.assistant .body p').waitFor();
  await press(page, 'Edit', 'user');
  await page.getByRole('textbox', { name: 'Edit the question' }).fill('Uno');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).messages.length === 4);
  await shows(page, questions, ['Uno', 'Two']);
});

test('the meter counts the conversation and the draft', async () => {
  await answered('Count me');
  const meter = page.getByRole('meter', { name: 'Context used' });
  const used = Number(await meter.getAttribute('aria-valuenow'));
  assert.ok(used > 6, `${used} tokens`);
  await page.getByRole('textbox', { name: 'Message' }).fill('a draft of several words');
  await page.waitForFunction((used) => {
    const meter = document.querySelector('moebius-chat')?.shadowRoot?.querySelector('[role=meter]');
    return Number(meter?.getAttribute('aria-valuenow')) > used + 4;
  }, used);
  await page.getByRole('textbox', { name: 'Message' }).fill('');
});

test('on a page of somebody else: Markdown, and nothing is kept', async () => {
  const other = await open(there.browser);
  await other.goto(`${there.site.url}as/blank/x`);
  await other.evaluate(async () => {
    const path = '/www/element.js';
    await import(path);
    const chat = document.createElement('moebius-chat');
    chat.setAttribute('src', '/tests/fixtures/deepseek_v3_lite/');
    document.body.append(chat);
  });
  await bounded(other, { max_tokens: 4, temperature: 0, ignore_eos: true });
  await ask(other, 'Hello');
  await reaches(other, 'ready');
  assert.equal((await replies(other)).length, 1);
  await other.evaluate(() => {
    /** @type {any} */ (document.querySelector('moebius-chat')).messages = [{ role: 'assistant', content: '**bold**' }];
  });
  assert.equal(await other.locator('article.assistant strong').innerText(), 'bold');
  assert.deepEqual(await other.evaluate(() => indexedDB.databases()), []);
  assert.equal(await other.getByRole('dialog', { name: 'Chats' }).count(), 0);
  await other.context().close();
});
