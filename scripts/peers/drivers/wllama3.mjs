// wllama 3: llama.cpp's server in wasm. It answers in text, and says itself when the prompt was read.
//
// Prompts go in as text: ids as a prompt end its worker (3.8.1).

/** @typedef {import('../drive.mjs').Prompt} Prompt */

export default class {
  /** @type {any} */ #wllama;

  /** @param {{base: string, threads: number}} options */
  async load({ base, threads }) {
    const path = '/npm/@wllama/wllama/esm/index.js';
    const { Wllama, LoggerWithoutDebug } = await import(path);
    const wasm = { default: '/npm/@wllama/wllama/esm/wasm/wllama.wasm' };
    this.#wllama = new Wllama(wasm, { suppressNativeLog: true, logger: LoggerWithoutDebug });
    const file = await (await fetch(`${base}/model.gguf`)).blob();
    // No layer on the GPU: it wants shader-f16 there, and without it quietly runs on the CPU.
    const how = { n_ctx: 1024, n_threads: threads, n_gpu_layers: 0, n_parallel: 1, warmup: false };
    await this.#wllama.loadModel([file], how);
    const got = this.#wllama.getNumThreads();
    if (got !== threads) throw new Error(`has ${got} threads, not ${threads}`);
    return `CPU, ${got} threads`;
  }

  /** @param {Prompt} prompt @param {number} steps after the first token */
  async run({ text }, steps) {
    const greedy = { temperature: 0, top_k: 1, samplers: ['top_k'], ignore_eos: true, cache_prompt: false };
    const reply = await this.#wllama.createCompletion({ prompt: text, max_tokens: steps + 1, ...greedy });
    const { prompt_n, prompt_ms, predicted_n, predicted_ms } = reply.timings;
    const said = reply.choices[0].text;
    return { cached: 0, read: prompt_n, promptMs: prompt_ms, steps: predicted_n - 1, stepsMs: predicted_ms, text: said };
  }

  async dispose() {
    await this.#wllama.exit();
  }
}
