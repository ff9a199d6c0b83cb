// What goes wrong around the engine: broken models, bad hosts, dead workers. Each ends in a typed error or in a model.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { engineWorker } from './chat.js';
import { FIXTURES, broken, golden } from './fixtures.js';
import { open } from './harness.js';
import { around } from './host.js';

const there = around({ webgpu: false });
/** @type {Awaited<ReturnType<typeof open>>} */
let page;

/** An empty page of its own with the engine's module in `window.moebius`. @param {string} [mode] */
async function fresh(mode = 'quiet') {
  await page?.context().close();
  page = await open(there.browser);
  await page.goto(`${there.site.url}as/blank/`);
  await page.evaluate(async (path) => {
    Object.assign(window, { moebius: await import(path) });
  }, `/as/${mode}/www/engine.js`);
}

/**
 * Loads a model.
 * @param {string} model path from the host's root
 * @returns {Promise<{code: string, message: string, best: number}>} the error, or no code and the first greedy token
 */
function load(model) {
  const { prompt } = golden('qwen3_moe');
  return page.evaluate(
    async ({ model, prompt }) => {
      const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
      try {
        // All of it at once: what no token wants may be broken too.
        const engine = await moebius.createEngine({ model, device: 'cpu', stream: false });
        const logits = await engine.logits(prompt.filter((id) => id < (engine.info?.spec.vocab ?? 0)));
        engine.unload();
        return { code: '', message: '', best: logits.indexOf(Math.max(...logits)) };
      } catch (error) {
        const { code, message } = /** @type {{code?: string, message: string}} */ (error);
        return { code: code ?? 'untyped', message, best: -1 };
      }
    },
    { model: `/${model}/`, prompt },
  );
}

describe('broken models', () => {
  before(() => fresh());

  // Tokenizers are the business of tests that need no weights.
  for (const { folder, wrong, codes, names } of broken().filter(({ folder }) => !folder.startsWith('tokenizer/'))) {
    test(`${folder}: ${wrong ?? 'in order'}`, async () => {
      const { code, message } = await load(`${FIXTURES}hostile/${folder}`);
      // Its weights are in order; a tokenizer it has none.
      if (wrong === null) return assert.match(message, /^tokenizer\.json: no such file/);
      assert.ok(codes.includes(code), `${code}: ${message}`);
      for (const any of names) assert.ok(any.some((name) => message.includes(name)), `${message} names none of ${any}`);
    });
  }
});

test('a template that loops for ever is stopped, and the engine goes on', async () => {
  await fresh();
  const outcome = await page.evaluate(async (model) => {
    const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
    const engine = await moebius.createEngine({ model, device: 'cpu' });
    const asked = engine.chat.completions.create({ messages: [{ role: 'user', content: 'Round and round.' }] });
    const code = await asked.then(() => '', (error) => error.code);
    const next = await engine.completions.create({ prompt: [5], max_tokens: 2, temperature: 0, ignore_eos: true });
    engine.unload();
    return { code, next: next.usage.completion_tokens };
  }, `/as/loop/${FIXTURES}qwen3_moe/`);
  assert.deepEqual(outcome, { code: 'template', next: 2 });
});

describe('hosts', () => {
  before(() => fresh());
  const model = `${FIXTURES}qwen3_moe`;
  const [best] = golden('qwen3_moe').greedy;

  for (const mode of ['quiet', 'whole', 'cut', 'busy']) {
    test(`${mode}: the model is right`, async () => {
      assert.deepEqual(await load(`as/${mode}/${model}`), { code: '', message: '', best });
    });
  }

  for (const [mode, codes, said] of /** @type {[string, string[], RegExp][]} */ ([
    ['down', ['file'], /503/],
    ['page', ['file'], /web page/],
    ['shifted', ['file'], /other bytes/],
    ['long', ['file'], /more than/],
    ['gone', ['file'], /404|no such file/],
    ['torn', ['file', 'malformed'], /model\.safetensors/],
  ])) {
    test(`${mode}: refused with the reason`, async () => {
      const { code, message } = await load(`as/${mode}/${model}`);
      assert.ok(codes.includes(code), `${code}: ${message}`);
      assert.match(message, said);
    });
  }

  test('progress reaches the size of the files', async () => {
    const last = await page.evaluate(async (model) => {
      const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
      let last = { loaded: 0, total: 0, file: '' };
      const engine = await moebius.createEngine({ model, device: 'cpu', onProgress: (progress) => (last = progress) });
      while (engine.info?.streamed) await new Promise((resolve) => setTimeout(resolve, 50));
      engine.unload();
      return last;
    }, `/${model}/`);
    assert.ok(last.total > 700_000, `${last.total} bytes`);
    assert.equal(last.loaded, last.total);
  });
});

describe('workers', () => {
  const model = `/${FIXTURES}qwen3_moe/`;

  /**
   * Starts an endless reply, does something to the worker, and reports how the reply and the next request went.
   * @param {(worker: import('playwright-core').Worker) => Promise<unknown>} harm
   */
  async function during(harm) {
    const outcome = page.evaluate(async (model) => {
      const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
      const engine = await moebius.createEngine({ model, device: 'cpu', silence: 2 });
      Object.assign(window, { started: false });
      const reply = (async () => {
        for (;;) {
          const body = /** @type {const} */ ({ prompt: [5, 6, 7], max_tokens: 200, ignore_eos: true, stream: true });
          for await (const _ of engine.completions.create(body)) Object.assign(window, { started: true });
        }
      })();
      const waiting = engine.logits([1, 2, 3]).then(() => reply);
      const codes = await Promise.all([reply, waiting].map((p) => p.then(() => '', (error) => error.code)));
      const next = await engine.completions.create({ prompt: [5], max_tokens: 2, temperature: 0, ignore_eos: true });
      engine.unload();
      return { codes, next: next.usage.completion_tokens };
    }, model);
    await page.waitForFunction(() => /** @type {any} */ (window).started === true);
    await harm(await engineWorker(page));
    return outcome;
  }

  test('a worker that throws is replaced', async () => {
    await fresh();
    const harm = (/** @type {import('playwright-core').Worker} */ worker) =>
      worker.evaluate(() => {
        setTimeout(() => {
          throw new Error('struck by lightning');
        });
      });
    assert.deepEqual(await during(harm), { codes: ['engine_crashed', 'engine_crashed'], next: 2 });
  });

  test('an exception inside wasm replaces the worker', async () => {
    await fresh();
    const harm = (/** @type {import('playwright-core').Worker} */ worker) =>
      worker.evaluate(() => {
        Performance.prototype.now = () => {
          throw new Error('no clock');
        };
      });
    assert.deepEqual(await during(harm), { codes: ['engine_crashed', 'engine_crashed'], next: 2 });
  });

  test('a worker that dies in silence is noticed and replaced', async () => {
    await fresh();
    const harm = (/** @type {import('playwright-core').Worker} */ worker) => worker.evaluate(() => close()).catch(() => {});
    assert.deepEqual(await during(harm), { codes: ['worker_silent', 'worker_silent'], next: 2 });
  });

  test('a worker that hangs is noticed and replaced', async () => {
    await fresh();
    const harm = (/** @type {import('playwright-core').Worker} */ worker) =>
      worker.evaluate(() => {
        setTimeout(() => {
          for (;;);
        });
      });
    assert.deepEqual(await during(harm), { codes: ['worker_silent', 'worker_silent'], next: 2 });
  });

  test('half an engine is an error, not a wait', async () => {
    await fresh('broken-wasm');
    const { code } = await load(`${FIXTURES}qwen3_moe`);
    assert.equal(code, 'engine_crashed');
  });

  test('unload rejects what is pending, and what comes later', async () => {
    await fresh();
    const codes = await page.evaluate(async (model) => {
      const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
      const engine = await moebius.createEngine({ model, device: 'cpu' });
      const pending = engine.completions.create({ prompt: [5], max_tokens: 100 });
      engine.unload();
      const codeOf = (/** @type {Promise<any>} */ p) => p.then(() => '', (error) => error.code);
      return Promise.all([codeOf(pending), codeOf(engine.logits([1]))]);
    }, model);
    assert.deepEqual(codes, ['aborted', 'aborted']);
  });

  test('loading can be stopped', async () => {
    await fresh();
    const code = await page.evaluate(async (model) => {
      const { moebius } = /** @type {{moebius: typeof import('../../www/engine.js')}} */ (/** @type {any} */ (window));
      const abort = new AbortController();
      const loading = moebius.createEngine({ model, signal: abort.signal, onProgress: () => abort.abort() });
      return loading.then(() => '', (error) => error.code);
    }, model);
    assert.equal(code, 'aborted');
  });
});
