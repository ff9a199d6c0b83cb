// Takes the pictures in docs/: the default model's page on a desktop and on a phone, light and dark. `npm run build` first.

import { join } from 'node:path';

import { launch, open, serve } from '../tests/browser/harness.js';
import { program, ROOT, say } from './run.mjs';

/** What is asked in the pictures. */
const QUESTION = 'What is 346 + 278?';

/** @typedef {import('../www/element.js').MoebiusChat} MoebiusChat */

program(import.meta.url, async () => {
  const site = await serve();
  const browser = await launch({ webgpu: false });
  try {
    for (const size of /** @type {const} */ (['desktop', 'phone'])) {
      for (const scheme of /** @type {const} */ (['light', 'dark'])) {
        const page = await open(browser, { size, scheme });
        await page.goto(site.url);
        const ready = () =>
          page.waitForFunction(
            () => /** @type {MoebiusChat | null} */ (document.querySelector('moebius-chat'))?.state === 'ready',
            null,
            { timeout: 120_000 },
          );
        await ready();
        await page.evaluate(() => {
          const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
          chat.generation = { temperature: 0, max_tokens: 160 };
        });
        await page.getByRole('checkbox', { name: 'Think first' }).check();
        await page.getByRole('textbox', { name: 'Message' }).fill(QUESTION);
        await page.keyboard.press('Enter');
        await ready();
        await page.getByText(/^Thought for/).click();
        const path = join(ROOT, `docs/${size}-${scheme}.png`);
        await page.screenshot({ path, scale: 'css' });
        say(path);
        await page.context().close();
      }
    }
  } finally {
    await browser.close();
    await site.stop();
  }
});
