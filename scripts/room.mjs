// What half of the experts' room costs in Chromium: `npm run bench:room -- MODEL`, a packed folder inside the repository, by default the one
// that it comes with.
//
//     npm run bench:room -- target/moe --share 0.5 --rounds 30 --text tests/fixtures/heldout.txt
//
// In a page that is isolated, and in one that is not, an engine with room for some of them reads the text token by token, and says how many
// of the experts that it wants are on the device when they are wanted. Then it makes tokens after pieces of the text, in turns with an engine
// that has room for all: what else the machine does slows both.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { launchPlain, serve } from '../tests/browser/harness.js';
import { host } from '../tests/browser/host.js';
import { median } from './peers/table.mjs';
import { program, ROOT, say } from './run.mjs';

/** Tokens of the text that are read one after another, and, of a reply, those before it and in it. */
const TOKENS = { text: 600, before: 32, made: 64 };

/**
 * A visit: loads a model twice, with room for all and with less, and asks when as much is there as finds room.
 * @param {{model: string, budget: number, text: string, tokens: typeof TOKENS, rounds: number}} visit
 */
async function visit({ model, budget, text, tokens, rounds }) {
  const { createEngine } = await import(/** @type {any} */ ('/www/engine.js'));
  const load = async (/** @type {object} */ options) => {
    const engine = await createEngine({ device: 'cpu', ...options });
    while (engine.info.streamed) await new Promise((resolve) => setTimeout(resolve, 20));
    return engine;
  };
  const all = await load({ model });
  // Under another name, so that each has a loader and a store of its own.
  const some = await load({ model: `/%${model.charCodeAt(1).toString(16)}${model.slice(2)}`, budget });
  /** @type {number[]} */
  const ids = await all.tokenize(text);
  const ask = (/** @type {any} */ engine, /** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ max_tokens) =>
    engine.completions.create({ prompt: ids.slice(at, at + length), max_tokens, temperature: 0, ignore_eos: true });
  /** How many of the experts that `work` wants are there. @param {() => Promise<void>} work */
  const found = async (work) => {
    const before = await some.experts();
    await work();
    const { hits, misses } = await some.experts();
    return (hits - before.hits) / (hits + misses - before.hits - before.misses);
  };
  // Everything has been read once after that.
  for (let at = 0; at < 2048; at += 256) await ask(some, at, 256, 1);
  await ask(some, 2048, 1, 1);
  const read = await found(async () => {
    for (let n = 2; n <= tokens.text; n++) await ask(some, 2048, n, 1);
  });
  /** @type {number[][]} */
  const rates = [[], []];
  const made = await found(async () => {
    for (let i = 0; i < rounds; i++) {
      for (const [which, engine] of [all, some].entries()) {
        const { timings } = await ask(engine, 2048 + 60 * i, tokens.before, tokens.made);
        rates[which].push(timings.predicted_per_second);
      }
    }
  });
  return { read, made, rates, name: some.info.device.name };
}

program(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      share: { type: 'string', default: '0.5' },
      rounds: { type: 'string', default: '30' },
      text: { type: 'string', default: 'tests/fixtures/heldout.txt' },
    },
  });
  const folder = (positionals[0] ?? 'www/model').replace(/^\.\/|\/$/g, '');
  const { experts } = JSON.parse(readFileSync(join(ROOT, folder, 'moebius.json'), 'utf8'));
  const { n_routed_experts, num_experts, num_local_experts } = JSON.parse(readFileSync(join(ROOT, folder, 'config.json'), 'utf8'));
  const routed = n_routed_experts ?? num_experts ?? num_local_experts;
  let budget = 0;
  for (const { records } of /** @type {{records: number[][]}[]} */ (Object.values(experts))) {
    budget += (Number(values.share) * routed + records.length - routed) * (records[1][1] - records[0][1]);
  }
  const text = readFileSync(join(ROOT, values.text), 'utf8');
  const sites = { isolated: await serve(), 'not isolated': await host() };
  const browser = await launchPlain({ webgpu: false });
  try {
    for (const [what, site] of Object.entries(sites)) {
      const page = await browser.newPage();
      await page.goto(`${site.url}www/bench.html`);
      const { read, made, rates, name } = await page.evaluate(visit, { model: `/${folder}/`, budget, text, tokens: TOKENS, rounds: Number(values.rounds) });
      await page.close();
      const [all, some] = rates.map(median);
      const ratio = median(rates[0].map((rate, i) => rates[1][i] / rate));
      // With room for all nobody counts.
      const percent = (/** @type {number} */ share) => (Number.isNaN(share) ? 'all' : `${(100 * share).toFixed(1)} %`);
      say(
        `${what} (${name}): ${percent(read)} of the experts that the text wants are there, ${percent(made)} while tokens are made; ` +
          `${some.toFixed(0)} tokens a second, ${all.toFixed(0)} with room for all, ${percent(ratio)} of a pair`,
      );
    }
  } finally {
    await browser.close();
    for (const site of Object.values(sites)) await site.stop();
  }
});
