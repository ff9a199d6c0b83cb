// How good the page is by Lighthouse, and how soon it can be used on Fast 4G. `npm run build` first; `npm run lighthouse`.

import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { launch } from '../../tests/browser/harness.js';
import { Failure, program, ROOT, say, tools } from '../run.mjs';
import { chromium, npmPackages } from '../tools.mjs';
import { host } from './host.mjs';

const HERE = join(ROOT, 'scripts/lighthouse');

/** What DevTools calls Fast 4G: bytes a second, and milliseconds that each answer takes at least. */
const FAST_4G = { offline: false, downloadThroughput: (9e6 / 8) * 0.9, uploadThroughput: (1.5e6 / 8) * 0.9, latency: 60 * 2.75 };

/** Visits, and runs of Lighthouse, whose median counts: a machine with two cores makes 91 to 100 of the same page. */
const VISITS = 5;

/** Installs Lighthouse, 180 MB, beside the project, once. @returns {Promise<string>} its folder */
async function packages() {
  const folder = tools('lighthouse');
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(HERE, name), join(folder, name));
  await npmPackages(folder);
  return join(folder, 'node_modules');
}

/** The four scores, of 100. @param {string} url @param {string} modules */
async function scores(url, modules) {
  const { default: lighthouse } = await import(join(modules, 'lighthouse/core/index.js'));
  const chrome = await import(join(modules, 'chrome-launcher/dist/index.js'));
  const executable = chromium();
  if (executable === null) throw new Failure('Chromium is missing: npm run setup browser');
  const browser = await chrome.launch({ chromePath: executable, chromeFlags: ['--headless=new', '--no-sandbox', '--ignore-certificate-errors', '--disable-quic'] });
  try {
    const { lhr } = await lighthouse(url, { port: browser.port, logLevel: 'error', onlyCategories: ['performance', 'accessibility', 'best-practices', 'seo'] });
    for (const { id, score, title } of Object.values(lhr.audits)) if (score !== null && score < 0.9) say(`${id}: ${title} (${score})`);
    const metrics = ['first-contentful-paint', 'largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift', 'speed-index'].map((id) => `${id} ${lhr.audits[id].displayValue}`);
    const performance = lhr.categories.performance.score;
    return { performance, scores: Object.values(lhr.categories).map(({ title, score }) => `${title} ${Math.round(100 * score)}`), metrics };
  } finally {
    await browser.kill();
  }
}

/** Milliseconds until a question can be typed, of a visitor who has nothing yet. @param {string} url */
async function usable(url) {
  const browser = await launch({ webgpu: false });
  const times = [];
  try {
    for (let visit = 0; visit < VISITS; visit += 1) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const page = await context.newPage();
      const session = await context.newCDPSession(page);
      await session.send('Network.enable');
      await session.send('Network.emulateNetworkConditions', FAST_4G);
      // Looked for at every frame, in the page: playwright looks every half second.
      await page.addInitScript(() => {
        const look = () => {
          const box = document.querySelector('moebius-chat')?.shadowRoot?.querySelector('textarea');
          if (box?.checkVisibility() && !box.disabled) Object.assign(window, { usable: performance.now() });
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
      await page.goto(url, { waitUntil: 'commit' });
      times.push(await (await page.waitForFunction(() => /** @type {any} */ (window).usable)).jsonValue());
      await context.close();
    }
  } finally {
    await browser.close();
  }
  return times.sort((a, b) => a - b);
}

program(import.meta.url, async () => {
  const modules = await packages();
  const site = await host();
  try {
    const times = await usable(site.url);
    console.log(`usable on Fast 4G after ${times[times.length >> 1].toFixed(0)} ms (${times.map((ms) => ms.toFixed(0)).join(', ')})`);
    const runs = [];
    for (let run = 0; run < VISITS; run += 1) runs.push(await scores(site.url, modules));
    runs.sort((a, b) => a.performance - b.performance);
    const median = runs[VISITS >> 1];
    console.log(`${median.scores.join(', ')} (${runs.map((run) => Math.round(100 * run.performance)).join(', ')})\n${median.metrics.join(', ')}`);
  } finally {
    await site.stop();
  }
});
