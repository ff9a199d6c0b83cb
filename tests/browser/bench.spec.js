// The bench page: measures both devices, counts what a token takes, and hands the figures over.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, open, screenshot, serve } from './harness.js';

/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let site;
before(async () => {
  [browser, site] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

test('the bench measures the GPU and the CPU', async () => {
  const page = await open(browser, { size: 'phone', scheme: 'dark' });
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto(`${site.url}www/bench.html?lengths=16&tokens=4`);
  await page.getByRole('button', { name: 'Measure' }).click();
  const copy = page.getByRole('button', { name: 'Copy as JSON' });
  await copy.waitFor({ timeout: 180_000 });
  await copy.click();
  const found = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  for (const kind of ['gpu', 'cpu']) {
    const { error, device, speeds, bytesPerToken, probeGbPerSecond } = found[kind];
    assert.equal(error, undefined, `${kind}: ${error}`);
    assert.equal(device.kind, kind);
    assert.deepEqual(speeds.map((/** @type {{prompt: number}} */ { prompt }) => prompt), [16]);
    const [{ read, made, gbPerSecond, percent }] = speeds;
    assert.ok(read > 0 && made > 0 && probeGbPerSecond > 0.1, JSON.stringify(found[kind]));
    // All experts of a layer are more than a token reads.
    assert.ok(bytesPerToken > 1e6 && bytesPerToken < 7e6, `${bytesPerToken}`);
    assert.ok(Math.abs(gbPerSecond - (made * bytesPerToken) / 1e9) < 1e-6 && percent > 0);
  }
  const { token, kernels } = found.gpu;
  assert.deepEqual({ ...token, host: 0 }, { launches: 44, submits: 1, syncs: 1, read: 16, host: 0 });
  assert.ok(token.host > 0 && token.host < 50, `${token.host} ms of the host a token`);
  const names = Object.keys(kernels);
  const launched = Object.values(kernels).reduce((sum, { launches }) => sum + launches, 0);
  assert.equal(launched, token.launches, names.join());
  assert.ok(!names.includes('matmul.q8'), 'prompts are left out');
  assert.ok(names.includes('experts_up.q4') && names.includes('argmax'), names.join());
  assert.equal(found.cpu.token, null);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'it fits a phone');
  await screenshot(page, 'bench-phone');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
