// How this engine's speed changes with the context, and with the number of experts at the same work a token.

import { say } from '../run.mjs';
import { digits } from './table.mjs';

/** @typedef {import('./visit.mjs').Visitor} Visitor */
/** @typedef {import('./visit.mjs').Prompts} Prompts */

/** Contexts, in tokens, and numbers of experts; the model of each number is `experts-N`. */
export const CONTEXTS = [128, 512, 1024, 2048, 4096, 8192];
export const EXPERTS = [8, 16, 32, 64, 128];
/** The model whose context grows. */
export const LONGEST = 'experts-32';
/** Steps that are timed at each size. */
const STEPS = 32;

/** Tokens a second when reading and when making tokens. @typedef {{size: number, read: number, made: number}} Point */

/**
 * Speed at each context. The prompt of one is the start of the next, so that each token is read once.
 * @param {Visitor} visitor loaded
 * @param {Prompts} prompts
 * @param {{contexts: number[], limit: number}} plan `limit`: seconds that reading up to the next context may take
 * @returns {Promise<Point[]>}
 */
export async function contexts(visitor, prompts, plan) {
  const long = prompts.long[0]?.ids ?? [];
  const warm = await visitor.run({ ids: [...long.slice(0, 128)].reverse(), text: '' }, 4);
  let [msPerToken, at] = [warm.promptMs / 128, 0];
  /** @type {Point[]} */
  const points = [];
  for (const size of plan.contexts) {
    if (msPerToken * (size - at) > plan.limit * 1000) break;
    const done = await visitor.run({ ids: long.slice(0, size), text: '' }, STEPS);
    msPerToken = done.promptMs / done.read;
    points.push(told({ size, read: 1000 / msPerToken, made: (1000 * done.steps) / done.stepsMs }));
    at = size;
  }
  return points;
}

/**
 * Speed of one model, for a prompt of 128.
 * @param {Visitor} visitor loaded
 * @param {Prompts} prompts
 * @param {number} size number of experts
 * @returns {Promise<Point>}
 */
export async function experts(visitor, prompts, size) {
  const [warm, timed] = prompts[128];
  if (!warm || !timed) throw new Error('prompts.json has too few prompts');
  await visitor.run(warm, 4);
  const done = await visitor.run(timed, STEPS);
  return told({ size, read: (1000 * done.read) / done.promptMs, made: (1000 * done.steps) / done.stepsMs });
}

/** Says it as it comes: a table may be an hour away. @param {Point} point */
function told(point) {
  say(`${point.size}: reads ${digits(point.read)}/s, makes ${digits(point.made)}/s`);
  return point;
}

/**
 * A table with a line an engine and a column a size.
 * @param {string} what the sizes are
 * @param {number[]} sizes
 * @param {Record<string, Point[]>} lines by engine
 */
export function growthTable(what, sizes, lines) {
  const row = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  const head = [what, ...sizes.map(String)];
  const rows = Object.entries(lines).flatMap(([engine, points]) =>
    /** @type {const} */ (['made', 'read']).map((which) => {
      const cells = sizes.map((size) => points.find((point) => point.size === size)?.[which]);
      return row([`${engine}, ${which}`, ...cells.map((value) => (value === undefined ? 'cut' : digits(value)))]);
    }),
  );
  return [row(head), row(head.map(() => '---')), ...rows].join('\n');
}
