// Takes the pictures in docs/: the default model's page on a desktop and on a phone, light and dark; and every state that a visitor may meet.
// `npm run build` first. A state's name takes the pictures of that one alone.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { chat, reaches } from '../tests/browser/chat.js';
import { launch, open, serve } from '../tests/browser/harness.js';
import { host } from '../tests/browser/host.js';
import { hub } from '../tests/browser/hub.js';
import { read, STATES } from '../tests/browser/states.js';
import { program, ROOT, say } from './run.mjs';

/** What is asked in the pictures. */
const QUESTION = 'What is 346 + 278?';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */

/** @param {Page} page @param {string} name below docs/, without extension */
async function picture(page, name) {
  const path = join(ROOT, `docs/${name}.png`);
  await page.screenshot({ path, scale: 'css' });
  say(path);
  await page.context().close();
}

/** A question and its answer. @param {Browser} browser */
async function replies(browser) {
  const site = await serve();
  for (const size of /** @type {const} */ (['desktop', 'phone'])) {
    for (const scheme of /** @type {const} */ (['light', 'dark'])) {
      const page = await open(browser, { size, scheme });
      await page.goto(site.url);
      await reaches(page, 'ready');
      await chat(page, (chat) => (chat.generation = { temperature: 0, max_tokens: 160 }));
      await page.getByRole('checkbox', { name: 'Think first' }).check();
      await page.getByRole('textbox', { name: 'Message' }).fill(QUESTION);
      await page.keyboard.press('Enter');
      await reaches(page, 'ready');
      await page.getByText(/^Thought for/).click();
      await picture(page, `${size}-${scheme}`);
    }
  }
  await site.stop();
}

/** What else there is to see. @param {Browser} browser @param {string} [only] */
async function states(browser, only) {
  const [site, models] = [await host(), await hub()];
  mkdirSync(join(ROOT, 'docs/states'), { recursive: true });
  for (const state of STATES.filter(({ name }) => !only || name === only)) {
    for (const [size, scheme] of /** @type {const} */ ([['desktop', 'light'], ['phone', 'dark']])) {
      const page = await open(browser, { size, scheme });
      await state.reach(page, { site, models });
      await read(page, state);
      await picture(page, `states/${state.name}-${size}`);
    }
  }
  await Promise.all([site.stop(), models.stop()]);
}

program(import.meta.url, async () => {
  const browser = await launch({ webgpu: false });
  try {
    const [, , only] = process.argv;
    if (!only) await replies(browser);
    await states(browser, only);
  } finally {
    await browser.close();
  }
});
