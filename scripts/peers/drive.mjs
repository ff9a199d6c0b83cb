// The page's side of a visit: opens an engine's driver, in the page or in a worker, and times what it does.

/** A prompt as ids, and as text that the models' tokenizer turns into these ids. @typedef {{ids: number[], text: string}} Prompt */

/**
 * What a run took. `promptMs` is up to the first token, `stepsMs` from it to the last; a driver whose engine hides that
 * moment passes on the engine's own times. `wallMs` is the whole call as the page sees it.
 * @typedef {{cached: number, read: number, promptMs: number, steps: number, stepsMs: number, wallMs: number,
 *   tokens?: number[], text?: string}} Run
 */

/**
 * An engine as it is measured; files of drivers/ export one each.
 * @typedef {object} Driver
 * @property {(options: any) => Promise<string>} load makes it ready for a first token; says where it runs
 * @property {(prompt: Prompt, steps: number) => Promise<Omit<Run, 'wallMs'>>} run from an empty context, greedily: a first token
 *   and `steps` more
 * @property {() => Promise<void>} dispose
 */

/** @typedef {{loadMs: number, where: string}} Loaded */

/**
 * What can be asked of an open driver.
 * @typedef {object} Acts
 * @property {(options: any) => Promise<Loaded>} load
 * @property {(prompt: Prompt, steps: number) => Promise<Run>} run
 * @property {() => Promise<void>} dispose
 */

/** @param {string} path of a driver @returns {Promise<Acts>} */
export async function open(path) {
  /** @type {Driver} */
  const driver = new (await import(path)).default();
  return {
    load: async (options) => {
      const start = performance.now();
      const where = await driver.load(options);
      return { loadMs: performance.now() - start, where };
    },
    run: async (prompt, steps) => {
      const start = performance.now();
      const done = await driver.run(prompt, steps);
      return { ...done, wallMs: performance.now() - start };
    },
    dispose: () => driver.dispose(),
  };
}

/**
 * The same in a worker: for engines that compute on the thread they are called on.
 * @param {string} path of a driver
 * @returns {Promise<Acts>}
 */
export async function openInWorker(path) {
  const worker = new Worker('/peers/worker.mjs', { type: 'module' });
  const call = (/** @type {string} */ act, /** @type {any[]} */ args) =>
    new Promise((/** @type {(value: any) => void} */ resolve, reject) => {
      worker.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.value));
      worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
      worker.postMessage({ act, args });
    });
  await call('open', [path]);
  return {
    load: (options) => call('load', [options]),
    run: (prompt, steps) => call('run', [prompt, steps]),
    dispose: () => call('dispose', []),
  };
}
