// Threads on the CPU: an isolated page has them, another has not, both choose the same tokens, and each loads one module.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FIXTURES, golden } from './fixtures.js';
import { launch, open, serve } from './harness.js';
import { host } from './host.js';

/** One with routing, and one with latent attention. */
const MODELS = ['qwen3_moe', 'deepseek_v3'];

/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;
before(async () => {
  browser = await launch({ webgpu: false });
});
after(() => browser?.close());

/**
 * What a page makes of a model's golden prompt, and the modules that it loads.
 * @param {string} url of a document
 * @param {string} model
 * @param {number} threads
 */
async function replies(url, model, threads) {
  const page = await open(browser);
  /** @type {string[]} */
  const modules = [];
  page.context().on('request', (request) => {
    if (request.url().endsWith('.wasm')) modules.push(new URL(request.url()).pathname);
  });
  await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
  await page.goto(url);
  const { prompt, greedy } = golden(model);
  const body = { prompt, max_tokens: greedy.length, temperature: 0, ignore_eos: true, return_token_ids: true };
  const reply = await page.evaluate(
    async ({ model, body, threads }) => {
      // Beside the document: what is bad about the host is in its path.
      const path = new URL('www/engine.js', location.href).href;
      const { createEngine } = await import(path);
      const engine = await createEngine({ model, device: 'cpu', threads });
      const { name, why } = engine.info.device;
      const { choices } = await engine.completions.create(body);
      const logits = Array.from(await engine.logits(body.prompt));
      engine.unload();
      return { isolated: crossOriginIsolated, name, why, tokens: choices[0].token_ids, logits };
    },
    { model: `/${FIXTURES}${model}/`, body, threads },
  );
  await page.context().close();
  assert.deepEqual(reply.tokens, greedy, `${model} on ${reply.name}`);
  assert.deepEqual(page.problems, []);
  return { ...reply, modules };
}

for (const model of MODELS) {
  test(`${model}: an isolated page runs on two threads, another on one, with the same logits`, async () => {
    const [isolated, plain] = [await serve(), await host()];
    try {
      const document = `${isolated.url}package.json`;
      const two = await replies(document, model, 2);
      assert.equal(two.isolated, true);
      assert.match(two.name, /, 2 threads$/);
      assert.deepEqual(two.modules, ['/www/pkg/moebius_web_threads.wasm']);

      const one = await replies(document, model, 1);
      assert.match(one.name, /, one thread$/);
      assert.deepEqual(one.modules, ['/www/pkg/moebius_web_bg.wasm']);

      const other = await replies(`${plain.url}package.json`, model, 2);
      assert.equal(other.isolated, false);
      assert.match(other.name, /, one thread$/);
      assert.equal(other.why, 'as chosen; one thread, as the page is not cross-origin isolated');
      assert.deepEqual(other.modules, ['/www/pkg/moebius_web_bg.wasm']);

      assert.deepEqual(two.logits, one.logits);
      assert.deepEqual(other.logits, one.logits);
    } finally {
      await isolated.stop();
      await plain.stop();
    }
  });
}

test('a thread that does not start is done without, and the device says so', async () => {
  const site = await host();
  try {
    const reply = await replies(`${site.url}as/lonely/package.json`, MODELS[0], 2);
    assert.equal(reply.isolated, true);
    assert.match(reply.name, /, one thread$/);
    assert.equal(reply.why, 'as chosen; 1 of 2 threads did not start');
  } finally {
    await site.stop();
  }
});
