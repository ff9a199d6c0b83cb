// wllama 2: its own binding to llama.cpp, 32-bit wasm without WebGPU. A callback a token gives the times.

/** @typedef {import('../drive.mjs').Prompt} Prompt */

export default class {
  /** @type {any} */ #wllama;

  /** @param {{base: string, threads: number}} options */
  async load({ base, threads }) {
    const at = '/npm/wllama2/esm';
    const path = `${at}/index.js`;
    const { Wllama, LoggerWithoutDebug } = await import(path);
    const files = ['single-thread/wllama.wasm', 'multi-thread/wllama.wasm'];
    const wasm = Object.fromEntries(files.map((file) => [file, `${at}/${file}`]));
    this.#wllama = new Wllama(wasm, { suppressNativeLog: true, logger: LoggerWithoutDebug });
    const file = await (await fetch(`${base}/model.gguf`)).blob();
    await this.#wllama.loadModel([file], { n_ctx: 1024, n_threads: threads, n_batch: 512 });
    if (this.#wllama.isMultithread() !== threads > 1) throw new Error(`does not run on ${threads} threads`);
    return `CPU, ${threads} threads`;
  }

  /** @param {Prompt} prompt @param {number} steps after the first token */
  async run({ ids, text }, steps) {
    /** @type {number[]} */
    const at = [];
    /** @type {number[]} */
    const tokens = [];
    await this.#wllama.kvClear();
    const start = performance.now();
    await this.#wllama.createCompletion(text, {
      nPredict: steps + 1,
      sampling: { temp: 0, top_k: 1 },
      useCache: false,
      onNewToken: (/** @type {number} */ token) => {
        at.push(performance.now());
        tokens.push(token);
      },
    });
    const [first = NaN] = at;
    const stepsMs = (at.at(-1) ?? NaN) - first;
    return { cached: 0, read: ids.length, promptMs: first - start, steps: at.length - 1, stepsMs, tokens };
  }

  async dispose() {
    await this.#wllama.exit();
  }
}
