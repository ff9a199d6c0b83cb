// What a second thread is worth on this machine: plain arithmetic, and plain reading of memory, in one worker of a page and in two.

import { launchPlain } from '../../tests/browser/harness.js';
import { digits, median } from './table.mjs';

const ROUNDS = 5;
/** How long a probe runs. */
const MILLISECONDS = 400;

/** Runs in a worker: a loop of nothing else, and how often it went round in a second. */
function probe() {
  const words = new Float64Array(1 << 23).fill(1); // 64 MB
  /** @type {Record<string, () => number>} work, in units of a billion */
  const kinds = {
    // Eight chains that wait for nothing: a core has all to do that it can.
    'products a second': () => {
      let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8];
      for (let i = 0; i < 1e6; i++) {
        a = Math.imul(a, 7) + 1;
        b = Math.imul(b, 7) + 1;
        c = Math.imul(c, 7) + 1;
        d = Math.imul(d, 7) + 1;
        e = Math.imul(e, 7) + 1;
        f = Math.imul(f, 7) + 1;
        g = Math.imul(g, 7) + 1;
        h = Math.imul(h, 7) + 1;
      }
      return (a ^ b ^ c ^ d ^ e ^ f ^ g ^ h) === 1 ? 0 : 8e-3;
    },
    // A number of every cache line.
    'bytes read a second': () => {
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let i = 0; i < words.length; i += 32) {
        a += words[i] ?? 0;
        b += words[i + 8] ?? 0;
        c += words[i + 16] ?? 0;
        d += words[i + 24] ?? 0;
      }
      return a + b + c + d > 0 ? words.byteLength / 1e9 : 0;
    },
  };
  addEventListener('message', ({ data: { kind, ms } }) => {
    const start = performance.now();
    let done = 0;
    while (performance.now() - start < ms) done += kinds[kind]?.() ?? NaN;
    postMessage((1000 * done) / (performance.now() - start));
  });
  postMessage(Object.keys(kinds));
}

/**
 * Measures one thread and two in turn.
 * @param {string} url of a page
 * @returns {Promise<string>} a table in Markdown
 */
export async function cores(url) {
  const browser = await launchPlain({ webgpu: false });
  try {
    const page = await browser.newPage();
    await page.goto(url);
    const samples = await page.evaluate(
      async ({ code, rounds, ms }) => {
        const script = URL.createObjectURL(new Blob([`(${code})()`], { type: 'text/javascript' }));
        const workers = [new Worker(script), new Worker(script)];
        const answer = (/** @type {Worker} */ worker) =>
          new Promise((/** @type {(value: any) => void} */ resolve) => (worker.onmessage = ({ data }) => resolve(data)));
        const [kinds] = await Promise.all(workers.map(answer));
        /** @type {Record<string, [number[], number[]]>} by kind, of one thread and of two */
        const found = {};
        for (const kind of kinds) found[kind] = [[], []];
        for (let round = 0; round <= rounds; round++) {
          for (const kind of kinds) {
            for (const count of [1, 2]) {
              const answers = workers.slice(0, count).map(answer);
              for (const worker of workers.slice(0, count)) worker.postMessage({ kind, ms });
              const sum = (await Promise.all(answers)).reduce((a, b) => a + b, 0);
              if (round > 0) found[kind]?.[count - 1]?.push(sum); // the first one compiles
            }
          }
        }
        return found;
      },
      { code: String(probe), rounds: ROUNDS, ms: MILLISECONDS },
    );
    const lines = Object.entries(samples).map(([kind, both]) => {
      const [one, two] = [median(both[0]), median(both[1])];
      return `| billion ${kind} | ${digits(one)} | ${digits(two)} | ${(two / one).toFixed(2)} |`;
    });
    return ['| | one thread | two | times |', '|---|---|---|---|', ...lines].join('\n');
  } finally {
    await browser.close();
  }
}
