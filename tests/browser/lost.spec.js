// Lost GPUs: the model is loaded again and the same reply goes on, on another device or on the CPU, and the page is told.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { axe } from './axe.js';
import { ask, bounded, engineWorker, reaches } from './chat.js';
import { FIXTURES, golden } from './fixtures.js';
import { adapter, open, screenshot } from './harness.js';
import { around } from './host.js';

/** @typedef {import('playwright-core').Worker} Worker */

/** The fixture that has a chat template and a tokenizer for text. */
const MODEL = `${FIXTURES}deepseek_v3_lite`;

const there = around();
/** @type {Awaited<ReturnType<typeof open>>} */
let page;

/**
 * A page with an engine in `window.engine`, and what it was told of moves in `window.moved`.
 * @param {'quiet' | 'hardware' | 'doomed' | 'wrong' | 'slipping' | 'narrow'} mode
 * @param {string} device
 * @returns {Promise<{code: string, device: any}>} how loading went
 */
async function start(mode, device) {
  await page?.context().close();
  page = await open(there.browser);
  await page.goto(`${there.site.url}as/blank/`);
  await adapter(page);
  return page.evaluate(
    async ({ path, model, device }) => {
      const { createEngine } = await import(path);
      /** @type {any[]} */
      const moved = [];
      try {
        const engine = await createEngine({ model, device, onMoved: (/** @type {any} */ device) => moved.push(device) });
        Object.assign(window, { engine, moved });
        return { code: '', device: engine.info.device };
      } catch (error) {
        return { code: /** @type {{code: string}} */ (error).code, device: null };
      }
    },
    { path: `/as/${mode}/www/engine.js`, model: `/${MODEL}/`, device },
  );
}

/**
 * Asks for a reply.
 * @param {object} how of the sampling
 * @returns {Promise<{code: string, tokens: number[], moved: any[], device: any}>} what was told since the start, too
 */
function reply(how) {
  const { prompt, greedy } = golden('deepseek_v3_lite');
  return page.evaluate(
    async (body) => {
      const { engine, moved } = /** @type {{engine: import('../../www/engine.js').Engine, moved: any[]}} */ (/** @type {any} */ (window));
      const done = await engine.completions.create(body).then(
        (reply) => ({ code: '', tokens: reply.choices[0].token_ids }),
        (error) => ({ code: error.code, tokens: [] }),
      );
      return { ...done, moved, device: engine.info?.device };
    },
    { prompt, max_tokens: greedy.length, ignore_eos: true, return_token_ids: true, ...how },
  );
}

/**
 * Has the engine's devices destroyed, the first when it has made `plays` more submissions, the next each after as many.
 * @param {{plays: number, times?: number, gone?: boolean}} fate `gone`: after that there is no GPU any more
 */
async function doom(fate) {
  return (await engineWorker(page)).evaluate(({ plays, times = 1, gone = false }) => {
    const { createCommandEncoder } = GPUDevice.prototype;
    let [left, losses] = [plays, times];
    // What is still asked of a lost device, before anybody knows, is not the next one's.
    const lost = new WeakSet();
    GPUDevice.prototype.createCommandEncoder = function (...all) {
      if (losses > 0 && !lost.has(this) && left-- === 0) {
        lost.add(this);
        this.destroy();
        [left, losses] = [plays, losses - 1];
        if (gone) GPU.prototype.requestAdapter = async () => null;
      }
      return createCommandEncoder.apply(this, all);
    };
  }, fate);
}

const GREEDY = { temperature: 0 };
const SAMPLED = { temperature: 0.9, repetition_penalty: 1.3, seed: 5 };

describe('a GPU that is lost is replaced', () => {
  for (const [what, how, plays] of /** @type {[string, object, number][]} */ ([
    ['before the first token', GREEDY, 0],
    ['after some tokens', GREEDY, 5],
    ['after some sampled tokens', SAMPLED, 9],
  ])) {
    test(`${what}: the same tokens follow`, async () => {
      assert.equal((await start('quiet', 'gpu')).device.kind, 'gpu');
      const want = await reply(how);
      assert.deepEqual(want.moved, []);
      assert.equal(want.tokens.length, golden('deepseek_v3_lite').greedy.length);
      await doom({ plays });
      const got = await reply(how);
      assert.deepEqual(got.tokens, want.tokens);
      assert.deepEqual(got.moved, [want.device], 'the page was told once');
      assert.deepEqual(got.device, want.device);
      assert.deepEqual((await reply(how)).tokens, want.tokens, 'and the engine goes on');
    });
  }

  test('twice in a request is an error, and the next request loads anew', async () => {
    await start('quiet', 'gpu');
    // Few enough submissions that the second loss comes while the model is made ready.
    await doom({ plays: 3, times: 2 });
    assert.equal((await reply(GREEDY)).code, 'device_lost');
    assert.deepEqual((await reply(GREEDY)).tokens, golden('deepseek_v3_lite').greedy);
  });
});

describe('a GPU that is lost for good', () => {
  test('gives way to the CPU where the choice is left open, and the page says why', async () => {
    assert.equal((await start('hardware', 'auto')).device.kind, 'gpu');
    await doom({ plays: 5, gone: true });
    const { tokens, moved, device } = await reply(GREEDY);
    assert.deepEqual(tokens, golden('deepseek_v3_lite').greedy);
    assert.equal(device.kind, 'cpu');
    assert.match(device.why, /^the device was lost: .*; this browser has no GPU to give/);
    assert.deepEqual(moved, [device]);
  });

  test('is an error where the GPU was asked for', async () => {
    await start('quiet', 'gpu');
    await doom({ plays: 5, gone: true });
    assert.equal((await reply(GREEDY)).code, 'device');
  });

  test('is shown below the text box', async () => {
    await page?.context().close();
    page = await open(there.browser);
    await page.goto(`${there.site.url}as/blank/`);
    await page.evaluate(
      async ({ path, model }) => {
        await import(path);
        const chat = Object.assign(document.createElement('moebius-chat'), { src: model, generation: { max_tokens: 12, temperature: 0 } });
        document.body.append(chat);
        await /** @type {any} */ (chat).load();
      },
      { path: '/as/hardware/www/element.js', model: `/${MODEL}/` },
    );
    const line = page.locator('moebius-chat .stats');
    assert.match((await line.textContent()) ?? '', /^GPU · /);
    await doom({ plays: 3, gone: true });
    await page.evaluate(() => /** @type {any} */ (document.querySelector('moebius-chat')).send('Who are you?'));
    assert.match((await line.textContent()) ?? '', /^CPU · the device was lost/);
    assert.equal(await page.locator('moebius-chat .loading').isVisible(), false);
    assert.equal(await page.evaluate(() => /** @type {any} */ (document.querySelector('moebius-chat')).state), 'ready');
  });

  test('is told above the text box of the page', async () => {
    await page?.context().close();
    page = await open(there.browser, { size: 'phone', scheme: 'dark' });
    await page.goto(`${there.site.url}as/hardware/index.html?model=/${MODEL}/`);
    await reaches(page, 'ready');
    await bounded(page, { max_tokens: 12, temperature: 0 });
    await doom({ plays: 3, gone: true });
    await ask(page, 'Who are you?');
    await reaches(page, 'ready');
    assert.match(await page.locator('moebius-chat .notice').innerText(), /^The GPU was lost\. The reply goes on: CPU/);
    await screenshot(page, 'state-device-lost');
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'OK' }).click();
    assert.equal(await page.locator('moebius-chat .notice').isVisible(), false);
  });
});

describe('a GPU that is lost while the model is made ready', () => {
  test('gives way to the CPU where the choice is left open', async () => {
    const { code, device } = await start('doomed', 'auto');
    assert.equal(code, '');
    assert.equal(device.kind, 'cpu');
    assert.match(device.why, /^the GPU failed: .*lost/);
    assert.deepEqual((await reply(GREEDY)).tokens, golden('deepseek_v3_lite').greedy);
  });

  test('is an error where the GPU was asked for', async () => {
    assert.equal((await start('doomed', 'gpu')).code, 'device_lost');
  });
});

describe('a GPU that is no good', () => {
  const { greedy } = golden('deepseek_v3_lite');

  test('gives way to the CPU before it has answered, where the choice is left open', async () => {
    assert.equal((await start('wrong', 'auto')).code, '');
    const { tokens, device } = await reply(GREEDY);
    assert.deepEqual(tokens, greedy);
    assert.equal(device.kind, 'cpu');
    assert.match(device.why, /gives wrong results/);
  });

  test('is an error where the GPU was asked for', async () => {
    const { code } = await start('wrong', 'gpu');
    assert.equal(code || (await reply(GREEDY)).code, 'device');
  });

  test('with subgroups does without them, and says so', async () => {
    assert.equal((await start('slipping', 'gpu')).code, '');
    const { tokens, device, moved } = await reply(SAMPLED);
    assert.equal(tokens.length, greedy.length);
    assert.deepEqual((await reply(GREEDY)).tokens, greedy);
    assert.equal(device.kind, 'gpu');
    assert.ok(device.fallbacks.some((/** @type {string} */ one) => /^matvec.* without subgroup operations$/.test(one)), device.fallbacks.join());
    assert.deepEqual(moved, [], 'nothing was lost');
  });

  test('since it holds too little gives way to the CPU where the choice is left open', async () => {
    const { device } = await start('narrow', 'auto');
    assert.equal(device?.kind, 'cpu');
    assert.match(device.why, /^the GPU failed: .* is \d+, over the limit of 65536/);
    assert.deepEqual((await reply(GREEDY)).tokens, greedy);
    assert.equal((await start('narrow', 'gpu')).code, 'limit');
  });
});
