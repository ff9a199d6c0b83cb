// One visit: a fresh browser opens a page with one engine and one model, checks what it says, and times it.

import { launchPlain } from '../../tests/browser/harness.js';

/** @typedef {import('./drive.mjs').Prompt} Prompt */
/** @typedef {import('./drive.mjs').Run} Run */
/** @typedef {import('./engines.mjs').Engine} Engine */
/** @typedef {{tokens: number[], pieces: string[], margin: number}} Golden */
/** @typedef {Record<'128' | '512' | 'long', Prompt[]>} Prompts */

/**
 * What a visit found: times in milliseconds, every sample.
 * @typedef {object} Samples
 * @property {string} where the engine ran, in its own words
 * @property {number[]} load
 * @property {number[]} first up to the first token after a prompt of 128, as the page sees it
 * @property {{tokens: number, ms: number}[]} pp128
 * @property {{tokens: number, ms: number}[]} pp512
 * @property {{tokens: number, ms: number}[]} tg
 * @property {{same: number, of: number, said: number[] | string}} golden how many tokens are the golden ones, and all that was
 *   said: see `agreement`
 * @property {number | null} launches of kernels for a token, on a GPU
 * @property {string[]} cut what would have taken too long
 * @property {string | null} error what ended the visit before its time
 */

/** Steps that are timed; the few are for engines that would need longer than the limit for all. */
export const STEPS = 64;
const FEW = 8;
/** A call that takes longer is given up. */
const PATIENCE_MS = 600_000;

/**
 * A page with an engine in it.
 * @typedef {object} Visitor
 * @property {(options: object) => Promise<import('./drive.mjs').Loaded>} load
 * @property {(prompt: Prompt, steps: number) => Promise<Run>} run
 * @property {(prompt: Prompt) => Promise<number | null>} launches
 */

/**
 * Opens an engine in a fresh browser with a profile of its own, and closes it after `act`.
 * @template T
 * @param {string} url of the host
 * @param {Engine} engine
 * @param {boolean | 'hardware'} webgpu
 * @param {(visitor: Visitor) => Promise<T>} act
 */
export async function visit(url, engine, webgpu, act) {
  const browser = await launchPlain({ webgpu });
  try {
    const page = await browser.newPage();
    await page.goto(`${url}/`);
    await page.evaluate(
      async ({ driver, worker }) => {
        const path = '/peers/drive.mjs';
        const { open, openInWorker } = await import(path);
        Object.assign(globalThis, { peer: await (worker ? openInWorker : open)(driver) });
      },
      { driver: `/peers/drivers/${engine.driver}`, worker: engine.worker },
    );
    /** @param {'load' | 'run' | 'dispose'} name @param {any[]} args @returns {Promise<any>} */
    const call = (name, ...args) => {
      const called = page.evaluate(
        ({ name, args }) => /** @type {any} */ (globalThis).peer[name](...args),
        { name, args },
      );
      return within(called, name);
    };
    const run = async (/** @type {Prompt} */ prompt, /** @type {number} */ steps) => call('run', prompt, steps);
    const launches = async (/** @type {Prompt} */ prompt) => {
      if (engine.kind !== 'webgpu') return null;
      const count = async () => {
        const counts = [await page.evaluate(counted)];
        // Not the workers of a pool of threads: they may be asleep for good.
        const drivers = page.workers().filter((worker) => /\/worker\.m?js$/.test(worker.url()));
        for (const worker of drivers) counts.push(await within(worker.evaluate(counted), 'counting launches'));
        return counts.reduce((a, b) => a + b, 0);
      };
      const short = { ids: prompt.ids.slice(0, 8), text: '' };
      const counts = [await count()];
      for (const steps of [1, 3]) {
        await run({ ...short, ids: [...short.ids].reverse().slice(steps) }, steps);
        counts.push(await count());
      }
      const [before = 0, one = 0, three = 0] = counts;
      return (three - one - (one - before)) / 2;
    };
    const result = await act({ load: (options) => call('load', options), run, launches });
    await call('dispose').catch(() => {}); // what is measured is measured
    return result;
  } finally {
    await browser.close();
  }
}

/** Runs in pages and workers: how many dispatches this thread has encoded since it was first asked. */
function counted() {
  const scope = /** @type {any} */ (globalThis);
  if (scope.dispatches === undefined && scope.GPUComputePassEncoder) {
    scope.dispatches = 0;
    for (const name of ['dispatchWorkgroups', 'dispatchWorkgroupsIndirect']) {
      const plain = scope.GPUComputePassEncoder.prototype[name];
      scope.GPUComputePassEncoder.prototype[name] = function (/** @type {any[]} */ ...args) {
        scope.dispatches += 1;
        return plain.apply(this, args);
      };
    }
  }
  return Number(scope.dispatches ?? 0);
}

/** @template T @param {Promise<T>} promise @param {string} what @returns {Promise<T>} */
async function within(promise, what) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Every cell of the table for one engine and model.
 * @param {Visitor} visitor
 * @param {object} options of the driver
 * @param {Prompts} prompts
 * @param {Golden} golden
 * @param {{samples: number, limit: number, whole: boolean}} plan samples a cell, seconds that one cell may take, and whether
 *   all golden tokens are checked however long that takes
 * @returns {Promise<Samples>}
 */
export async function measure(visitor, options, prompts, golden, { samples, limit, whole }) {
  const { loadMs, where } = await visitor.load(options);
  const [checked, ...others] = /** @type {[Prompt, ...Prompt[]]} */ (prompts[128]);
  const run = async (/** @type {Prompt} */ prompt, /** @type {number} */ steps) => {
    const done = await visitor.run(prompt, steps);
    if (done.cached > 0 || done.read !== prompt.ids.length || !(done.steps === steps)) {
      throw new Error(`asked to read ${prompt.ids.length} and make ${steps}, it did ${done.read} and ${done.steps}`);
    }
    return done;
  };
  /** @type {Samples} */
  const found = {
    where,
    load: [loadMs],
    first: [],
    pp128: [],
    pp512: [],
    tg: [],
    golden: { same: 0, of: 0, said: [] },
    launches: null,
    cut: [],
    error: null,
  };

  try {
    // The first run compiles what is compiled on first use; it also tells how long the others will take.
    const warm = await run(/** @type {Prompt} */ (others.shift()), 4);
    const steps = !whole && (STEPS * warm.stepsMs) / 4 > limit * 1000 ? FEW : STEPS;

    /** @param {(nth: number) => Promise<void>} sample */
    const cell = async (sample) => {
      const start = performance.now();
      for (let i = 0; i < samples && (i === 0 || performance.now() - start < limit * 1000); i++) await sample(i);
    };
    await cell(async () => {
      const done = await run(/** @type {Prompt} */ (others.shift()), 0);
      found.first.push(done.wallMs);
      found.pp128.push({ tokens: done.read, ms: done.promptMs });
    });
    await cell(async (nth) => {
      const done = await run(nth === 0 ? checked : /** @type {Prompt} */ (others.shift()), steps);
      if (nth === 0) found.golden = await agreement(done, checked, golden, (prompt, steps) => visitor.run(prompt, steps));
      found.tg.push({ tokens: done.steps, ms: done.stepsMs });
    });
    if (warm.promptMs * 4 > limit * 1000) {
      found.cut.push('pp512');
    } else {
      await cell(async (nth) => {
        const done = await run(/** @type {Prompt} */ (prompts[512][nth]), 0);
        found.pp512.push({ tokens: done.read, ms: done.promptMs });
      });
    }
    found.launches = await visitor.launches(checked);
  } catch (error) {
    found.error = String(error instanceof Error ? error.message : error).split('\n')[0].slice(0, 300);
  }
  return found;
}

/** After so many differences an engine is not asked again. */
const DIFFERENCES = 4;

/**
 * How many tokens are golden where what came before them is: after a difference the engine goes on from the golden tokens so far, so
 * that one near tie that falls the other way does not count for all that follows it. Text is only compared up to the first difference,
 * and counts as the tokens whose pieces it begins with.
 * @param {Run} done
 * @param {Prompt} prompt
 * @param {Golden} golden
 * @param {(prompt: Prompt, steps: number) => Promise<Run>} run
 */
async function agreement({ tokens, text, steps }, prompt, golden, run) {
  const of = Math.min(steps + 1, golden.tokens.length);
  const said = tokens ?? text ?? '';
  let same = 0;
  if (typeof said === 'string') {
    let at = 0;
    while (same < of && said.startsWith(golden.pieces[same] ?? '', at)) at += golden.pieces[same++]?.length ?? 0;
    return { same, of, said };
  }
  let [at, heard] = [0, said];
  for (let asked = 0; ; asked++) {
    const agreed = heard.findIndex((token, i) => token !== golden.tokens[at + i]);
    const right = agreed < 0 ? heard.length : agreed;
    same += Math.min(right, of - at);
    at += right + 1;
    if (agreed < 0 || at >= of || asked === DIFFERENCES) return { same, of, said };
    const ids = [...prompt.ids, ...golden.tokens.slice(0, at)];
    heard = (await run({ ...prompt, ids }, of - at - 1)).tokens ?? [];
  }
}
