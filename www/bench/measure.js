// One device's figures: speeds by length of prompt, what a token asks of the device, and time by kernel.

import { createEngine } from '../engine.js';
import { cpuProbe, gpuProbe } from './probe.js';
import { TEXT } from './text.js';

/** @typedef {import('./count.js').Counts} Counts */
/** @typedef {import('./count.js').Spent} Spent */

/** @typedef {{model: string, lengths: number[], tokens: number}} Asked */

/** Speeds after a prompt: tokens a second read and made, GB of weights a second, and that of the probe's in percent.
 * @typedef {{prompt: number, read: number, made: number, gbPerSecond: number, percent: number}} Speed */

/**
 * What was found on a device. `token`: what one token more takes; null on the CPU. `kernels`: milliseconds by kernel, if the browser
 * has a clock for it.
 * @typedef {object} Found
 * @property {import('../protocol.js').Device} device
 * @property {number} loadMs
 * @property {number} bytesPerToken
 * @property {number} probeGbPerSecond
 * @property {Speed[]} speeds
 * @property {Counts | null} token
 * @property {Record<string, Spent> | null} kernels of a token
 */

/** Tokens after which a count is taken, and tokens whose launches are timed. */
const [COUNTED, TIMED] = [8, 4];

/**
 * @param {Asked} asked
 * @param {'gpu' | 'cpu'} kind
 * @param {(status: string) => void} say
 * @returns {Promise<Found>}
 */
export async function measure({ model, lengths, tokens }, kind, say) {
  const name = TEXT[kind];
  say(TEXT.loading(name));
  const start = performance.now();
  const context = Math.max(...lengths) + Math.max(tokens, COUNTED) + 2;
  const engine = await createEngine({ model, device: kind, context, silence: 600, stream: false, worker: './bench/worker.js' });
  const loadMs = performance.now() - start;
  try {
    const info = engine.info;
    if (!info) throw new Error('the engine says nothing of itself');
    /** A prompt that begins like no other. @param {number} length @param {number} steps @param {number} seed */
    const run = async (length, steps, seed) => {
      const prompt = Array.from({ length }, (_, i) => (31 * seed + 7 * i + 5) % Math.min(info.spec.vocab, 500));
      const reply = await engine.completions.create({ prompt, max_tokens: steps, temperature: 0, ignore_eos: true });
      return reply.timings;
    };
    // The first prompt compiles what is compiled on first use.
    await run(Math.min(...lengths), 2, 1);
    say(TEXT.probing(name));
    const threads = Number(/(\d+) threads/.exec(info.device.name)?.[1] ?? 1);
    const probeGbPerSecond = kind === 'gpu' ? await gpuProbe() : await cpuProbe(threads);
    const speeds = [];
    for (const [i, length] of lengths.entries()) {
      say(TEXT.reading(name, length));
      const { prompt_n, prompt_ms, predicted_n, predicted_ms } = await run(length, tokens + 1, 2 + i);
      const made = (1000 * (predicted_n - 1)) / predicted_ms;
      const gbPerSecond = (made * info.bytesPerToken) / 1e9;
      const percent = (100 * gbPerSecond) / probeGbPerSecond;
      speeds.push({ prompt: length, read: (1000 * prompt_n) / prompt_ms, made, gbPerSecond, percent });
    }
    let [token, kernels] = /** @type {[Counts | null, Found['kernels']]} */ ([null, null]);
    if (kind === 'gpu') {
      say(TEXT.counting(name));
      ({ token, kernels } = await count((steps) => run(16, steps, 1000)));
    }
    const { device, bytesPerToken } = info;
    return { device, loadMs, bytesPerToken, probeGbPerSecond, speeds, token, kernels };
  } finally {
    engine.unload();
  }
}

/** What a token more takes. @param {(steps: number) => Promise<unknown>} run makes tokens after the same prompt every time */
async function count(run) {
  const channel = new BroadcastChannel('moebius bench');
  /** @param {object} message @returns {Promise<any>} */
  const ask = (message) =>
    new Promise((resolve) => {
      channel.onmessage = ({ data }) => resolve(data);
      channel.postMessage(message);
    });
  /** @param {number} steps @param {number} [skipped] @returns {Promise<{counts: Counts, kernels: Found['kernels']}>} */
  const during = async (steps, skipped) => {
    await ask({ ask: 'begin', times: skipped !== undefined });
    await run(steps);
    return ask({ ask: 'end', skipped });
  };
  await run(1);
  const [one, more] = [await during(1), await during(1 + COUNTED)];
  // The launches of the prompt's last token come first.
  const { kernels } = await during(1 + TIMED, one.counts.launches);
  for (const kernel of Object.values(kernels ?? {})) {
    kernel.ms /= TIMED;
    kernel.launches /= TIMED;
  }
  channel.close();
  /** @param {keyof Counts} key */
  const each = (key) => (more.counts[key] - one.counts[key]) / COUNTED;
  const token = { launches: each('launches'), submits: each('submits'), syncs: each('syncs'), read: each('read'), host: each('host') };
  return { token, kernels };
}
