// Models from where they are: a hub's repositories, a .gguf on any host, files of this machine, quantised while they load.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { FIXTURES, deviation, golden } from './fixtures.js';
import { open } from './harness.js';
import { around } from './host.js';
import { TOKEN, hub } from './hub.js';

const there = around({ webgpu: false });
/** @type {Awaited<ReturnType<typeof hub>>} */
let models;
before(async () => {
  models = await hub();
});
after(() => models?.stop());

/** @param {string} name @param {string} kind */
function ofGguf(name, kind) {
  return JSON.parse(readFileSync(join(ROOT, FIXTURES, 'gguf', `${name}.json`), 'utf8'))[kind];
}

/**
 * Loads a model in a page of its own; what it is, and its logits after some tokens, or why it is none.
 * @param {Record<string, any>} options `paths` in place of `model`: files of the host that become `File`s
 * @param {number[]} prompt
 * @returns {Promise<{info?: any, logits: number[], fault?: {code: string, message: string}, seen: number}>}
 */
async function load(options, prompt) {
  const page = await open(there.browser);
  try {
    await page.goto(`${there.site.url}as/blank/`);
    return await page.evaluate(
      async ({ options, prompt }) => {
        const path = '/www/engine.js';
        const { createEngine } = await import(path);
        let { paths, ...rest } = options;
        if (paths) {
          const file = async (/** @type {string} */ path) =>
            new File([await (await fetch(path)).blob()], String(path.split('/').pop()));
          rest.model = await Promise.all(paths.map(file));
          if (paths.length === 1) rest.model = rest.model[0];
        }
        let seen = 0;
        try {
          const engine = await createEngine({ ...rest, context: 64, onProgress: (/** @type {any} */ p) => (seen = p.loaded) });
          const logits = Array.from(await engine.logits(prompt));
          const { info } = engine;
          engine.unload();
          return { info, logits, seen };
        } catch (error) {
          const { code, message } = /** @type {any} */ (error);
          return { fault: { code, message: String(message) }, logits: [], seen };
        }
      },
      { options, prompt },
    );
  } finally {
    await page.context().close();
  }
}

/** @param {number[]} logits @param {number[]} wanted @param {number} bound */
function near(logits, wanted, bound = 1e-3) {
  assert.equal(logits.length, wanted.length);
  const most = Math.max(...logits.map((v, i) => Math.abs(v - wanted[i])));
  assert.ok(most <= bound * deviation(wanted), `${most / deviation(wanted)}`);
}

test("a hub's repository, at one commit, from another origin", async () => {
  const { prompt, logits } = golden('qwen3_moe_yarn');
  models.log.length = 0;
  const loaded = await load({ model: 'hf:tiny/qwen3_moe_yarn@v1', hub: models.url }, prompt);
  assert.equal(loaded.fault, undefined, JSON.stringify(loaded.fault));
  near(loaded.logits, logits);
  const moved = models.log.filter(({ status }) => status === 302);
  assert.ok(moved.length > 3 && moved.every(({ path }) => path.includes('/resolve/0123456789abcdef')), JSON.stringify(moved));
  assert.ok(models.log.every(({ authorization }) => !authorization));
});

test('what was loaded from a hub loads again without it', async () => {
  const { prompt, logits } = golden('qwen3_moe_yarn');
  const page = await open(there.browser);
  await page.goto(`${there.site.url}as/blank/`);
  const visit = () =>
    page.evaluate(
      async ({ hub, prompt }) => {
        const path = '/www/engine.js';
        const { createEngine } = await import(path);
        const engine = await createEngine({ model: 'hf:tiny/qwen3_moe_yarn', hub, context: 64 });
        const logits = Array.from(await engine.logits(prompt));
        engine.unload();
        return logits;
      },
      { hub: models.url, prompt },
    );
  near(await visit(), logits);
  models.log.length = 0;
  near(await visit(), logits);
  assert.deepEqual(models.log, []);
  await page.context().close();
});

test('a gated repository, with a token that goes to the hub alone', async () => {
  const { prompt, logits } = ofGguf('llama', 'Q4_0');
  const model = 'hf:gated/gguf/llama-q4_0.gguf';
  models.log.length = 0;
  const without = await load({ model, hub: models.url }, prompt);
  assert.equal(without.fault?.code, 'file');
  assert.match(without.fault?.message ?? '', /token/);
  const loaded = await load({ model, hub: models.url, token: TOKEN }, prompt);
  assert.equal(loaded.fault, undefined, JSON.stringify(loaded.fault));
  near(loaded.logits, logits);
  // Storage refuses whoever sends it along.
  assert.ok(models.log.some(({ status, authorization }) => status === 206 && !authorization));
  assert.ok(models.log.some(({ status, authorization }) => status === 302 && authorization));
});

test('what a hub does not have is said', async () => {
  for (const [model, pattern] of [
    ['hf:tiny/nothing', /not on the hub/],
    ['hf:tiny/qwen3@v9', /not at v9/],
    ['hf:tiny/qwen3:Q4_K_M', /no Q4_K_M is there/],
    ['hf:qwen3', /not hf:owner\/name/],
  ]) {
    const { fault } = await load({ model, hub: models.url }, [1]);
    assert.match(fault?.message ?? '', /** @type {RegExp} */ (pattern), `${model}: ${JSON.stringify(fault)}`);
  }
});

test('a .gguf on any host', async () => {
  const { prompt, logits } = ofGguf('deepseek_v3', 'Q8_0');
  const loaded = await load({ model: `/${FIXTURES}gguf/deepseek_v3-q8_0.gguf?download=true` }, prompt);
  assert.equal(loaded.fault, undefined, JSON.stringify(loaded.fault));
  near(loaded.logits, logits, 2e-2);
  assert.equal(loaded.info.model, 'deepseek_v3-q8_0.gguf');
});

test('files of this machine, a .gguf and a folder', async () => {
  const one = ofGguf('gpt_oss', 'Q4_0');
  const file = await load({ paths: [`/${FIXTURES}gguf/gpt_oss-q4_0.gguf`] }, one.prompt);
  assert.equal(file.fault, undefined, JSON.stringify(file.fault));
  near(file.logits, one.logits);
  assert.ok(file.seen > 100_000, `${file.seen}`);
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
  const many = golden('qwen3');
  const folder = await load({ paths: names.map((name) => `/${FIXTURES}qwen3/${name}`) }, many.prompt);
  assert.equal(folder.fault, undefined, JSON.stringify(folder.fault));
  near(folder.logits, many.logits);
  const broken = await load({ paths: [`/${FIXTURES}qwen3/config.json`] }, [1]);
  assert.equal(broken.fault?.code, 'file');
});

test('quantised while it loads', async () => {
  const { prompt } = golden('qwen3_moe');
  const model = `/${FIXTURES}qwen3_moe/`;
  const [stored, eight] = [await load({ model }, prompt), await load({ model, format: 'q8' }, prompt)];
  assert.ok(eight.info.bytes < 0.6 * stored.info.bytes, `${eight.info.bytes} of ${stored.info.bytes}`);
  near(eight.logits, stored.logits, 0.1);
  const { fault } = await load({ model, format: 'q3' }, prompt);
  assert.equal(fault?.code, 'request');
});
