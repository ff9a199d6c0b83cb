// This engine beside wllama and transformers.js: the same weights, the same browser, one run. See README.md.
//
//     npm run bench:peers [-- --models moe-s --engines ours-gpu,tjs-webgpu --rounds 3 --quick --json FILE]
//     npm run bench:peers -- --growth
//     npm run bench:peers -- --cores

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { build } from '../build.mjs';
import { capture, Failure, program, ROOT, run, say } from '../run.mjs';
import { setup } from '../setup.mjs';
import { chromium } from '../tools.mjs';
import { cores } from './cores.mjs';
import { ENGINES } from './engines.mjs';
import { contexts, CONTEXTS, experts, EXPERTS, growthTable, LONGEST } from './growth.mjs';
import { host } from './host.mjs';
import { bits, model, MODELS, packages, PACKAGES, runtime } from './prepare.mjs';
import { medians, table } from './table.mjs';
import { measure, visit } from './visit.mjs';

const FOUR_BITS = ['moe-s', 'moe-m', 'dense-s'];
const PEERS = [...FOUR_BITS, ...FOUR_BITS.map((name) => `${name}-8`)];

/** @typedef {import('./table.mjs').Result} Result */
/** @typedef {import('./visit.mjs').Prompts} Prompts */
/** @typedef {{engines: string[], rounds: number, samples: number, limit: number, webgpu: true | 'hardware'}} Plan */

/** @param {string} path below the models */
function json(path) {
  return JSON.parse(readFileSync(join(MODELS, path), 'utf8'));
}

/** The part of this machine that was busy with something else for a moment. */
async function busy() {
  const times = () => cpus().map(({ times }) => ({ idle: times.idle, all: Object.values(times).reduce((a, b) => a + b, 0) }));
  /** @param {ReturnType<typeof times>} list @param {'idle' | 'all'} key */
  const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
  const before = times();
  await wait(300);
  const after = times();
  return 1 - (sum(after, 'idle') - sum(before, 'idle')) / Math.max(1, sum(after, 'all') - sum(before, 'all'));
}

/**
 * Every engine on every model, round by round, each time in a fresh browser.
 * @param {string} url of the host
 * @param {string[]} models
 * @param {Plan} plan
 * @returns {Promise<Result[]>}
 */
async function compare(url, models, plan) {
  /** @type {Prompts} */
  const prompts = json('prompts.json');
  /** @type {Result[]} */
  const results = models.flatMap((model) =>
    plan.engines.map((engine) => ({ model, engine, visits: [], busy: [], error: null })),
  );
  for (let round = 1; round <= plan.rounds; round++) {
    for (const result of results.filter(({ error }) => error === null)) {
      const engine = ENGINES[result.engine];
      const options = { base: `/models/${result.model}`, context: 1024, bits: bits(result.model), runtime: runtime(), ...engine.options };
      const start = performance.now();
      result.busy.push(await busy());
      try {
        const golden = json(`${result.model}/golden.json`);
        const how = { ...plan, whole: engine.ours };
        const found = await visit(url, engine, plan.webgpu, (visitor) => measure(visitor, options, prompts, golden, how));
        result.visits.push(found);
        result.error = found.error;
        const { first, pp128, tg64 } = medians({ ...result, visits: [found] });
        const { same, of } = found.golden;
        say(
          `round ${round}: ${result.model} by ${result.engine} on ${found.where}: first token after ${first.toFixed(2)} s, ` +
            `reads ${pp128.toFixed(1)}/s, makes ${tg64.toFixed(1)}/s, ${same} of ${of} golden tokens ` +
            `(${((performance.now() - start) / 1000).toFixed(0)} s)${found.error === null ? '' : `, then failed: ${found.error}`}`,
        );
      } catch (error) {
        result.error = String(error instanceof Error ? error.message : error).split('\n').slice(0, 2).join(' ').slice(0, 300);
        say(`round ${round}: ${result.model} by ${result.engine} failed: ${result.error}`);
      }
    }
  }
  return results;
}

/**
 * This engine's speed for growing contexts and for growing numbers of experts.
 * @param {string} url
 * @param {Plan} plan
 * @param {boolean} quick
 */
async function growth(url, plan, quick) {
  /** @type {Prompts} */
  const prompts = json('prompts.json');
  const engines = plan.engines.filter((name) => ENGINES[name].ours);
  const sizes = quick ? { contexts: CONTEXTS.slice(0, 3), experts: EXPERTS.slice(0, 3) } : { contexts: CONTEXTS, experts: EXPERTS };
  /** @type {Record<'contexts' | 'experts', Record<string, import('./growth.mjs').Point[]>>} */
  const found = { contexts: {}, experts: {} };
  for (const name of engines) {
    const engine = ENGINES[name];
    const options = (/** @type {string} */ model) => ({ base: `/models/${model}`, context: 8320, ...engine.options });
    say(`${name}: growing context`);
    found.contexts[name] = await visit(url, engine, plan.webgpu, async (visitor) => {
      await visitor.load(options(LONGEST));
      return contexts(visitor, prompts, { contexts: sizes.contexts, limit: 4 * plan.limit });
    });
    found.experts[name] = [];
    for (const size of sizes.experts) {
      say(`${name}: ${size} experts`);
      const point = await visit(url, engine, plan.webgpu, async (visitor) => {
        await visitor.load({ ...options(`experts-${size}`), context: 1024 });
        return experts(visitor, prompts, size);
      });
      found.experts[name].push(point);
    }
  }
  console.log(`\nTokens a second at a context of so many tokens (${LONGEST}):\n`);
  console.log(growthTable('context', sizes.contexts, found.contexts));
  console.log('\nTokens a second with so many experts, 4 at work for a token, after a prompt of 128:\n');
  console.log(growthTable('experts', sizes.experts, found.experts));
  return found;
}

/** @param {string} list @param {string[]} known @param {string} what @returns {string[]} */
function names(list, known, what) {
  const chosen = list.split(',');
  for (const name of chosen) {
    if (!known.includes(name)) throw new Failure(`no ${what} is called ${name}; there are ${known.join(', ')}`);
  }
  return chosen;
}

program(import.meta.url, async (args) => {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean', default: false });
  const asked = parseArgs({
    args,
    options: {
      models: text, engines: text, rounds: text, limit: text, json: text,
      quick: flag, growth: flag, cores: flag, hardware: flag, built: flag,
    },
  }).values; // prettier-ignore
  const { quick } = asked;
  /** @type {Plan} */
  const plan = {
    engines: names(asked.engines ?? Object.keys(ENGINES).join(), Object.keys(ENGINES), 'engine'),
    rounds: Number(asked.rounds ?? (quick ? 1 : 3)),
    samples: quick ? 1 : 3,
    limit: Number(asked.limit ?? (quick ? 15 : 30)),
    webgpu: asked.hardware ? 'hardware' : true,
  };
  if (!(plan.rounds >= 1 && plan.limit > 0)) throw new Failure('--rounds and --limit are numbers above 0');
  const models = names(asked.models ?? (quick ? 'moe-s' : FOUR_BITS.join()), PEERS, 'model');

  await setup('npm', 'browser');
  if (asked.cores) {
    const { url, stop } = await host({});
    console.log(await cores(`${url}/`));
    stop();
    return;
  }
  if (!asked.built) {
    await setup('wasm');
    await build();
  }
  await run('cargo', ['build', '--quiet', '-p', 'moebius-cli']);
  if (asked.growth) {
    for (const size of EXPERTS) await model(`experts-${size}`, false);
  } else {
    await packages();
    for (const name of models) await model(name, true);
  }

  const folders = { models: MODELS, npm: PACKAGES, peers: join(ROOT, 'scripts/peers'), www: join(ROOT, 'www') };
  const { url, stop } = await host(folders);
  const machine = {
    when: new Date().toISOString(),
    browser: capture(String(chromium()), ['--version']).out,
    cpu: `${cpus().length} × ${cpus()[0]?.model}`,
    commit: capture('git', ['describe', '--always', '--dirty']).out,
  };
  /** @type {object} */
  let found;
  /** Where this engine is not right. @type {string[]} */
  let wrong = [];
  try {
    if (asked.growth) {
      found = await growth(url, plan, quick);
    } else {
      const results = await compare(url, models, plan);
      console.log(`\n${machine.browser}; ${machine.cpu}; ${machine.commit}. Medians; pp and tg in tokens a second.`);
      for (const model of models) {
        const { parameters, active, bytes } = json(`${model}/sizes.json`);
        const [all, work, read] = [parameters, active, bytes].map((n) => (n / 1e6).toFixed(1));
        console.log(`\n${model}: ${all} million parameters, ${work} at work for a token, ${read} MB of weights a token:\n`);
        console.log(table(model, results));
      }
      const right = (/** @type {Result} */ { engine, visits, error }) =>
        error === null && visits.every(({ golden: { same, of } }) => of - same <= (ENGINES[engine].nearTies ?? 0) * of);
      wrong = results.filter((r) => ENGINES[r.engine].ours && !right(r)).map((r) => `${r.model} by ${r.engine}`);
      found = { results, medians: results.map((result) => ({ model: result.model, engine: result.engine, ...medians(result) })) };
    }
  } finally {
    stop();
  }
  if (asked.json) {
    writeFileSync(asked.json, `${JSON.stringify({ machine, plan, ...found }, null, 1)}\n`);
  }
  if (wrong.length > 0) throw new Failure(`too few golden tokens, or no answer: ${wrong.join(', ')}`);
});
