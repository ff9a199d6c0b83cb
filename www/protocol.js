// The messages between a page and the engine's worker, and the errors both speak of. The one definition.

/**
 * Where a model runs: `auto` is WebGPU when the browser grants it, else the CPU.
 * @typedef {'auto' | 'gpu' | 'cpu'} DeviceChoice
 */

/**
 * How far a download is, in bytes: `loaded` of `total` are at hand, of the whole model where a manifest or a hub says its size, else of the
 * files announced so far. `fetched` came over the network, `stored` were kept from before; `speed` is in bytes a second. `waiting`: a host
 * that fails is asked again in so many milliseconds. `unkept` says why the model is not kept for the next visit: storage is `full`, or
 * `blocked` by the browser, or it was `removed`; empty where it is kept.
 * @typedef {{loaded: number, total: number, file: string, fetched: number, stored: number, speed: number, waiting: number,
 *   unkept: '' | 'full' | 'blocked' | 'removed'}} Progress
 */

/**
 * A model that is kept, or the part of it that is: `bytes` of `total`. `place` is where it came from; `used` when it was last
 * loaded, in milliseconds since 1970.
 * @typedef {{id: string, name: string, place: string, bytes: number, total: number, used: number}} Stored
 */

/**
 * Where a model runs. `why` says why it is not the GPU, and is empty when it is. `fallbacks` names what did not pass the GPU's
 * self-test and is done another way.
 * @typedef {{kind: 'gpu' | 'cpu', name: string, why: string, fallbacks: string[]}} Device
 */

/**
 * What was loaded, and where it runs.
 * @typedef {object} Info
 * @property {Device} device
 * @property {string} model name, as replies carry it
 * @property {number} context tokens that prompt and reply share
 * @property {boolean} chat whether the model has a chat template
 * @property {boolean} thinking whether its template can switch visible reasoning on and off
 * @property {number} bytes weights on the device
 * @property {boolean} streamed not everything has arrived yet: experts come while it answers
 * @property {number} bytesPerToken those of them that a token reads
 * @property {string} system the system prompt that the model's pack has computed, which is best used; else empty
 * @property {{family: string, attention: 'latent' | 'grouped', layers: number, hidden: number, vocab: number,
 *   experts: number, active: number}} spec `experts` a layer and how many of them are `active` for a token; both 0 for a
 *   dense model
 */

/**
 * What is known of a model's experts: row after row, of a layer each that has any.
 * @typedef {object} ExpertMap
 * @property {number} layers that have experts
 * @property {number} experts of a layer
 * @property {number} active those of them that a token chooses
 * @property {Uint8Array} where each is: 2 on the device; 1 in the store, where a pack's are kept; 0 elsewhere
 * @property {Uint32Array} uses how many tokens chose each: of all that were read or made while experts were missing, and of those
 *   of replies that were asked for with `routing`
 * @property {number} hits experts that were on the device when a token, or a chunk of a prompt, wanted them while some were missing
 * @property {number} misses those that were not
 */

/** @typedef {'chat' | 'completion'} Kind */

/**
 * Page to worker. Every request has an `id`, which its answers repeat. `experts` is answered at once, whatever runs. `calm`: nobody looks
 * at the page, or somebody does again. `pause`: downloads stop, or go on.
 * @typedef {{type: 'load', id: number, place: string | object, device: DeviceChoice, context: number | null,
 *      cache: 'f32' | 'f16' | null, threads: number | null, stream: boolean, budget: number | null}
 *   | {type: 'complete', id: number, kind: Kind, body: object}
 *   | {type: 'logits', id: number, tokens: number[]}
 *   | {type: 'tokenize', id: number, text: string}
 *   | {type: 'detokenize', id: number, tokens: number[]}
 *   | {type: 'experts', id: number}
 *   | {type: 'cancel', id: number}
 *   | {type: 'calm', calm: boolean}
 *   | {type: 'pause', paused: boolean}
 *   | {type: 'ping'}} ToWorker
 */

/**
 * A fault as it crosses the worker's edge.
 * @typedef {{code: string, message: string}} Fault
 */

/**
 * Worker to page. `arrived`: all experts are there that find room. `moved`: the GPU was `lost`, the model was loaded again, and what was running goes on; or something is done another way there. `panic` is the last word of a worker: its memory is not to be trusted any more.
 * @typedef {{type: 'progress', progress: Progress}
 *   | {type: 'chunk', id: number, chunk: any}
 *   | {type: 'done', id: number, value: any}
 *   | {type: 'failed', id: number, fault: Fault}
 *   | {type: 'arrived'}
 *   | {type: 'moved', device: Device, streamed: boolean, lost: boolean}
 *   | {type: 'panic', message: string}
 *   | {type: 'pong'}} FromWorker
 */

/**
 * Every code a {@link MoebiusError} can have, and whether trying the same thing again can help.
 * The first thirteen are the engine's own; the others belong to the page.
 */
export const CODES = Object.freeze({
  file: true,
  malformed: false,
  tensor: false,
  config: false,
  unsupported: false,
  limit: false,
  context_full: false,
  template: false,
  tokenizer: false,
  request: false,
  memory: true,
  device: true,
  device_lost: true,
  aborted: true,
  engine_crashed: true,
  worker_failed: true,
  worker_silent: true,
});

/**
 * Where a model is: a folder, whose URL ends with a slash, or a .gguf.
 * @param {string | URL} model @param {string} base what it is relative to
 */
export function modelUrl(model, base) {
  const url = new URL(model, base);
  if (!/(\/|\.gguf)$/i.test(url.pathname)) url.pathname += '/';
  return url;
}

/** @typedef {keyof typeof CODES} Code */

/** The one error that this library throws. `code` is stable; messages may improve. */
export class MoebiusError extends Error {
  /**
   * @param {Code} code
   * @param {string} message one sentence for a person
   */
  constructor(code, message) {
    super(message);
    this.name = 'MoebiusError';
    /** @readonly */
    this.code = code;
    /** Whether trying again can help. @readonly */
    this.retryable = CODES[code];
  }
}

/**
 * The error of a fault. An unknown code is a fault of the engine's worker itself.
 * @param {Fault} fault
 */
export function errorOf(fault) {
  const known = Object.hasOwn(CODES, fault.code);
  return new MoebiusError(known ? /** @type {Code} */ (fault.code) : 'engine_crashed', fault.message);
}
