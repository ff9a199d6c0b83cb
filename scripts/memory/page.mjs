// The page of a measurement: loads a model and makes tokens. How far it is stands in its title, which the browser tells to whoever asks.

import { createEngine } from '../../www/engine.js';

/** Tokens of the prompt, and tokens made. */
const [READ, MADE] = [128, 64];

const options = JSON.parse(decodeURIComponent(location.hash.slice(1)) || '{}');
/** @param {object} state */
const tell = (state) => (document.title = encodeURIComponent(JSON.stringify(state)).replaceAll("'", '%27'));

// Blank for a while: what an empty page takes is not the engine's.
await new Promise((resolve) => setTimeout(resolve, 4000));
tell({ state: 'loading' });
try {
  const began = performance.now();
  const engine = await createEngine(options);
  const ready = performance.now() - began;
  while (engine.info?.streamed) await new Promise((resolve) => setTimeout(resolve, 20));
  const loaded = performance.now() - began;
  tell({ state: 'loaded' });
  await new Promise((resolve) => setTimeout(resolve, 500)); // so that somebody sees it
  tell({ state: 'talking' });
  const prompt = Array.from({ length: READ }, (_, i) => 300 + 7 * i);
  const request = { prompt, max_tokens: MADE, temperature: 0, ignore_eos: true };
  await engine.completions.create({ ...request, max_tokens: 4 });
  const { timings } = await engine.completions.create({ ...request, prompt: prompt.map((id) => id + 1) });
  const { info } = engine;
  tell({ state: 'done', tokens: READ + MADE, bytes: info?.bytes, device: info?.device.name, ready, loaded, read: timings?.prompt_per_second, made: timings?.predicted_per_second });
} catch (error) {
  tell({ state: 'failed', error: String(error) });
}
