// The engine through its public API, on WebGPU and on the CPU: golden tokens and logits, OpenAI's shape, cancelling.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { FIXTURES, MODELS, deviation, golden } from './fixtures.js';
import { adapter, launch, open } from './harness.js';
import { host } from './host.js';

/** Largest difference of a logit from its golden value, over the logits' standard deviation. */
const BOUND = 1e-3;
/** The fixture that has a chat template and a tokenizer for text. */
const CHATTY = 'deepseek_v3_lite';

/** @type {Awaited<ReturnType<typeof host>>} */
let site;
before(async () => {
  site = await host();
});
after(() => site?.stop());

test('on WebGPU with default limits and no subgroups: logits and greedy tokens are the golden ones', async () => {
  const browser = await launch();
  try {
    const page = await open(browser);
    await page.goto(`${site.url}as/blank/`);
    await adapter(page);
    for (const model of ['qwen3_moe', CHATTY]) {
      const { prompt, greedy, logits } = golden(model);
      const got = await page.evaluate(
        async ({ path, model, prompt, tokens }) => {
          const { createEngine } = await import(path);
          const engine = await createEngine({ model, device: 'gpu' });
          const logits = Array.from(await engine.logits(prompt));
          const body = { prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, return_token_ids: true };
          const reply = await engine.completions.create(body);
          engine.unload();
          return { logits, tokens: reply.choices[0].token_ids };
        },
        { path: '/as/plain/www/engine.js', model: `/${FIXTURES}${model}/`, prompt, tokens: greedy.length },
      );
      assert.deepEqual(got.tokens, greedy, model);
      const worst = Math.max(...logits.map((v, i) => Math.abs(v - got.logits[i])));
      assert.ok(worst <= BOUND * deviation(logits), `${model} is off by ${worst / deviation(logits)} standard deviations`);
    }
  } finally {
    await browser.close();
  }
});

for (const webgpu of [true, false]) {
  describe(webgpu ? 'on WebGPU' : 'without WebGPU, on the CPU', () => {
    /** @type {Awaited<ReturnType<typeof launch>>} */
    let browser;
    /** @type {Awaited<ReturnType<typeof open>>} */
    let page;

    before(async () => {
      browser = await launch({ webgpu });
      page = await open(browser);
      await page.goto(`${site.url}as/blank/`);
      if (webgpu) await adapter(page);
      await page.evaluate(() => Object.assign(window, { engines: {} }));
    });
    after(() => browser?.close());

    /**
     * Runs a function in the page with an engine on a model; there is one engine a model.
     * @template T, A
     * @param {string} model
     * @param {(engine: import('../../www/engine.js').Engine, argument: A) => Promise<T>} act must not close over anything
     * @param {A} argument
     * @returns {Promise<T>}
     */
    function withEngine(model, act, argument) {
      const source = `async (engine, argument) => (${act})(engine, argument)`;
      return page.evaluate(
        async ({ model, source, argument, device }) => {
          const path = '/www/engine.js';
          const { createEngine } = await import(path);
          const { engines } = /** @type {{engines: Record<string, any>}} */ (/** @type {any} */ (window));
          engines[model] ??= await createEngine({ model, device });
          return new Function(`return ${source}`)()(engines[model], argument);
        },
        { model: `/${FIXTURES}${model}/`, source, argument: /** @type {any} */ (argument), device: webgpu ? 'gpu' : 'auto' },
      );
    }

    test('says what runs where, and why', async () => {
      const info = await withEngine(CHATTY, async (engine) => engine.info, null);
      assert.equal(info?.device.kind, webgpu ? 'gpu' : 'cpu');
      assert.match(info?.device.name ?? '', webgpu ? /swiftshader/i : /cpu/i);
      if (webgpu) assert.equal(info?.device.why, '');
      else assert.match(info?.device.why ?? '', /no GPU to give/);
      const { layers, experts, vocab } = info?.spec ?? {};
      assert.deepEqual([info?.chat, layers, experts, vocab], [true, 2, 5, 320]);
    });

    for (const model of MODELS) {
      test(`${model}: logits are the golden ones`, async () => {
        const { prompt, greedy, logits, logits_after_greedy: later } = golden(model);
        const act = async (/** @type {import('../../www/engine.js').Engine} */ engine, /** @type {number[][]} */ lists) => {
          const all = [];
          for (const list of lists) all.push(Array.from(await engine.logits(list)));
          return all;
        };
        const got = await withEngine(model, act, [prompt, [...prompt, ...greedy]]);
        for (const [i, want] of [logits, later].entries()) {
          const worst = Math.max(...want.map((v, j) => Math.abs(v - got[i][j])));
          assert.equal(got[i].length, want.length);
          assert.ok(worst <= BOUND * deviation(want), `off by ${worst / deviation(want)} standard deviations`);
        }
      });

      test(`${model}: greedy tokens are the golden ones`, async () => {
        const { prompt, greedy } = golden(model);
        const act = async (/** @type {import('../../www/engine.js').Engine} */ engine, /** @type {any} */ body) =>
          engine.completions.create(body);
        const body = { prompt, max_tokens: greedy.length, temperature: 0, ignore_eos: true, return_token_ids: true };
        const reply = await withEngine(model, act, body);
        assert.deepEqual(reply.choices[0].token_ids, greedy);
        assert.equal(reply.choices[0].finish_reason, 'length');
        assert.equal(reply.usage.prompt_tokens, prompt.length);
        assert.equal(reply.usage.completion_tokens, greedy.length);
      });
    }

    test('chat: chunks add up to the reply, and the last one has usage', async () => {
      const { whole, chunks } = await withEngine(
        CHATTY,
        async (engine, body) => {
          const whole = await engine.chat.completions.create(body);
          const chunks = [];
          const options = { stream: /** @type {const} */ (true), stream_options: { include_usage: true } };
          for await (const chunk of engine.chat.completions.create({ ...body, ...options })) chunks.push(chunk);
          return { whole, chunks };
        },
        { messages: [{ role: 'user', content: 'Who are you?' }], max_tokens: 12, temperature: 0 },
      );
      assert.equal(whole.object, 'chat.completion');
      assert.equal(whole.choices[0].message.role, 'assistant');
      const text = (/** @type {string} */ key) => chunks.map((c) => c.choices[0]?.delta[key] ?? '').join('');
      assert.equal(text('content'), whole.choices[0].message.content);
      assert.equal(text('reasoning_content'), whole.choices[0].message.reasoning_content ?? '');
      assert.ok(chunks.every((c) => c.object === 'chat.completion.chunk'));
      assert.ok(chunks.filter((c) => c.choices[0]?.delta.content).length > 1, 'text comes in pieces');
      const last = chunks.at(-1);
      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
      assert.ok(chunks.some((c) => c.timings?.predicted_n > 0));
    });

    test('tokens and text turn into each other', async () => {
      const text = 'A strip with one side, été.';
      const back = await withEngine(
        CHATTY,
        async (engine, text) => engine.detokenize(await engine.tokenize(text)),
        text,
      );
      assert.equal(back, text);
    });

    test('an AbortSignal stops a reply at once, and the engine goes on', async () => {
      const outcome = await withEngine(
        CHATTY,
        async (engine, body) => {
          const abort = new AbortController();
          let pieces = 0;
          let code = '';
          try {
            const stream = engine.chat.completions.create({ ...body, stream: true }, { signal: abort.signal });
            for await (const chunk of stream) {
              if (chunk.choices[0]?.delta.content && ++pieces === 2) abort.abort();
            }
          } catch (error) {
            code = /** @type {{code: string}} */ (error).code;
          }
          const next = await engine.chat.completions.create({ ...body, max_tokens: 3 });
          return { code, pieces, next: next.usage.completion_tokens };
        },
        { messages: [{ role: 'user', content: 'Go on for long.' }], temperature: 0, ignore_eos: true },
      );
      assert.equal(outcome.code, 'aborted');
      assert.equal(outcome.pieces, 2, 'nothing is handed out after the abort');
      assert.equal(outcome.next, 3);
    });

    test('leaving the loop early stops a reply', async () => {
      const next = await withEngine(
        CHATTY,
        async (engine, body) => {
          for await (const _ of engine.chat.completions.create({ ...body, stream: true })) break;
          return (await engine.chat.completions.create({ ...body, max_tokens: 3 })).usage.completion_tokens;
        },
        { messages: [{ role: 'user', content: 'Go on for long.' }], temperature: 0, ignore_eos: true },
      );
      assert.equal(next, 3);
    });

    test('requests run in turn; one waiting can be cancelled', async () => {
      const results = await withEngine(
        CHATTY,
        async (engine, body) => {
          const abort = new AbortController();
          const ask = (/** @type {object} */ more, /** @type {object} */ how) =>
            engine.chat.completions.create({ ...body, ...more }, how).then(
              (reply) => reply.usage.completion_tokens,
              (error) => error.code,
            );
          const three = [ask({ max_tokens: 8 }, {}), ask({ max_tokens: 9 }, { signal: abort.signal }), ask({ max_tokens: 4 }, {})];
          abort.abort();
          return Promise.all(three);
        },
        { messages: [{ role: 'user', content: 'One after another.' }], temperature: 0, ignore_eos: true },
      );
      assert.deepEqual(results, [8, 'aborted', 4]);
    });

    for (const [what, body, code] of /** @type {[string, object, string][]} */ ([
      ['an unknown field', { prompt: 'a', shine: 1 }, 'request'],
      ['a temperature out of range', { prompt: 'a', temperature: -1 }, 'request'],
      ['a token beyond the vocabulary', { prompt: [320] }, 'request'],
      ['a prompt longer than the context', { prompt: Array.from({ length: 100_000 }, () => 5) }, 'context_full'],
    ])) {
      test(`${what} is refused, and the engine goes on`, async () => {
        const act = async (/** @type {import('../../www/engine.js').Engine} */ engine, /** @type {any} */ body) => {
          const refused = await engine.completions.create(body).then(
            () => 'accepted',
            (error) => error.code,
          );
          const next = await engine.completions.create({ prompt: [5], max_tokens: 1, temperature: 0 });
          return { refused, next: next.usage.completion_tokens };
        };
        assert.deepEqual(await withEngine(CHATTY, act, body), { refused: code, next: 1 });
      });
    }
  });
}
