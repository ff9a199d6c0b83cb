// This engine, through its public API; `device` says where it runs.

/** @typedef {import('../drive.mjs').Prompt} Prompt */

export default class {
  /** @type {any} */ #engine;

  /** @param {{base: string, device: string, context: number, threads?: number, cache?: 'f32' | 'f16'}} options */
  async load({ base, device, context, threads, cache }) {
    const path = '/www/engine.js';
    const { createEngine } = await import(path);
    // Whole, as the others load: it would be ready sooner otherwise, and bring the rest with the first prompt.
    const options = { stream: false, device, context, threads, cache, silence: 600 };
    this.#engine = await createEngine({ model: `${base}/pack/`, ...options });
    const { info } = this.#engine;
    if (info.device.kind !== device) throw new Error(`runs on the ${info.device.kind}: ${info.device.why}`);
    return info.device.name;
  }

  /** @param {Prompt} prompt @param {number} steps after the first token */
  async run({ ids }, steps) {
    const body = { prompt: ids, max_tokens: steps + 1, temperature: 0, ignore_eos: true, return_token_ids: true };
    const reply = await this.#engine.completions.create(body);
    const { cache_n, prompt_n, prompt_ms, predicted_n, predicted_ms } = reply.timings;
    const tokens = reply.choices[0].token_ids;
    return { cached: cache_n, read: prompt_n, promptMs: prompt_ms, steps: predicted_n - 1, stepsMs: predicted_ms, tokens };
  }

  async dispose() {
    this.#engine.unload();
  }
}
