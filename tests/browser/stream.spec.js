// A model that answers before it is all there: what the first word takes, the same answers as of a model that is whole, little room, a
// host that is slow, silent or away.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';

import { ROOT, TARGET } from '../../scripts/run.mjs';
import { launch, open } from './harness.js';
import { line } from './line.js';

const MODEL = 'www/model/';
/** Requests that are under way at once, at most. */
const LANES = 6;
const manifest = JSON.parse(readFileSync(join(ROOT, MODEL, 'moebius.json'), 'utf8'));
/** Files of the model, and bytes of an expert. */
const files = [...manifest.files, ...manifest.shards];
const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
const tables = /** @type {{records: number[][], hidden: number, width: number}[]} */ (Object.values(manifest.experts));
const [, first] = tables[0].records[0];
const record = tables[0].records[1][1] - first;
/** Experts of a layer that are routed: the last one is shared. */
const routed = tables[0].records.length - 1;
/** Whether a request is for a routed expert. */
const expert = (/** @type {import('./line.js').Asked} */ { path, start, end }) => {
  const shard = manifest.shards.findIndex((/** @type {{name: string}} */ { name }) => path.endsWith(name));
  const at = (/** @type {number[]} */ [of, begin]) => of === shard && start < begin + record && begin < end;
  return tables.some(({ records }) => records.slice(0, routed).some(at));
};

/** @type {Awaited<ReturnType<typeof line>>} */
let site;
/** @type {Record<'cpu' | 'gpu', Awaited<ReturnType<typeof launch>>>} */
let browsers;
before(async () => {
  site = await line(/^\/(www\/model|target\/prefix)\//);
  browsers = { cpu: await launch({ webgpu: false }), gpu: await launch() };
});
after(async () => {
  await browsers?.cpu.close();
  await browsers?.gpu.close();
  await site?.stop();
});
/** @type {Awaited<ReturnType<typeof open>>} */
let page;
/** Token ids of a text, cut into prompts. Whichever test comes first has its engine make them. @type {number[]} */
let ids = [];
afterEach(async () => {
  site.release();
  site.lacks = () => false;
  site.rate = Infinity;
  await page?.context().close();
});

/**
 * A page with an engine in `window.engine`, and the progress it was told of in `window.told`.
 * @param {'cpu' | 'gpu'} device
 * @param {object} [options] of the engine
 * @param {number[]} [prompt] what is asked the moment it can answer, for a single token
 */
async function start(device, options = {}, prompt = /** @type {number[]} */ ([])) {
  page = await open(browsers[device]);
  await page.goto(`${site.url}blank`);
  site.log.length = 0;
  const started = await page.evaluate(
    async ({ path, prompt, ...options }) => {
      const { createEngine } = await import(path);
      /** @type {any[]} */
      const told = [];
      const began = Date.now();
      const engine = await createEngine({ ...options, onProgress: (/** @type {any} */ progress) => told.push(progress) });
      Object.assign(window, { engine, told });
      const [ready, info] = [Date.now(), engine.info];
      if (prompt.length > 0) await engine.completions.create({ prompt, max_tokens: 1, temperature: 0, ignore_eos: true });
      return { began, ready, info };
    },
    { path: '/www/engine.js', prompt, model: `/${MODEL}`, device, ...options },
  );
  if (ids.length === 0) {
    const text = readFileSync(join(ROOT, 'tests/fixtures/heldout.txt'), 'utf8').slice(0, 4000);
    ids = await page.evaluate((text) => /** @type {any} */ (window).engine.tokenize(text), text);
  }
  return started;
}

/**
 * Asks for a reply, token by token.
 * @param {number[]} prompt
 * @param {number} tokens
 * @param {object} [more]
 */
function reply(prompt, tokens, more = {}) {
  return page.evaluate(
    async (body) => {
      const { engine } = /** @type {{engine: import('../../www/engine.js').Engine}} */ (/** @type {any} */ (window));
      let [first, code] = [0, ''];
      const /** @type {string[]} */ texts = [], /** @type {number[][][]} */ routing = [];
      try {
        for await (const { choices } of engine.completions.create({ ...body, stream: true })) {
          first ||= Date.now();
          texts.push(choices[0].text);
          routing.push(...(choices[0].routing ?? []));
        }
      } catch (error) {
        code = /** @type {{code: string}} */ (error).code;
      }
      const map = await engine.experts();
      return {
        ...{ code, first, last: Date.now(), routing, text: texts.join('') },
        map: { ...map, where: Array.from(map.where), uses: Array.from(map.uses) },
        info: engine.info,
      };
    },
    { prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, ...more },
  );
}

/** What is known of the experts. @returns {Promise<{layers: number, experts: number, active: number, where: number[], uses: number[]}>} */
function experts() {
  return page.evaluate(async () => {
    const map = await /** @type {any} */ (window).engine.experts();
    return { ...map, where: Array.from(map.where), uses: Array.from(map.uses) };
  });
}

/** Waits until everything is there, and says what progress was told last. */
async function arrives() {
  await page.waitForFunction(() => /** @type {any} */ (window).engine.info?.streamed === false, null, { timeout: 60_000 });
  return page.evaluate(() => /** @type {any} */ (window).told.at(-1));
}

test('a first word takes what every token reads and the experts that it touches', async () => {
  await start('cpu');
  for (const length of [8, 32, 128, 160]) {
    await page.context().close();
    const { ready, info } = await start('cpu', {}, ids.slice(0, length));
    assert.equal(info.streamed, true);
    // The trunk's shard, the small files and each layer's shared expert, some of which may be asked for once the engine is ready.
    const small = total - manifest.shards[1].bytes + readFileSync(join(ROOT, MODEL, 'moebius.json')).length;
    const trunk = small + tables.length * record;
    assert.ok(site.bytes(ready) <= 1.02 * trunk, `${site.bytes(ready)} of ${trunk}`);
    const map = await experts();
    const touched = map.uses.filter((uses) => uses > 0).length * record;
    // All that was asked for until the last of what the word needs was.
    const needs = (/** @type {import('./line.js').Asked} */ { path, start, end }) =>
      tables.some(({ records }, layer) =>
        records.slice(0, routed).some(([of, begin], i) => {
          const here = path.endsWith(manifest.shards[of].name) && start < begin + record && begin < end;
          return here && map.uses[layer * routed + i] > 0;
        }),
      );
    const got = site.log.slice(0, site.log.findLastIndex(needs) + 1).reduce((sum, { start, end }) => sum + end - start, 0);
    assert.ok(got <= 1.02 * (trunk + touched), `${got} bytes, ${trunk} + ${touched}`);
    console.log(`${length} tokens: first word after ${((100 * got) / total).toFixed(1)} % of the model`);
    assert.equal(map.layers, tables.length);
    assert.equal(map.experts, routed);
    assert.equal(map.where.length, map.layers * map.experts);
    assert.ok(map.uses.every((uses, i) => uses === 0 || map.where[i] === 2), 'what was used is there');
    // In the last layer a prompt's last token alone chooses.
    assert.equal(map.uses.reduce((a, b) => a + b), (length * (map.layers - 1) + 1) * map.active);
    const { loaded, total: all } = await arrives();
    assert.equal(loaded, all);
    assert.ok((await experts()).where.every((where) => where === 2));
  }
});

for (const [device, tokens] of /** @type {['cpu' | 'gpu', number][]} */ ([['cpu', 48], ['gpu', 6]])) {
  describe(`on the ${device}`, () => {
    const prompt = () => ids.slice(300, 312);
    /** @type {any} */
    let whole;
    /** Bits of the logits after the prompt. */
    const logits = () =>
      page.evaluate(async (prompt) => Array.from(await /** @type {any} */ (window).engine.logits(prompt)), prompt());

    test('a model that is whole before it answers', async () => {
      const { info } = await start(device, { stream: false });
      assert.equal(info.streamed, false);
      const { text, map, routing } = await reply(prompt(), tokens, { routing: true });
      whole = { text, routing, logits: await logits() };
      // A row of experts for each layer of each token.
      assert.deepEqual([routing.length, routing[0].length, routing[0][0].length], [tokens, tables.length, map.active]);
      assert.ok(map.where.every((/** @type {number} */ where) => where === 2));
      assert.equal(map.misses, 0);
      // Of what was read back with the tokens.
      assert.equal(map.uses.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b), routing.flat(2).length);
    });

    test('answers the same while it arrives over a slow line, and before it is all there', async () => {
      const rate = 4e6;
      site.rate = rate;
      const { began } = await start(device);
      const streamed = await reply(prompt(), tokens, { routing: true });
      assert.deepEqual({ text: streamed.text, routing: streamed.routing }, { text: whole.text, routing: whole.routing });
      assert.deepEqual(await logits(), whole.logits);
      const transfer = (1000 * site.bytes(streamed.first)) / rate;
      console.log(`${device}: first word after ${streamed.first - began} ms, its bytes took ${transfer.toFixed(0)} ms of the line`);
      site.rate = Infinity;
      const { loaded, total: all } = await arrives();
      assert.equal(loaded, all);
      const again = await reply(prompt(), tokens, { routing: true });
      assert.deepEqual({ text: again.text, routing: again.routing }, { text: whole.text, routing: whole.routing });
      const bytes = site.bytes();
      await reply(prompt(), tokens);
      assert.equal(site.bytes(), bytes, 'what is there is not asked for again');
    });

    test('answers the same with room for half of its experts', async () => {
      const budget = (tables.length * (routed / 2 + 1)) * record;
      await start(device, { budget });
      const { text, routing } = await reply(prompt(), tokens, { routing: true });
      assert.deepEqual({ text, routing }, { text: whole.text, routing: whole.routing });
      await arrives();
      const { map, text: again } = await reply(prompt(), tokens);
      assert.equal(again, whole.text);
      assert.equal(map.where.filter((/** @type {number} */ where) => where === 2).length, (tables.length * routed) / 2);
      assert.ok(map.misses > 0 && map.hits > map.misses, `${map.hits} found, ${map.misses} not`);
      // Some had to make room, and the browser keeps them.
      const places = [0, 1, 2].map((place) => map.where.filter((/** @type {number} */ where) => where === place).length);
      assert.ok(places[1] > 0, `${places} elsewhere, kept, on the device`);
      const bytes = site.bytes();
      await reply(prompt(), tokens);
      assert.equal(site.bytes(), bytes, 'what is kept is not asked of the host');
      if (device === 'gpu') return;
      // On the CPU what is foreseen is read at once: no turn of an event loop comes between. Once all was read, that is.
      const counts = async () => (({ hits, misses }) => ({ hits, misses }))(await page.evaluate(() => /** @type {any} */ (window).engine.experts()));
      await reply(ids.slice(0, 256), 1);
      const before = await counts();
      for (let n = 1; n <= 160; n++) await reply(ids.slice(256, 256 + n), 1);
      const now = await counts();
      const [hits, misses] = [now.hits - before.hits, now.misses - before.misses];
      console.log(`${hits} of ${hits + misses} experts that a text wants are there when it wants them`);
      assert.ok(hits > 0.9 * (hits + misses), `${hits} found, ${misses} not`);
      // Removed while its files are open, it goes on to answer, and asks the host again.
      const left = await page.evaluate(async () => {
        const store = await import(/** @type {any} */ ('/www/store.js'));
        await store.clear();
        return store.list();
      });
      assert.deepEqual(left, []);
      assert.equal((await reply(prompt(), tokens)).text, whole.text);
      assert.ok(site.bytes() > bytes);
    });
  });
}

test('a system prompt that the pack has computed takes fewer bytes, and is the one that the page has', async () => {
  const [plain, packed] = [MODEL, 'target/prefix/'];
  const system = 'You are a friendly assistant. You answer questions about everyday life in one or two short sentences.';
  rmSync(join(ROOT, packed), { recursive: true, force: true });
  writeFileSync(join(ROOT, 'target/system.txt'), `${system}\n`);
  execFileSync(join(TARGET, 'debug/moebius'), ['pack', join(ROOT, plain), '--out', join(ROOT, packed), '--system', join(ROOT, 'target/system.txt')]);
  const messages = [{ role: 'system', content: system }, { role: 'user', content: 'Hi!' }];
  const replies = [];
  for (const [device, model] of /** @type {const} */ ([['cpu', plain], ['cpu', packed], ['gpu', packed]])) {
    await page?.context().close();
    await start(device, { model: `/${model}` });
    const asked = await page.evaluate(async (messages) => {
      const { engine } = /** @type {{engine: import('../../www/engine.js').Engine}} */ (/** @type {any} */ (window));
      const ask = (/** @type {number} */ max_tokens) => engine.chat.completions.create({ messages, max_tokens, temperature: 0, ignore_eos: true });
      const { usage } = await ask(1);
      const first = Date.now();
      const { choices } = await ask(12);
      return { first, cached: usage.prompt_tokens_details.cached_tokens, text: choices[0].message.content, system: engine.info?.system };
    }, messages);
    replies.push({ ...asked, bytes: site.bytes(asked.first) });
  }
  const [want, got, other] = replies;
  assert.deepEqual([want.system, got.system, want.cached], ['', system, 0]);
  assert.deepEqual([got.text, other.text, other.cached], [want.text, want.text, got.cached]);
  assert.ok(got.cached > 20 && got.bytes < 0.9 * want.bytes, `${got.bytes} of ${want.bytes} bytes`);
  console.log(`first word of a chat after ${want.bytes} bytes, with its system prompt computed after ${got.bytes}`);
});

describe('a host that does not send experts', () => {
  const prompt = () => ids.slice(300, 312);
  /** Experts that were not there when they were wanted, so far. @returns {Promise<number>} */
  const misses = () => page.evaluate(async () => (await /** @type {any} */ (window).engine.experts()).misses);
  /** Asks for a reply until it is told to stop, and says what it failed with. @returns {Promise<string>} */
  const stoppable = () =>
    page.evaluate(async (prompt) => {
      const { engine } = /** @type {any} */ (window);
      const stop = new AbortController();
      const asked = engine.completions.create({ prompt, max_tokens: 4, temperature: 0 }, { signal: stop.signal });
      Object.assign(window, { stop });
      return asked.then(() => '', (/** @type {{code: string}} */ error) => error.code);
    }, prompt());
  const stop = () => page.evaluate(() => /** @type {any} */ (window).stop.abort());

  test('holds up the reply that wants them, which can be stopped, and another is right once it sends', async () => {
    site.holds = expert;
    await start('cpu');
    const stopped = stoppable();
    while (site.held() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    // Beside a reply that waits.
    assert.ok((await misses()) > 0);
    await stop();
    assert.equal(await stopped, 'aborted');
    const next = reply(prompt(), 12);
    site.release();
    const { code, text } = await next;
    assert.equal(code, '');
    await arrives();
    assert.equal((await reply(prompt(), 12)).text, text);
  });

  test('fails the reply that wants them with its name, and no other; when it sends again, all arrives', async () => {
    site.lacks = expert;
    await start('cpu');
    assert.equal((await reply(prompt(), 4)).code, 'file');
    assert.equal((await reply(prompt(), 4)).code, 'file', 'and once more');
    site.lacks = () => false;
    const { code, text } = await reply(prompt(), 12);
    assert.equal(code, '');
    // Those that the text has are there: nothing else is missed.
    site.lacks = expert;
    assert.deepEqual((({ code, text }) => ({ code, text }))(await reply(prompt(), 12)), { code: '', text });
    site.lacks = () => false;
    await arrives();
  });

  test('fails nobody who asks once it sends, though it answers late that it lacked what was asked for before', async () => {
    site.lacks = site.holds = expert;
    await start('cpu');
    const first = stoppable();
    while (site.held() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await stop();
    assert.equal(await first, 'aborted');
    site.lacks = () => false;
    const before = await misses();
    const next = reply(prompt(), 12);
    while ((await misses()) === before) await new Promise((resolve) => setTimeout(resolve, 20));
    site.release();
    assert.equal((await next).code, '');
    await arrives();
  });

  test('is asked for nothing more once the engine is unloaded', async () => {
    site.holds = expert;
    await start('cpu');
    while (site.held() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await page.evaluate(() => /** @type {any} */ (window).engine.unload());
    site.release();
    const asked = site.log.length;
    // What was under way may still arrive, a request on each of its lanes. Then there is silence.
    let last = -1;
    while (last < site.log.length) {
      last = site.log.length;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    assert.ok(last <= asked + LANES, `${last - asked} requests after it was unloaded`);
    assert.ok(site.bytes() < total, 'and not all was asked for');
  });
});
