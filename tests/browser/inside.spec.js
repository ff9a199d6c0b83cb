// What shows the inside: a map that agrees with the engine, tokens that tell their experts, figures, a report, and nothing while it is shut.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { axe } from './axe.js';
import { ask, bounded, FIXTURE, reaches } from './chat.js';
import { open, screenshot } from './harness.js';
import { around } from './host.js';

/** @typedef {Awaited<ReturnType<typeof open>>} Page */

const there = around({ webgpu: false });

/** @param {Parameters<typeof open>[1]} [how] */
async function visit(how) {
  const page = await open(there.browser, how);
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  await bounded(page, { max_tokens: 12, temperature: 0, ignore_eos: true });
  await page.getByRole('button', { name: 'See inside' }).click();
  await page.locator('.map path.firing').waitFor({ state: 'attached' });
  const covers = how?.size === 'phone';
  if (covers) await page.getByRole('button', { name: 'Close' }).click();
  await ask(page, 'What do you do?');
  await reaches(page, 'ready');
  if (covers) await page.getByRole('button', { name: 'See inside' }).click();
  await page.locator('.inside .tokens button').first().waitFor();
  return page;
}

describe('the inside', () => {
  /** @type {Page} */
  let page;
  before(async () => {
    page = await visit();
  });

  test('counts the experts that the engine counts', async () => {
    const { layers, experts, used } = await page.evaluate(async () => {
      const { engine } = /** @type {import('../../www/element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
      const map = await /** @type {import('../../www/engine.js').Engine} */ (engine).experts();
      return { layers: map.layers, experts: map.experts, used: map.uses.filter((/** @type {number} */ one) => one > 0).length };
    });
    assert.ok(used > 0, 'experts were used');
    await page.waitForFunction((text) => document.querySelector('.legend')?.textContent?.includes(text), `on the device: ${used}`);
    assert.match((await page.locator('.map').getAttribute('aria-label')) ?? '', new RegExp(`${layers} layers by ${experts} experts`));
    await page.locator('.inside summary').first().click();
    assert.equal(await page.locator('.inside details').first().locator('tbody tr').count(), layers);
  });

  test('tells which experts worked on a token, by pointer and by keys', async () => {
    const active = await page.evaluate(async () => {
      const { engine } = /** @type {import('../../www/element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
      const map = await /** @type {import('../../www/engine.js').Engine} */ (engine).experts();
      return map.active * map.layers;
    });
    const said = page.locator('.inside .said');
    const cells = () => page.locator('.map .firing').evaluate((path) => (path.getAttribute('d') ?? '').split('M').length - 1);
    await page.locator('.inside .tokens button').nth(2).hover();
    const one = await said.innerText();
    assert.match(one, /layer 1: \d+/);
    assert.equal(await cells(), active);
    await page.locator('.inside .tokens button[tabindex="0"]').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('End');
    assert.match(await said.innerText(), /layer 1: \d+/);
    assert.equal(await page.locator('.inside .tokens button').last().evaluate((e) => e.matches(':focus')), true);
  });

  test('tells it of the words of the reply too, which stay as they are', async () => {
    const marked = () => page.evaluate(() => String([...(CSS.highlights.get('moebius-token') ?? [])].map((range) => /** @type {Text} */ (range.startContainer).data.slice(range.startOffset, range.endOffset))));
    const body = page.locator('article.assistant .body');
    const before = await body.innerHTML();
    // Where the reply has letters, from its first on.
    const places = await body.evaluate((body) => {
      const nodes = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
      const found = [];
      for (let node = /** @type {Text | null} */ (nodes.nextNode()); node; node = /** @type {Text | null} */ (nodes.nextNode())) {
        for (const { index } of node.data.matchAll(/[a-z]/g)) {
          const range = document.createRange();
          range.setStart(node, index);
          range.setEnd(node, index + 1);
          const { x, y, width, height } = range.getBoundingClientRect();
          found.push({ letter: node.data[index], x: x + width * 0.3, y: y + height / 2 });
        }
      }
      return found;
    });
    assert.ok(places.length >= 2, `${places.length} letters`);
    for (const { letter, x, y } of [places[0], /** @type {typeof places[0]} */ (places.at(-1))]) {
      await page.mouse.move(x, y);
      await page.waitForFunction((letter) => document.querySelector('.inside .said')?.textContent?.includes(letter), letter);
      assert.match(await page.locator('.inside .said').innerText(), /layer 1: \d+/);
      assert.ok((await marked()).includes(letter), `${await marked()} for ${letter}`);
    }
    await page.mouse.move(2, 2);
    await page.waitForFunction(() => document.querySelector('.inside .said')?.textContent === '');
    assert.equal(await marked(), '');
    assert.equal(await body.innerHTML(), before);
    await page.locator('.inside .tokens button', { hasText: places[0].letter }).first().focus();
    assert.notEqual(await marked(), '', 'who goes there by keys sees where it stands');
  });

  test('says how fast, where and why, and copies all of it', async () => {
    const text = await page.locator('.inside dl').innerText();
    assert.match(text, /tokens\/s[\s\S]*\d+ ms|\d+ s/);
    assert.match(text, /CPU · .*WebGPU/);
    assert.ok(await page.getByRole('img', { name: /Tokens a second along/ }).isVisible());
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy report' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /device: cpu[\s\S]*reply: 12 tokens[\s\S]*\| layer \|/);
    await screenshot(page, 'inside-desktop');
    assert.deepEqual(page.problems, []);
    assert.deepEqual(await axe(page), []);
  });

  test('gives the chat its room back', async () => {
    const width = () => page.locator('moebius-chat').evaluate((e) => e.clientWidth);
    const before = await width();
    await page.keyboard.press('Control+Shift+Y');
    assert.ok((await width()) > before);
    await page.context().close();
  });
});

test('on a phone, in the dark', async () => {
  const page = await visit({ size: 'phone', scheme: 'dark' });
  assert.deepEqual(await axe(page), []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
  await screenshot(page, 'inside-phone');
  await page.context().close();
});
