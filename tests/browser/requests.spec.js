// The list of requests: all that the host saw is in it, workers' too, and nothing comes after the model is ready.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { axe } from './axe.js';
import { ask, bounded, FIXTURE, reaches } from './chat.js';
import { open, screenshot } from './harness.js';
import { around } from './host.js';

const there = around({ webgpu: false });

test('what the host was asked for is in the list, and it says whether anything was since the model was ready', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
  await ask(page, 'Whom do you tell?');
  await reaches(page, 'ready');
  await page.getByRole('button', { name: 'Requests' }).click();
  const panel = page.getByRole('dialog', { name: 'Requests' });
  await panel.getByText('Nothing was asked for since the model was ready.').waitFor();
  const told = new Set(await panel.locator('td[title]').evaluateAll((all) => all.map((cell) => new URL(/** @type {HTMLElement} */ (cell).title).pathname)));
  const missing = there.site.requests.filter((path) => !told.has(path) && path !== '/index.html');
  assert.deepEqual(missing, [], 'asked for and not told');
  assert.ok([...told].some((path) => path.endsWith('.safetensors')), "a worker's requests are told");
  assert.deepEqual(await axe(page), []);
  await page.evaluate(async () => (await fetch('www/models.json?again')).text());
  await panel.getByText('1 since the model was ready.').waitFor();
  await screenshot(page, 'requests');
  await page.context().close();
});
