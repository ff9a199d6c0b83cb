// Models: what is asked of other hosts and when, files of this device, and every state a visitor may meet on the way.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT } from '../../scripts/run.mjs';
import { ARCHITECTURES, FAMILIES, kindOf, onDevice } from '../../www/models/families.js';
import { axe } from './axe.js';
import { ask, bounded, chat, FIXTURE, reaches, replies } from './chat.js';
import { FIXTURES } from './fixtures.js';
import { open, screenshot } from './harness.js';
import { around } from './host.js';
import { hub, TOKEN } from './hub.js';
import { agreed, lookUp, read, REPOSITORY, STATES, visit } from './states.js';

/** @typedef {Awaited<ReturnType<typeof open>>} Page */

const there = around({ webgpu: false });
/** @type {Awaited<ReturnType<typeof hub>>} */
let models;
before(async () => {
  models = await hub();
});
after(() => models?.stop());

/** @returns {import('./states.js').Hosts} */
const hosts = () => ({ site: there.site, models });

describe('every state', () => {
  STATES.forEach((state, i) => {
    test(`${state.name}: is told, and axe finds nothing`, async () => {
      const page = await open(there.browser, i % 2 === 0 ? {} : { size: 'phone', scheme: 'dark' });
      await state.reach(page, hosts());
      assert.match(await read(page, state), state.says);
      await screenshot(page, `state-${state.name}`);
      assert.deepEqual(await axe(page), []);
      await state.then?.(page);
      await page.context().close();
    });
  });
});

test('memory that is not there is told by the code of its error, whatever that says', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  await page.evaluate(() => {
    const told = { title: '', label: 'Try again', act: () => {} };
    const detail = { error: { code: 'memory', message: 'there is none' }, told };
    document.querySelector('moebius-chat')?.dispatchEvent(new CustomEvent('moebius-error', { detail }));
  });
  await page.getByText('There is not enough memory.').waitFor();
  await page.context().close();
});

describe('other hosts', () => {
  test('are asked nothing before it is agreed to, in two steps; then the model answers, and next time at once', async () => {
    const page = await open(there.browser);
    models.log.length = 0;
    await visit(page, hosts(), REPOSITORY);
    await page.getByRole('button', { name: 'Ask localhost' }).waitFor();
    assert.ok(await page.getByRole('textbox', { name: 'Message', includeHidden: true }).isDisabled());
    await page.reload();
    await page.getByRole('button', { name: 'Ask localhost' }).waitFor();
    assert.equal(models.log.length, 0, JSON.stringify(models.log));
    await lookUp(page);
    await page.getByRole('button', { name: /^Download/ }).waitFor();
    assert.ok(models.log.length > 0 && models.log.every(({ path }) => path.startsWith('/api/')), JSON.stringify(models.log));
    await page.getByRole('combobox', { name: 'Weights' }).selectOption('q8');
    await page.getByRole('button', { name: /^Download/ }).click();
    await reaches(page, 'ready');
    await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
    await ask(page, 'Who are you?');
    await reaches(page, 'ready');
    assert.notEqual((await replies(page))[0], '');
    const bytes = await chat(page, (chat) => chat.engine?.info?.bytes ?? 0);
    await page.goto('about:blank');
    models.log.length = 0;
    await visit(page, hosts(), REPOSITORY);
    await reaches(page, 'ready');
    assert.equal(models.log.length, 0, `what is kept is read as it is: ${JSON.stringify(models.log)}`);
    assert.equal(await chat(page, (chat) => chat.engine?.info?.bytes ?? 0), bytes, 'in the same format');
    await page.keyboard.press('Control+Shift+L');
    const row = page.getByRole('button', { name: /^deepseek_v3_lite/ });
    assert.equal(await row.getAttribute('aria-current'), 'true');
    await page.getByRole('button', { name: 'Forget deepseek_v3_lite' }).click();
    await row.waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('that were not agreed to cannot be reached, by the page or by its workers', async () => {
    const page = await open(there.browser);
    await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    models.log.length = 0;
    const tried = (/** @type {string} */ url) => fetch(url, { mode: 'no-cors' }).then(() => 'reached', () => 'refused');
    assert.equal(await page.evaluate(tried, models.url), 'refused');
    assert.ok(page.workers().length > 0);
    for (const worker of page.workers()) assert.equal(await worker.evaluate(tried, models.url), 'refused');
    assert.equal(models.log.length, 0, JSON.stringify(models.log));
    await page.context().close();
  });

  test('a gated repository wants a token, which is kept nowhere', async () => {
    const page = await open(there.browser);
    await visit(page, hosts(), 'hf:gated/deepseek_v3_lite');
    await lookUp(page);
    await page.getByLabel('Access token').fill(TOKEN);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByRole('button', { name: /^Download/ }).click();
    await reaches(page, 'ready');
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]));
    assert.ok(!kept.includes(TOKEN), kept);
    await page.context().close();
  });

  test('what is pasted is understood, or refused in words', async () => {
    const page = await open(there.browser);
    await page.goto(`${there.site.url}as/blank/`);
    const said = await page.evaluate(async () => {
      const path = '/www/models/where.js';
      /** @type {{where: typeof import('../../www/models/where.js').where}} */
      const { where } = await import(path);
      const all = ['a/b', ' hf:a/b:Q4_0@v1 ', 'https://huggingface.co/a/b', 'https://huggingface.co/a/b/tree/v2', 'https://huggingface.co/a/b/blob/main/x.gguf', 'https://hf.co/a/b/', 'https://example.org/m/x.gguf', 'http://example.org/x.gguf', 'javascript:alert(1)', 'file:///x.gguf', 'hello', '', 'https://a;script-src.example.org/x/'];
      return all.map((text) => [text, where(text)?.model ?? null, where(text)?.hosts.join(' ')]);
    });
    const of = Object.fromEntries(said.map(([text, model, hosts]) => [text, { model, hosts }]));
    assert.equal(of['a/b'].model, 'hf:a/b');
    assert.equal(of[' hf:a/b:Q4_0@v1 '].model, 'hf:a/b:Q4_0@v1');
    assert.equal(of['https://huggingface.co/a/b'].model, 'hf:a/b');
    assert.equal(of['https://huggingface.co/a/b/tree/v2'].model, 'hf:a/b@v2');
    assert.equal(of['https://huggingface.co/a/b/blob/main/x.gguf'].model, 'hf:a/b/x.gguf');
    assert.match(of['https://hf.co/a/b/'].hosts ?? '', /^https:\/\/huggingface\.co .*\*\.hf\.co$/);
    assert.equal(of['https://example.org/m/x.gguf'].hosts, 'https://example.org https://*.example.org');
    for (const bad of ['http://example.org/x.gguf', 'javascript:alert(1)', 'file:///x.gguf', '']) assert.equal(of[bad].model, null, bad);
    assert.ok(!(of['https://a;script-src.example.org/x/'].hosts ?? '').includes(';'));
    await page.context().close();
  });
});

describe('files of this device', () => {
  const file = { name: 'model.gguf', mimeType: '', buffer: readFileSync(join(ROOT, FIXTURES, 'gguf/llama-q4_0.gguf')) };

  test('are chosen, planned and loaded with nothing downloaded', async () => {
    const page = await open(there.browser);
    await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    await page.getByRole('button', { name: 'Models' }).click();
    const choosing = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open files…' }).click();
    await (await choosing).setFiles(file);
    await page.getByText('nothing is downloaded').waitFor();
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await page.waitForFunction(() => /** @type {any} */ (document.querySelector('moebius-chat')).engine?.info.model === 'model.gguf');
    await page.context().close();
  });

  test('are dropped; a text goes into the question, and what is neither is told apart', async () => {
    const page = await open(there.browser);
    await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
    await reaches(page, 'ready');
    const drop = (/** @type {string} */ name, text = 'GGUF') =>
      page.evaluate(
        ({ name, text }) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], name));
          document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        },
        { name, text },
      );
    const box = page.getByRole('textbox', { name: 'Message' });
    await box.fill('What is in this? ');
    await drop('notes.txt', 'First line\nsecond, naïve\n');
    await page.waitForFunction(() => document.querySelector('moebius-chat')?.shadowRoot?.querySelector('textarea')?.value === 'What is in this? First line\nsecond, naïve\n');
    assert.ok(await box.evaluate((e) => e.matches(':focus')));
    await drop('photo.jpg', '\xff\xd8\0');
    await page.getByText('There is no model among these files').waitFor();
    await drop('broken.gguf');
    await page.getByRole('button', { name: 'Load', exact: true }).click();
    await page.locator('.notice').filter({ hasText: 'not in order' }).waitFor();
    await page.context().close();
  });
});

test('two tabs: one gives the model up when the other asks for it', async () => {
  const first = await open(there.browser);
  await agreed(first, hosts());
  const second = await first.context().newPage();
  await visit(second, hosts(), REPOSITORY);
  await second.getByRole('button', { name: 'Use it here' }).click();
  await reaches(second, 'ready');
  await first.getByText('The model is in use in another tab.').waitFor();
  assert.equal(await chat(first, (chat) => chat.engine), null);
  await first.getByRole('button', { name: 'Use it here' }).click();
  await reaches(first, 'ready');
  await second.getByText('The model is in use in another tab.').waitFor();
  await first.context().close();
});

test('what is kept is listed, taken out as a file, deleted and brought in again', async () => {
  const page = await open(there.browser);
  await page.addInitScript(() => delete (/** @type {any} */ (globalThis).showSaveFilePicker)); // which would open a window of the system
  await agreed(page, hosts());
  await page.keyboard.press('Control+Shift+L');
  await page.getByRole('button', { name: 'Storage…' }).click();
  const coming = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export deepseek_v3_lite' }).click();
  const archive = await (await coming).path();
  await page.getByText('deepseek_v3_lite was exported.').waitFor();
  const away = page.getByRole('button', { name: 'Delete', exact: true });
  await away.click();
  await page.getByRole('button', { name: 'Really delete?' }).click();
  await page.getByText('No model is kept yet.').waitFor();
  const choosing = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Import…' }).click();
  await (await choosing).setFiles(archive);
  await away.waitFor();
  models.log.length = 0;
  await page.goto(`${there.site.url}as/blank/`);
  await visit(page, hosts(), REPOSITORY);
  await reaches(page, 'ready');
  assert.ok(models.log.every(({ status }) => status === 404), `what is missing there may be asked for: ${JSON.stringify(models.log)}`);
  await page.context().close();
});

test('clear-all leaves nothing: models, chats, what was agreed to', async () => {
  const page = await open(there.browser);
  await agreed(page, hosts());
  await bounded(page, { max_tokens: 4, temperature: 0, ignore_eos: true });
  await ask(page, 'Who are you?');
  await reaches(page, 'ready');
  await page.keyboard.press('Control+Shift+L');
  await page.getByRole('button', { name: 'Storage…' }).click();
  await page.getByRole('button', { name: 'Delete models and chats' }).click();
  await page.getByRole('button', { name: 'Really delete all?' }).click();
  await page.getByText('Nothing of yours is kept here any more.').waitFor();
  const left = await page.evaluate(async () => {
    let files = 0;
    const count = async (/** @type {any} */ folder) => {
      for await (const one of folder.values()) one.kind === 'file' ? (files += 1) : await count(one);
    };
    await count(await navigator.storage.getDirectory());
    let records = 0;
    for (const { name = '' } of await indexedDB.databases()) {
      const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = (event) => resolve(/** @type {any} */ (event.target).result)));
      for (const store of db.objectStoreNames) records += await new Promise((resolve) => (db.transaction(store).objectStore(store).count().onsuccess = (/** @type {any} */ event) => resolve(event.target.result)));
      db.close();
    }
    return { files, records, local: localStorage.length, session: sessionStorage.length, caches: (await caches.keys()).length };
  });
  assert.deepEqual(left, { files: 0, records: 0, local: 0, session: 0, caches: 0 });
  await page.keyboard.press('Escape');
  await ask(page, 'And now?');
  await reaches(page, 'ready');
  assert.equal(await page.evaluate(() => localStorage.length), 0, 'a model that goes on to answer is not remembered again');
  await page.context().close();
});

test('loading is paused and goes on', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}as/slow/index.html?model=${FIXTURE}`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.locator('.figures').filter({ hasText: 'Paused' }).waitFor();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(await chat(page, (chat) => chat.state), 'loading');
  await page.getByRole('button', { name: 'Continue' }).click();
  await reaches(page, 'ready');
  await page.context().close();
});

test('how far the rest is shows on while the model answers, until it is whole', async () => {
  const page = await open(there.browser);
  /** @type {() => void} */
  let release = () => {};
  const held = new Promise((resolve) => (release = () => resolve(undefined)));
  await page.context().route('**/model-00002-of-00002.safetensors', (route) => held.then(() => route.continue()));
  await page.goto(there.site.url);
  await reaches(page, 'ready');
  await page.locator('.figures').filter({ hasText: /^Answers while the rest arrives · \d\.\d MB of 8\.2 MB/ }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Cancel' }).count(), 0, 'an answer is stopped, not the load');
  await screenshot(page, 'answers-early');
  release();
  await page.locator('.loading').waitFor({ state: 'hidden' });
  await page.context().close();
});

test('that the model answers is said at once, with no news of the rest', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}blank`);
  const said = await page.evaluate(async () => {
    const { Loading } = await import(/** @type {any} */ ('/www/ui/status.js'));
    const bar = new Loading();
    const seen = () => (bar.node.hidden ? 'hidden' : bar.node.querySelector('.figures').textContent);
    const all = [];
    for (const loaded of [3.2e6, 8.2e6]) {
      bar.start();
      bar.show({ loaded, total: 8.2e6, stored: 0, speed: 0, waiting: 0 });
      all.push(seen());
      bar.stop(true);
      all.push(seen());
    }
    bar.start();
    bar.stop(true);
    all.push(seen());
    return all;
  });
  assert.deepEqual(said, ['3.2 MB of 8.2 MB', 'Answers while the rest arrives · 3.2 MB of 8.2 MB', '8.2 MB loaded, preparing…', 'hidden', 'hidden']);
  await page.context().close();
});

test('loading is cancelled and taken up again', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}index.html?model=as/slow/${FIXTURE}`);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Loading was stopped.').waitFor();
  assert.equal(await chat(page, (chat) => chat.state), 'empty');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.figures').filter({ hasText: /of \d/ }).waitFor();
  await page.context().close();
});

test('by keyboard: the list opens, Escape closes it, and the focus is where it was', async () => {
  const page = await open(there.browser);
  await page.goto(`${there.site.url}index.html?model=${FIXTURE}`);
  await reaches(page, 'ready');
  const box = page.getByRole('textbox', { name: 'Message' });
  await box.focus();
  await page.keyboard.press('Control+Shift+L');
  await page.getByRole('dialog', { name: 'Models' }).waitFor();
  await page.getByRole('textbox', { name: 'Name on Hugging Face' }).fill('what is this');
  await page.keyboard.press('Enter');
  await page.getByText('This is neither owner/name').waitFor();
  await page.keyboard.press('Escape');
  assert.ok(!(await page.getByRole('dialog', { name: 'Models' }).isVisible()));
  assert.ok(await box.evaluate((box) => box.matches(':focus')));
  await page.context().close();
});

describe('what is known of models', () => {
  test('families and architectures are those of the table that the engine\'s tests make', () => {
    const [folders, ggufs] = readFileSync(join(ROOT, 'docs/families.md'), 'utf8').split('\n## GGUF');
    const first = (/** @type {string} */ text) => [...new Set([...text.matchAll(/^\| `([\w-]+)` \| `(?!fixture)/gm)].map(([, name]) => name))].sort();
    assert.deepEqual(FAMILIES, first(folders));
    assert.deepEqual(ARCHITECTURES, first(ggufs));
  });

  test('kinds are read from names, and what they take on the device', () => {
    const names = { 'm-Q4_K_M.gguf': 'Q4_K_M', 'a-b.Q8_0.gguf': 'Q8_0', 'x-bf16.gguf': 'BF16', 'gpt-oss-20b-mxfp4.gguf': 'MXFP4', 'm-IQ4_NL-00001-of-00002.gguf': 'IQ4_NL', 'model.gguf': '' };
    for (const [name, kind] of Object.entries(names)) assert.equal(kindOf(name), kind, name);
    assert.equal(onDevice({ bytes: 10, params: 1e9, kind: 'Q8_0' }, ''), 8.5e9 / 8);
    assert.ok(onDevice({ bytes: 4.9e9, params: 8e9, kind: 'Q4_K_M' }, '') > 8e9, 'K blocks become int8');
    assert.equal(onDevice({ bytes: 2e9, params: 1e9 }, ''), 2e9, 'as stored');
    assert.ok(onDevice({ bytes: 2e9 }, 'q4') < 0.7e9);
  });

  test('every model of the list is written as the hub has it, with what is told of it', () => {
    const { hub } = JSON.parse(readFileSync(join(ROOT, 'www/models.json'), 'utf8'));
    for (const one of hub) {
      assert.match(one.src, /^hf:[\w.-]+\/[\w.-]+(:\w+)?$/, one.name);
      for (const field of ['params', 'bytes', 'memory']) assert.ok(one[field] > 0.1 && one[field] < 40, `${one.name}: ${field}`);
      const rough = onDevice({ bytes: one.bytes * 1e9, params: one.params * 1e9, kind: one.kind }, one.format ?? '') / 1e9;
      assert.ok(Math.abs(rough / one.memory - 1) < 0.12, `${one.name}: ${rough} and ${one.memory}`);
      assert.ok(one.licence && one.kind, one.name);
    }
  });
});
