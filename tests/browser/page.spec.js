// The page as a visitor meets it: asks and is answered, stops, starts over, and is told what went wrong.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { ask, bounded, engineWorker, FIXTURE, reaches, replies, slowly } from './chat.js';
import { FIXTURES } from './fixtures.js';
import { launch, open, screenshot } from './harness.js';
import { host } from './host.js';

/** @typedef {import('../../www/element.js').MoebiusChat} MoebiusChat */

/** @type {Awaited<ReturnType<typeof host>>} */
let site;
before(async () => {
  site = await host();
});
after(() => site?.stop());

/**
 * The longest task of the page while a reply comes, or 50 ms if none is longer; of three replies the best, as a machine that is busy with
 * something else may halt any task.
 * @param {import('playwright-core').Page} page
 */
async function longestTask(page) {
  await page.evaluate(() => {
    /** @type {number[]} */
    const tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
    Object.assign(globalThis, { tasks });
  });
  await bounded(page, { max_tokens: 300, ignore_eos: true });
  let longest = Infinity;
  for (let tries = 0; tries < 3 && longest > 50; tries++) {
    await page.evaluate(() => (/** @type {any} */ (globalThis).tasks.length = 0));
    await ask(page, 'Tell me a long story.');
    await reaches(page, 'ready');
    // Observers are told between tasks.
    longest = Math.min(longest, await page.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(Math.max(50, .../** @type {any} */ (globalThis).tasks)), 100))));
  }
  return longest;
}

for (const webgpu of [true, false]) {
  describe(webgpu ? 'with WebGPU' : 'without WebGPU', () => {
    /** @type {Awaited<ReturnType<typeof launch>>} */
    let browser;
    before(async () => {
      browser = await launch({ webgpu });
    });
    after(() => browser?.close());

    /** @param {string} [model] folder, if not the default @param {(page: import('playwright-core').Page) => Promise<unknown>} [first] done before */
    async function visit(model, first) {
      const page = await open(browser);
      await first?.(page);
      const query = new URLSearchParams({ device: webgpu ? 'gpu' : 'auto', ...(model ? { model } : {}) });
      await page.goto(`${site.url}index.html?${query}`);
      return page;
    }

    test('the default model answers; on a phone and on a screen, nothing moves until it does', async (t) => {
      if (!existsSync(join(ROOT, 'www/model/moebius.json'))) return t.skip('www/model has no model');
      const page = await visit(undefined, async (page) => {
        if (!webgpu) await page.setViewportSize({ width: 412, height: 823 });
        await page.addInitScript(() => {
          /** @type {any} */ (globalThis).shifts = [];
          new PerformanceObserver((list) => {
            for (const { value, sources } of /** @type {any[]} */ (list.getEntries())) {
              const moved = sources.map((/** @type {any} */ { previousRect, currentRect }) => JSON.stringify([previousRect, currentRect]));
              /** @type {any} */ (globalThis).shifts.push({ value, moved });
            }
          }).observe({ type: 'layout-shift', buffered: true });
        });
      });
      await reaches(page, 'ready');
      await page.waitForFunction(() => /** @type {MoebiusChat | null} */ (document.querySelector('moebius-chat'))?.engine?.info?.streamed === false);
      const shifts = await page.evaluate(() => /** @type {{value: number, moved: string[]}[]} */ (/** @type {any} */ (globalThis).shifts));
      const shift = shifts.reduce((sum, { value }) => sum + value, 0);
      assert.ok(shift < 0.02, `${shift}: ${JSON.stringify(shifts, null, 1)}`);
      await bounded(page, { max_tokens: 24 });
      await ask(page, 'Who are you?');
      await reaches(page, 'ready');
      const [reply] = await replies(page);
      assert.ok(reply.trim().length > 0, 'an answer');
      // On software WebGPU the browser's own work takes the cores.
      if (!webgpu) {
        const longest = await longestTask(page);
        t.diagnostic(`longest task of the page while 300 tokens came: ${longest > 50 ? `${longest} ms` : 'under 50 ms'}`);
        assert.ok(longest <= 50, `a task of the page took ${longest} ms`);
      }
      assert.deepEqual(page.problems, []);
      await page.context().close();
    });

    test('a question is answered, another too, and New chat forgets both', async () => {
      const page = await visit(FIXTURE);
      await reaches(page, 'ready');
      await bounded(page, { max_tokens: 8, temperature: 0, ignore_eos: true });
      await ask(page, 'Who are you?');
      await reaches(page, 'ready');
      await ask(page, 'And who am I?');
      await reaches(page, 'ready');
      assert.equal((await replies(page)).filter((text) => text !== '').length, 2);
      assert.match(await page.locator('article.assistant .meta').last().innerText(), /^cut at the length limit · 8 tokens/);
      const where = await page.locator('.stats').innerText();
      assert.match(where, webgpu ? /^GPU · .*swiftshader/i : /^CPU · .*WebGPU/);

      await page.locator('moebius-chat').getByRole('button', { name: 'New chat' }).click();
      assert.equal(await page.locator('article').count(), 0);
      assert.ok(await page.getByRole('heading', { level: 2 }).isVisible());
      assert.ok(await page.getByRole('textbox', { name: 'Message' }).evaluate((box) => box.matches(':focus')));
      await page.context().close();
    });

    if (webgpu) {
      test('software is not taken for a GPU unless asked for', async () => {
        const page = await open(browser);
        await page.goto(`${site.url}index.html?model=${FIXTURE}`);
        await reaches(page, 'ready');
        assert.match(await page.locator('.stats').innerText(), /^CPU · WebGPU is software here \(.*swiftshader/i);
        await page.context().close();
      });
      return;
    }

    // What follows is the page's own doing, whatever the device.

    test('Stop ends a reply and keeps what there is; Escape too', async () => {
      const page = await visit(FIXTURE);
      await reaches(page, 'ready');
      await slowly(page);
      await bounded(page, { temperature: 0, ignore_eos: true });
      for (const stop of [() => page.getByRole('button', { name: 'Stop' }).click(), () => page.keyboard.press('Escape')]) {
        await ask(page, 'Talk without end.');
        await page.locator('article.assistant .body p').last().waitFor();
        const start = Date.now();
        await stop();
        await reaches(page, 'ready');
        assert.ok(Date.now() - start < 2000, `${Date.now() - start} ms to stop`);
        assert.match(await page.locator('article.assistant .meta').last().innerText(), /stopped/);
      }
      await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
      await ask(page, 'Once more.');
      await reaches(page, 'ready');
      assert.match(await page.locator('article.assistant .meta').last().innerText(), /4 tokens/);
      await page.context().close();
    });

    test('a question asked while the model loads waits for it', async () => {
      const page = await open(browser);
      await page.route('**/*.safetensors', async (route) => {
        await new Promise((resolve) => setTimeout(resolve, 500));
        await route.continue();
      });
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
      await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
      await ask(page, 'Are you there yet?');
      await reaches(page, 'ready');
      assert.match(await page.locator('article.assistant .meta').last().innerText(), /4 tokens/);
      await page.context().close();
    });

    test('a dead worker is told, and Try again answers', async () => {
      const page = await visit(FIXTURE);
      await reaches(page, 'ready');
      await slowly(page);
      await bounded(page, { temperature: 0, ignore_eos: true });
      await ask(page, 'Talk without end.');
      await page.locator('article.assistant .body p').last().waitFor();
      await (await engineWorker(page)).evaluate(() => {
        setTimeout(() => {
          throw new Error('struck by lightning');
        });
      });
      await reaches(page, 'error');
      const notice = page.getByRole('alert');
      assert.match(await notice.innerText(), /struck by lightning[\s\S]*engine_crashed/);
      assert.equal(await page.locator('article.user').count(), 1, 'the question is kept');
      await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
      await notice.getByRole('button', { name: 'Try again' }).click();
      await reaches(page, 'ready');
      assert.ok(!(await notice.isVisible()));
      assert.equal(await page.locator('article.assistant').count(), 1);
      assert.match(await page.locator('article.assistant .meta').innerText(), /4 tokens/);
      await page.context().close();
    });

    test('a broken model is told, and the page stays usable', async () => {
      const page = await visit(`${FIXTURES}hostile/weights/without-model.norm.weight/`);
      await reaches(page, 'error');
      assert.match(await page.getByRole('alert').innerText(), /model\.norm\.weight[\s\S]*tensor/);
      await page.evaluate((src) => {
        const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
        chat.src = src;
      }, FIXTURE);
      await reaches(page, 'ready');
      assert.ok(!(await page.getByRole('alert').isVisible()));
      await page.context().close();
    });

    test('a prompt longer than the context is told, and New chat goes on', async () => {
      const page = await visit(FIXTURE);
      await reaches(page, 'ready');
      await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
      await ask(page, 'too long '.repeat(20_000));
      await reaches(page, 'error');
      const notice = page.getByRole('alert');
      assert.match(await notice.innerText(), /context_full/);
      await notice.getByRole('button', { name: 'New chat' }).click();
      await ask(page, 'Shorter.');
      await reaches(page, 'ready');
      assert.match(await page.locator('article.assistant .meta').last().innerText(), /4 tokens/);
      await page.context().close();
    });
  });
}

describe('the page itself', () => {
  /** @type {Awaited<ReturnType<typeof launch>>} */
  let browser;
  before(async () => {
    browser = await launch({ webgpu: false });
  });
  after(() => browser?.close());

  test('asks no other host, and nobody at all once it is ready', async () => {
    const page = await open(browser);
    /** @type {string[]} */
    const requests = [];
    page.context().on('request', (request) => requests.push(request.url()));
    await page.goto(`${site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    assert.deepEqual(requests.filter((url) => !url.startsWith(site.url) && !url.startsWith('data:') && !url.startsWith(`blob:${site.url}`)), []);
    const before = site.requests.length;
    await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
    await ask(page, 'Whom do you tell?');
    await reaches(page, 'ready');
    assert.deepEqual(site.requests.slice(before), []);
    await page.context().close();
  });

  test('what a reply says is text, whatever it says', async () => {
    const page = await open(browser);
    await page.goto(`${site.url}index.html?model=${FIXTURE}`);
    const evil = '<img src=x onerror=alert(1)>\n\n```html\n<script>alert(2)</script>\n```\n[x](javascript:alert(3))';
    await page.evaluate((content) => {
      const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
      chat.messages = [
        { role: 'user', content },
        { role: 'assistant', content },
      ];
    }, evil);
    await page.locator('article.assistant .code-block').waitFor();
    for (const side of ['user', 'assistant']) {
      const tags = await page.locator(`article.${side} .body *`).evaluateAll((all) => all.map((e) => e.localName));
      assert.deepEqual(tags, side === 'user' ? ['p'] : ['p', 'div', 'div', 'span', 'button', 'pre', 'code', 'p']);
      assert.match(await page.locator(`article.${side} .body`).innerText(), /<img src=x onerror=alert\(1\)>/);
    }
    await page.context().close();
  });

  for (const size of /** @type {const} */ (['desktop', 'phone'])) {
    for (const scheme of /** @type {const} */ (['light', 'dark'])) {
      test(`${size}, ${scheme}: nothing overflows, targets are large enough`, async () => {
        const page = await open(browser, { size, scheme });
        await page.goto(`${site.url}index.html?model=${FIXTURE}`);
        await reaches(page, 'ready');
        await page.evaluate(() => {
          const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
          chat.messages = [
            { role: 'user', content: 'What is a Möbius strip, and how do I make one out of paper?' },
            { role: 'assistant', content: 'A surface with one side.\n\n```\n' + 'half a turn, then glue '.repeat(9) + '\n```' },
          ];
        });
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
        for (const button of await page.getByRole('button').all()) {
          const box = await button.boundingBox();
          if (box) assert.ok(box.width >= 44 && box.height >= 44, `${await button.innerText()}: ${box.width} × ${box.height}`);
        }
        await screenshot(page, `page-${size}-${scheme}`);
        await page.context().close();
      });
    }
  }

  test('is used by keyboard alone', async () => {
    const page = await open(browser);
    await page.goto(`${site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
    const box = page.getByRole('textbox', { name: 'Message' });
    for (let i = 0; i < 12 && !(await box.evaluate((b) => b.matches(':focus'))); i += 1) await page.keyboard.press('Tab');
    await page.keyboard.type('Two');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('lines');
    assert.equal(await box.inputValue(), 'Two\nlines');
    await page.keyboard.press('Enter');
    await reaches(page, 'ready');
    assert.equal(await page.locator('article.user .body').innerText(), 'Two\nlines');
    await page.context().close();
  });
});
