// The engines that are measured, by name: which driver, in the page or in a worker, on what.

/** Threads of the engines that have them, where a name says nothing else. */
const THREADS = 2;

/**
 * @typedef {object} Engine
 * @property {'webgpu' | 'wasm' | 'wasm-1'} kind engines of one kind are compared with each other: on WebGPU, on several threads, on one
 * @property {boolean} ours
 * @property {string} driver a file of drivers/
 * @property {boolean} worker whether the driver runs in a worker, for engines that have none of their own
 * @property {Record<string, unknown>} options what `load` gets beside the model's folder
 * @property {number} [nearTies] the part of the golden tokens that may differ where what came before them agrees; none unless told
 */

/**
 * On vectors of the CPU inputs of products are rounded to 16 bits. That may change golden tokens, three of 64 on `moe-s` where sums were in
 * another order: the models have random weights, whose closest choices are 0.006 standard deviations of the logits apart, and a router's are closer.
 */
const ROUNDED = 1 / 16;

/** @type {Record<string, Engine>} */
export const ENGINES = {
  'ours-gpu': { kind: 'webgpu', ours: true, driver: 'ours.mjs', worker: false, options: { device: 'gpu' } },
  'tjs-webgpu': transformers('webgpu'),
  'ours-cpu-1': cpu(1),
  'ours-cpu': cpu(THREADS),
  'ours-cpu-f16': cpu(THREADS, 'f16'),
  'wllama3-1': llama('wllama3.mjs', 1),
  wllama3: llama('wllama3.mjs', THREADS),
  'wllama2-1': llama('wllama2.mjs', 1),
  wllama2: llama('wllama2.mjs', THREADS),
  'tjs-wasm-1': transformers('wasm', 1),
  'tjs-wasm': transformers('wasm'),
};

/** @param {number} threads */
function wasm(threads) {
  return threads === 1 ? 'wasm-1' : 'wasm';
}

/** @param {number} threads @param {'f32' | 'f16'} [cache] what keys and values are kept in @returns {Engine} */
function cpu(threads, cache = 'f32') {
  const options = { device: 'cpu', threads, cache };
  return { kind: wasm(threads), ours: true, driver: 'ours.mjs', worker: false, options, nearTies: ROUNDED };
}

/** @param {string} driver @param {number} threads @returns {Engine} */
function llama(driver, threads) {
  return { kind: wasm(threads), ours: false, driver, worker: false, options: { threads } };
}

/** @param {'webgpu' | 'wasm'} device @param {number} [threads] @returns {Engine} */
function transformers(device, threads = THREADS) {
  const options = { device, threads };
  return { kind: device === 'wasm' ? wasm(threads) : device, ours: false, driver: 'transformers.mjs', worker: true, options };
}
