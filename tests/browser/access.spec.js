// For everybody: axe finds nothing in any state, everything works by keyboard, and a screen reader is not talked over.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { axe } from './axe.js';
import { ask, bounded, chat, FIXTURE, press, reaches, slowly } from './chat.js';
import { open } from './harness.js';
import { around } from './host.js';

/** @typedef {Awaited<ReturnType<typeof open>>} Page */

/** A reply of everything. */
const REPLY = `## Title\n\nText with a [link](https://example.org/x), \`code\` and **bold**.\n\n- one\n- [x] two\n\n> quote\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n\`\`\`js\nlet x;\n\`\`\`\n\n![picture](https://example.org/p.png)\n\nIn line $x^2$.\n\n$$\n\\frac{a}{b}\n$$\n`;

const there = around({ webgpu: false });

/** @param {Parameters<typeof open>[1]} [how] @param {string} [model] */
async function visit(how, model = FIXTURE) {
  const page = await open(there.browser, how);
  await page.goto(`${there.site.url}index.html?model=${model}`);
  await reaches(page, model === FIXTURE ? 'ready' : 'error');
  await bounded(page, { max_tokens: 6, temperature: 0, ignore_eos: true });
  return page;
}

/** @param {Page} page */
function talk(page) {
  return page.evaluate((content) => {
    const chat = /** @type {import('../../www/element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
    chat.messages = [
      { role: 'user', content: 'A question' },
      { role: 'assistant', content, reasoning_content: 'Some *thoughts*' },
    ];
    /** @type {any} */ (chat.shadowRoot).querySelector('details').open = true;
  }, REPLY);
}

describe('axe finds nothing', () => {
  for (const [size, scheme] of /** @type {const} */ ([['desktop', 'light'], ['phone', 'dark']])) {
    test(`${size}, ${scheme}`, async () => {
      const page = await visit({ size, scheme });
      /** @type {Record<string, string[]>} */
      const found = {};
      const look = async (/** @type {string} */ state) => (found[state] = await axe(page));
      await look('empty');
      await ask(page, 'First words');
      await reaches(page, 'ready');
      await talk(page);
      await page.locator('.code-block').waitFor();
      await look('a conversation, thoughts open');
      await press(page, 'Edit', 'user');
      await look('editing');
      await page.keyboard.press('Escape');
      await press(page, 'Delete', 'user');
      await look('deleted, undo offered');
      if (size === 'phone') await page.getByRole('button', { name: 'Chats', exact: true }).click();
      await page.getByRole('button', { name: /^More for/ }).click();
      await look('chats, actions open');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Settings of this chat' }).click();
      await look('settings');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
      await look('shortcuts');
      for (const [state, complaints] of Object.entries(found)) assert.deepEqual(complaints, [], state);
      await page.context().close();
    });
  }

  test('while a reply comes and questions wait, and when a model is broken', async () => {
    const page = await visit();
    await slowly(page, 200);
    await ask(page, 'One');
    await ask(page, 'Two');
    await page.locator('article.assistant .body p').waitFor();
    assert.deepEqual(await axe(page), []);
    await page.context().close();
    const broken = await visit({}, 'tests/fixtures/hostile/weights/without-model.norm.weight/');
    assert.deepEqual(await axe(broken), []);
    await broken.context().close();
  });
});

describe('by keyboard', () => {
  /** @type {Page} */
  let page;
  before(async () => {
    page = await visit();
    await ask(page, 'First words');
    await reaches(page, 'ready');
  });
  after(() => page?.context().close());

  test('? lists the shortcuts, and does not when it is typed', async () => {
    const box = page.getByRole('textbox', { name: 'Message' });
    await box.focus();
    await page.keyboard.press('?');
    const list = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    assert.ok(!(await list.isVisible()));
    await box.fill('');
    await page.getByRole('log').focus();
    await page.keyboard.press('?');
    assert.ok(await list.isVisible());
    await page.keyboard.press('Escape');
    assert.ok(!(await list.isVisible()));
    assert.ok(await page.getByRole('log').evaluate((log) => log.matches(':focus')), 'focus is where it was');
  });

  test('each shortcut does what the list says', async () => {
    const focused = (/** @type {import('playwright-core').Locator} */ what) => what.evaluate((e) => e.matches(':focus'));
    await page.keyboard.press('/');
    assert.ok(await focused(page.getByRole('textbox', { name: 'Message' })));
    const panel = page.getByRole('dialog', { name: 'Chats' });
    await page.keyboard.press('Control+Shift+H');
    assert.ok(!(await panel.isVisible()));
    await page.keyboard.press('Control+Shift+F');
    assert.ok(await focused(page.getByRole('searchbox')));
    await page.keyboard.press('Control+Shift+E');
    assert.ok(await page.getByRole('dialog', { name: 'Settings of this chat' }).isVisible());
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Shift+O');
    assert.equal(await page.locator('article').count(), 0);
    assert.ok(await focused(page.getByRole('textbox', { name: 'Message' })));
  });

  test('every part is reached by Tab, and shows that it is', async () => {
    await talk(page);
    await page.locator('.code-block').waitFor();
    /** @type {Set<string>} */
    const seen = new Set();
    for (let i = 0; i < 45; i += 1) {
      await page.keyboard.press('Tab');
      const { name, outline } = await page.evaluate(() => {
        let at = document.activeElement;
        while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
        if (!at || at === document.body) return { name: 'nothing', outline: true };
        const box = at.closest('.composer, .editor') ?? at;
        const style = getComputedStyle(box);
        return { name: at.getAttribute('aria-label') || at.textContent || at.localName, outline: style.outlineStyle !== 'none' || box !== at };
      });
      assert.ok(outline, `${name} shows that it has the focus`);
      seen.add(name.trim());
    }
    for (const name of ['Chats', 'Settings of this chat', 'Conversation', 'Copy', 'Edit', 'Delete', 'Regenerate', 'Message', 'Search chats', 'Export all', 'Table', 'Code, js']) {
      assert.ok([...seen].some((one) => one === name), `${name} among ${[...seen].join(', ')}`);
    }
  });
});

test('what is announced: sentences, at most one every two seconds, and the end', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}as/blank/x`);
  const said = await page.evaluate(async () => {
    const path = '/www/ui/announcer.js';
    const { Announcer } = await import(path);
    const one = new Announcer();
    /** @type {{at: number, text: string}[]} */
    const heard = [];
    new MutationObserver(() => one.node.textContent && heard.push({ at: performance.now(), text: one.node.textContent })).observe(one.node, { childList: true });
    one.say('Replying.');
    const start = performance.now();
    while (performance.now() - start < 2300) {
      one.grow('**Some** words of a [sentence](https://example.org/). ');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    one.say('Reply complete.');
    await new Promise((resolve) => setTimeout(resolve));
    return heard;
  });
  const streamed = said.slice(0, -1);
  assert.ok(streamed.length === 2, `${streamed.length} in 2.3 s`);
  for (let i = 1; i < streamed.length; i += 1) assert.ok(streamed[i].at - streamed[i - 1].at > 1900, 'two seconds apart');
  assert.ok(said.every(({ text }) => !/[*[\]]|https/.test(text)), 'no marks, no addresses');
  assert.match(said.at(-1)?.text ?? '', /Reply complete\.$/);
  await page.context().close();
});

test('text from right to left stands on its side; no motion where none is wanted; colours may be forced', async () => {
  const page = await open(there.browser, { reducedMotion: true });
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await page.emulateMedia({ forcedColors: 'active', reducedMotion: 'reduce' });
  await page.evaluate(() => {
    const chat = /** @type {import('../../www/element.js').MoebiusChat} */ (document.querySelector('moebius-chat'));
    chat.messages = [
      { role: 'user', content: 'שלום עולם' },
      { role: 'assistant', content: 'مرحبا\n\n- بند\n\nEnglish' },
    ];
  });
  await page.locator('article.assistant li').waitFor();
  const directions = await page.locator('article :is(p, li)').evaluateAll((all) => all.filter((e) => e.textContent).map((e) => getComputedStyle(e).direction));
  assert.deepEqual(directions.slice(0, 4), ['rtl', 'rtl', 'rtl', 'ltr']);
  const bubble = await page.locator('.bubble').evaluate((e) => getComputedStyle(e).borderStyle);
  assert.equal(bubble, 'solid', 'a bubble without its colour has a border');
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('at 400 % nothing overlaps, and all of it can be scrolled to', async () => {
  const page = await open(there.browser);
  await page.setViewportSize({ width: 320, height: 256 });
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
  const boxes = await page.locator('header > *, moebius-chat, footer').evaluateAll((all) => all.filter((e) => e.getClientRects().length > 0).map((e) => e.getBoundingClientRect().toJSON()));
  for (const [i, a] of boxes.entries()) {
    for (const b of boxes.slice(i + 1)) {
      const apart = a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
      assert.ok(apart, `${JSON.stringify(a)} and ${JSON.stringify(b)}`);
    }
  }
  await page.context().close();
});

test('the policy holds: nothing it forbids was tried', async () => {
  const page = await open(there.browser);
  await page.addInitScript(() => {
    const broken = /** @type {string[]} */ ([]);
    Object.assign(globalThis, { broken });
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => broken.push(`${violatedDirective} ${blockedURI}`), true);
  });
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  await bounded(page, { max_tokens: 6, temperature: 0, ignore_eos: true });
  await ask(page, 'First words');
  await reaches(page, 'ready');
  await talk(page);
  await page.locator('.code-block').waitFor();
  await page.getByRole('button', { name: 'Export all' }).click();
  await page.getByRole('button', { name: 'Settings of this chat' }).click();
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).broken), []);
  const policy = await page.locator('meta[http-equiv=Content-Security-Policy]').first().getAttribute('content');
  assert.match(policy ?? '', /require-trusted-types-for 'script'/);
  assert.doesNotMatch(policy ?? '', /unsafe-inline|'unsafe-eval'/);
  await chat(page, (chat) => chat.clear());
  await page.context().close();
});
