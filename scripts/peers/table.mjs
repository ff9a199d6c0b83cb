// Medians of the samples, and the tables that are printed.

import { ENGINES } from './engines.mjs';
import { STEPS } from './visit.mjs';

/** @typedef {import('./visit.mjs').Samples} Samples */

/**
 * One engine on one model, over all rounds.
 * @typedef {{model: string, engine: string, visits: Samples[], busy: number[], error: string | null}} Result
 */

/** @param {number[]} values @returns {number} NaN of none */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? Number(sorted[middle]) : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
}

/**
 * Medians of a result: seconds, tokens a second.
 * @param {Result} result
 */
export function medians({ visits }) {
  /** @param {'pp128' | 'pp512' | 'tg'} cell */
  const rate = (cell) => median(visits.flatMap((visit) => visit[cell]).map(({ tokens, ms }) => (1000 * tokens) / ms));
  return {
    load: median(visits.flatMap((visit) => visit.load)) / 1000,
    first: median(visits.flatMap((visit) => visit.first)) / 1000,
    pp128: rate('pp128'),
    pp512: rate('pp512'),
    tg64: rate('tg'),
  };
}

/** Columns with a figure, and whether more is better. */
const FIGURES = /** @type {const} */ ({ load: false, first: false, pp128: true, pp512: true, tg64: true });

/** @typedef {keyof typeof FIGURES} Figure */

/**
 * The table of one model in Markdown. A factor is how many times better a figure is than that of the fastest peer of
 * the same kind; peers have it too.
 * @param {string} model
 * @param {Result[]} results of all models
 */
export function table(model, results) {
  const rows = results.filter((result) => result.model === model).map((result) => ({ result, figures: medians(result) }));
  /** @param {Figure} figure @param {string} kind */
  const best = (figure, kind) => {
    const peers = rows.filter(({ result: { engine } }) => !ENGINES[engine]?.ours && ENGINES[engine]?.kind === kind);
    const values = peers.map(({ figures }) => figures[figure]).filter((value) => !Number.isNaN(value));
    return FIGURES[figure] ? Math.max(...values) : Math.min(...values);
  };
  const lines = [
    ['engine', 'load s', 'first token s', 'pp128', 'pp512', 'tg64', 'golden tokens', 'launches', 'n'],
    Array(9).fill('---'),
  ];
  for (const { result, figures } of rows) {
    const { engine, visits, error } = result;
    const cut = visits.some((visit) => visit.cut.includes('pp512'));
    const steps = Math.min(...visits.flatMap((visit) => visit.tg.map(({ tokens }) => tokens)), STEPS);
    const cells = /** @type {Figure[]} */ (Object.keys(FIGURES)).map((figure) => {
      const value = figures[figure];
      if (Number.isNaN(value)) return figure === 'pp512' && cut ? 'cut' : '–';
      const other = best(figure, String(ENGINES[engine]?.kind));
      const times = FIGURES[figure] ? value / other : other / value;
      const shown = `${digits(value)}${Number.isFinite(times) && times > 0 ? ` (${times.toFixed(2)}×)` : ''}`;
      return figure === 'tg64' && steps < STEPS ? `${shown}, ${steps} tokens` : shown;
    });
    const agreed = visits.map(({ golden: { same, of } }) => (same === of ? `all ${of}` : `${same} of ${of}`));
    const launches = visits.find((visit) => visit.launches !== null)?.launches ?? '';
    const n = visits.flatMap((visit) => visit.tg).length;
    lines.push([engine, ...cells, [...new Set(agreed)].join(', '), String(launches), String(n)]);
    if (error !== null) lines.push([engine, `failed: ${error}`, ...Array(7).fill('')]);
  }
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** @param {number} value */
export function digits(value) {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}
