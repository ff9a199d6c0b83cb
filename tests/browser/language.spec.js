// Languages: whose texts are complete, which is shown, and a page that runs from right to left.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { chat, FIXTURE, reaches } from './chat.js';
import { open, screenshot } from './harness.js';
import { around } from './host.js';

/** Where texts are: the page's, and those of parts that are loaded when they are wanted. */
const FOLDERS = ['www/languages', 'www/models/languages', 'www/inside/languages'].map((folder) => join(ROOT, folder));

for (const folder of FOLDERS) {
  describe(`every language of ${folder.slice(ROOT.length)}`, async () => {
    const { TEXT: english } = await import(join(folder, 'en.js'));
    for (const file of readdirSync(folder).filter((name) => name !== 'en.js')) {
      test(`${file} has what English has, and nothing else`, async () => {
        const { TEXT } = await import(join(folder, file));
        assert.deepEqual(shape(TEXT), shape(english));
        const same = Object.keys(english).filter((key) => typeof english[key] === 'string' && english[key] === TEXT[key]);
        assert.ok(same.length < Object.keys(english).length / 10, `as in English: ${same.join(', ')}`);
      });
    }
  });
}

/** Names, kinds and lengths, and of functions what they make. @param {unknown} value @returns {unknown} */
function shape(value) {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).sort().map(([key, one]) => [key, shape(one)]));
  // A function tells every figure that it is given.
  if (typeof value === 'function') return /7.*/.test(value(...Array(value.length).fill('7'))) ? 'function' : 'function that says less';
  return value === '' ? 'empty' : typeof value;
}

const there = around({ webgpu: false });

/** @param {string} locale @param {string} [query] */
async function visit(locale, query = '') {
  const context = await there.browser.newContext({ locale });
  const page = await context.newPage();
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}${query}`);
  await page.getByRole('combobox').waitFor();
  return page;
}

/** @param {import('playwright-core').Page} page */
const shown = (page) => page.locator('#promise').innerText();

test('the browser says which language, the visitor has the last word, and English is there for everybody else', async () => {
  const page = await visit('de-AT');
  assert.match(await shown(page), /^Nichts, was Sie schreiben/);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
  assert.ok(await page.getByRole('textbox', { name: 'Nachricht' }).isVisible());
  await page.getByRole('combobox', { name: 'Sprache' }).selectOption('zh');
  await page.getByRole('textbox', { name: '消息' }).waitFor();
  await page.reload();
  await page.getByRole('textbox', { name: '消息' }).waitFor();
  await page.context().close();
  const french = await visit('fr-FR');
  assert.match(await shown(french), /^Nothing you type/);
  await french.context().close();
  const asked = await visit('de-DE', '&lang=en');
  assert.match(await shown(asked), /^Nothing you type/);
  await asked.context().close();
});

test('a language that does not come gives way to English', async () => {
  const context = await there.browser.newContext({ locale: 'de-DE' });
  const page = await context.newPage();
  await page.route('**/languages/de.js', (route) => route.abort());
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  await context.close();
});

test('from right to left the page is its mirror image', async () => {
  for (const size of /** @type {const} */ (['desktop', 'phone'])) {
    const page = await open(there.browser, { size });
    await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    await chat(page, (chat) => {
      document.documentElement.dir = 'rtl';
      chat.messages = [
        { role: 'user', content: 'ما هو شريط موبيوس؟' },
        { role: 'assistant', content: 'سطح له جانب واحد.\n\n- أولا\n- ثانيا' },
      ];
    });
    await page.locator('article.assistant li').first().waitFor();
    const [bubble, list, send] = await Promise.all(
      ['.bubble', 'article.assistant li', '[part=send]'].map((what) => page.locator(what).first().evaluate((e) => e.getBoundingClientRect().toJSON())),
    );
    const { width } = /** @type {{width: number}} */ (page.viewportSize());
    assert.ok(bubble.left < width - bubble.right, 'a question stands on the left');
    assert.ok(width - list.right < width / 2, 'a reply stands on the right');
    assert.ok(send.left < width / 2, 'Send stands at the end of the line');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');
    await screenshot(page, `rtl-${size}`);
    await page.context().close();
  }
});
