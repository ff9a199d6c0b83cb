// The fixtures as specs use them: golden values, and which folders are broken and how.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../../scripts/run.mjs';

/** Where the fixtures are, from the root of the host. */
export const FIXTURES = 'tests/fixtures/';

/** Tiny models with golden values, one for each kind of attention, routing and file. */
export const MODELS = ['qwen3', 'qwen3_moe', 'qwen3_moe_yarn', 'deepseek_v3', 'deepseek_v3_fp8', 'deepseek_v3_lite'];

/**
 * @typedef {{prompt: number[], logits: number[], greedy: number[], logits_after_greedy: number[]}} Golden
 * @param {string} model
 * @returns {Golden}
 */
export function golden(model) {
  return JSON.parse(readFileSync(join(ROOT, FIXTURES, model, 'golden.json'), 'utf8'));
}

/** @returns {{folder: string, wrong: string | null, codes: string[], names: string[][]}[]} */
export function broken() {
  return JSON.parse(readFileSync(join(ROOT, FIXTURES, 'hostile/index.json'), 'utf8'));
}

/** @param {ArrayLike<number>} values */
export function deviation(values) {
  const list = Array.from(values);
  const mean = list.reduce((sum, v) => sum + v, 0) / list.length;
  return Math.sqrt(list.reduce((sum, v) => sum + (v - mean) ** 2, 0) / list.length);
}
