// transformers.js through generate(), on wasm or on WebGPU; a streamer gives the times.

/** @typedef {import('../drive.mjs').Prompt} Prompt */

export default class {
  /** @type {any} */ #library;
  /** @type {any} */ #model;

  /** @param {{base: string, device: string, threads: number, bits: number, runtime: string}} options `runtime`: onnxruntime's folder */
  async load({ base, device, threads, bits, runtime }) {
    const path = '/npm/@huggingface/transformers/dist/transformers.min.js';
    this.#library = await import(path);
    const { AutoModelForCausalLM, env } = this.#library;
    const folders = base.split('/');
    const name = folders.pop();
    Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: `${folders.join('/')}/` });
    Object.assign(env, { useBrowserCache: false, useWasmCache: false });
    // The build that it takes by default, from this host instead of a public one.
    const build = new URL(`${runtime}ort-wasm-simd-threaded.asyncify`, globalThis.location.origin).href;
    env.backends.onnx.wasm.wasmPaths = { mjs: `${build}.mjs`, wasm: `${build}.wasm` };
    env.backends.onnx.wasm.numThreads = threads;
    this.#model = await AutoModelForCausalLM.from_pretrained(`${name}/tjs`, { dtype: bits === 8 ? 'int8' : 'q4', device });
    return device === 'wasm' ? `CPU, ${env.backends.onnx.wasm.numThreads} threads` : 'WebGPU';
  }

  /** @param {Prompt} prompt @param {number} steps after the first token */
  async run({ ids }, steps) {
    const row = (/** @type {number[]} */ values) =>
      new this.#library.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    /** @type {number[]} */
    const at = [];
    /** @type {number[]} */
    const tokens = [];
    const streamer = {
      put: (/** @type {bigint[][]} */ values) => {
        at.push(performance.now());
        tokens.push(Number(values[0]?.[0]));
      },
      end: () => {},
    };
    const start = performance.now();
    await this.#model.generate({
      inputs: row(ids),
      attention_mask: row(ids.map(() => 1)),
      max_new_tokens: steps + 1,
      do_sample: false,
      streamer,
    });
    // What is put first is the prompt.
    const [, first = NaN] = at;
    const stepsMs = (at.at(-1) ?? NaN) - first;
    return { cached: 0, read: ids.length, promptMs: first - start, steps: at.length - 2, stepsMs, tokens: tokens.slice(1) };
  }

  async dispose() {
    await this.#model.dispose();
  }
}
