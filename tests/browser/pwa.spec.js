// The page as an app: installable, there without a network from the second visit on, isolated by itself, and updated when the visitor says.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { ask, bounded, FIXTURE, reaches, replies } from './chat.js';
import { open } from './harness.js';
import { around, host } from './host.js';

const there = around({ webgpu: false });

test('all that the page begins with is asked for at once', () => {
  /** @type {Set<string>} */
  const begins = new Set();
  const walk = (/** @type {string} */ file) => {
    if (begins.has(file)) return;
    begins.add(file);
    for (const [, path] of readFileSync(join(ROOT, file), 'utf8').matchAll(/^(?:import|export)\s(?:[^'";]*?from\s*)?'(\.[^']+)';/gm)) walk(join(dirname(file), path));
  };
  walk('www/main.js');
  begins.delete('www/main.js');
  const links = [...readFileSync(join(ROOT, 'index.html'), 'utf8').matchAll(/rel="modulepreload" href="([^"]+)"/g)].map(([, path]) => path);
  assert.deepEqual(links, [...begins].sort());
});

/** Not `localhost`, where what is on the disk comes first. */
const address = () => there.site.url.replace('localhost', '127.0.0.1');

/** A visit whose page has its service worker, once that has kept what it keeps. */
async function visit() {
  const page = await open(there.browser, { worker: true });
  await page.goto(`${address()}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  await page.waitForFunction(() => navigator.serviceWorker.ready.then(() => true));
  return page;
}

test('what a browser asks of an app is there', async () => {
  const page = await open(there.browser);
  await page.goto(address());
  const href = await page.locator('link[rel=manifest]').getAttribute('href');
  const manifest = await page.evaluate(async (href) => (await fetch(String(href))).json(), href);
  assert.equal(manifest.display, 'standalone');
  for (const size of ['192x192', '512x512']) assert.ok(manifest.icons.some((/** @type {any} */ icon) => icon.sizes === size), size);
  for (const { src, sizes } of manifest.icons) {
    const bytes = readFileSync(join(ROOT, 'www/pwa', src));
    if (src.endsWith('.png')) assert.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes, src);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('the second visit needs no network for the page, and is isolated on a host that cannot isolate it', async () => {
  const page = await visit();
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  const before = there.site.requests.length;
  await page.reload();
  await reaches(page, 'ready');
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.doesNotMatch(await page.locator('.stats').innerText(), /thread/, 'the engine has its threads, of a module made of the other');
  const asked = there.site.requests.slice(before).filter((path) => !path.includes(FIXTURE) && path !== '/sw.js' && path !== '/www/pwa/files.js');
  assert.deepEqual(asked, []);
  await page.context().setOffline(true);
  await page.reload();
  await page.getByRole('textbox').waitFor();
  assert.ok(await page.getByRole('heading', { level: 1 }).isVisible());
  await page.context().close();
});

test('the default model answers with the network gone and the host stopped, and the chat is kept', async (t) => {
  if (!existsSync(join(ROOT, 'www/model/moebius.json'))) return t.skip('www/model has no model');
  const site = await host();
  const page = await open(there.browser, { worker: true });
  const context = page.context();
  await page.goto(site.url.replace('localhost', '127.0.0.1'));
  await reaches(page, 'ready');
  await page.waitForFunction(() => navigator.serviceWorker.ready.then(() => true));
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).engine.info?.streamed === false);
  await context.setOffline(true);
  await site.stop();
  const asked = site.requests.length;
  /** @type {string[]} */
  const failed = [];
  page.on('requestfailed', (request) => {
    // A worker that begins as the page is left loses its script, which is the page's own.
    if (!request.url().startsWith('blob:')) failed.push(request.url());
  });
  await page.reload();
  await reaches(page, 'ready');
  await bounded(page, { max_tokens: 16, temperature: 0 });
  await ask(page, 'Who are you?');
  await reaches(page, 'ready');
  const [reply] = await replies(page);
  assert.ok(reply.trim().length > 0, 'an answer');
  await page.reload();
  await page.locator('article.assistant .body p').waitFor();
  assert.deepEqual(await replies(page), [reply]);
  await reaches(page, 'ready');
  assert.equal(site.requests.length, asked);
  assert.deepEqual(failed, [], 'nothing was asked for that is not here');
  assert.deepEqual(page.problems, []);
  await context.close();
});

test('a new version waits until the visitor wants it', async () => {
  const page = await visit();
  there.site.replaced.set('/www/pwa/files.js', readFileSync(join(ROOT, 'www/pwa/files.js'), 'utf8').replace(/"version":"\w+"/, '"version":"another"'));
  await page.evaluate(async () => {
    Object.assign(globalThis, { here: true });
    await (await navigator.serviceWorker.ready).update();
  });
  const reload = page.getByRole('button', { name: 'Reload' });
  await reload.waitFor();
  assert.equal(await page.evaluate(() => /** @type {any} */ (globalThis).here), true, 'the page did not reload by itself');
  assert.ok((await page.evaluate(() => caches.keys())).length === 2, 'both versions are kept');
  await reload.click();
  await page.waitForFunction(() => !(/** @type {any} */ (globalThis).here));
  await page.waitForFunction(async () => String(await caches.keys()) === 'moebius-files-another');
  assert.ok(await page.evaluate(() => navigator.serviceWorker.controller !== null));
  await page.context().close();
});
