// What a first word takes: `npm run bench:first -- MODEL`, a packed folder inside the repository, by default the one that it comes with.
//
//     npm run bench:first -- target/moe --rate 40 --rounds 3 --lengths 8,32,128
//
// Each round is a visit by a browser that has nothing, over a line of so many megabytes a second: how long the first token takes from
// the moment that the engine is made, and how long that is beside what the line needs for its bytes and what computing does.

import { parseArgs } from 'node:util';

import { launch, open } from '../tests/browser/harness.js';
import { line } from '../tests/browser/line.js';
import { median } from './peers/table.mjs';
import { program, say } from './run.mjs';

/**
 * Makes an engine and asks at once; then, all being there, asks the same once more.
 * @param {{model: string, length: number, round: number, whole: boolean}} visit
 */
async function visit({ model, length, round, whole }) {
  const { createEngine } = await import(/** @type {any} */ ('/www/engine.js'));
  const began = Date.now();
  const engine = await createEngine({ model, device: 'cpu', stream: !whole });
  const ready = Date.now();
  // Ids over the whole vocabulary.
  const prompt = Array.from({ length }, (_, i) => ((round * 131 + i) * 7919) % 4000);
  const ask = async () => {
    const { timings } = await engine.completions.create({ prompt, max_tokens: 1, temperature: 0, ignore_eos: true });
    return timings.prompt_ms;
  };
  await ask();
  return { began, ready, first: Date.now(), again: whole ? await (await engine.completions.create({ prompt: [1], max_tokens: 1 }), ask()) : 0 };
}

program(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rate: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
      lengths: { type: 'string', default: '8,32,128' },
    },
  });
  const folder = (positionals[0] ?? 'www/model').replace(/^\.\/|\/$/g, '');
  const rate = 1e6 * Number(values.rate);
  const site = await line(new RegExp(`^/${folder}/`));
  const browser = await launch({ webgpu: false });
  try {
    for (const length of values.lengths.split(',').map(Number)) {
      /** @type {Record<'took' | 'ready' | 'bytes' | 'transfer' | 'again' | 'ratio', number>[]} */
      const rows = [];
      for (let round = 0; round < Number(values.rounds); round++) {
        /** @param {boolean} whole */
        const once = async (whole) => {
          const page = await open(browser);
          await page.goto(`${site.url}blank`);
          site.log.length = 0;
          const seen = await page.evaluate(visit, { model: `/${folder}/`, length, round, whole });
          const bytes = site.bytes(seen.first);
          await page.context().close();
          return { ...seen, bytes };
        };
        site.rate = rate;
        const { began, ready, first, bytes } = await once(false);
        site.rate = Infinity;
        const { again } = await once(true);
        const transfer = (1000 * bytes) / rate;
        rows.push({ took: first - began, ready: ready - began, bytes, transfer, again, ratio: (first - began) / Math.max(transfer, again) });
      }
      const of = (/** @type {keyof typeof rows[number]} */ key) => median(rows.map((row) => row[key]));
      say(
        `${length} tokens: the first word after ${of('took').toFixed(0)} ms (it can answer after ${of('ready').toFixed(0)}), ${(of('bytes') / 1e6).toFixed(1)} MB, ` +
          `which take ${of('transfer').toFixed(0)} ms of the line; computing takes ${of('again').toFixed(0)} ms; ${of('ratio').toFixed(2)} times the longer one`,
      );
    }
  } finally {
    await browser.close();
    await site.stop();
  }
});
