// The element on other people's pages, from another origin: strict policies, odd styles, changed globals, frames, forged messages.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { ROOT } from '../../scripts/run.mjs';
import { FIXTURE, PATIENCE } from './chat.js';
import { launch, open } from './harness.js';
import { listening, TYPES } from './host.js';

/** @typedef {import('./chat.js').MoebiusChat} MoebiusChat */
/**
 * Somebody's page: what stands before the element, headers, and what its script does before it imports the element.
 * @typedef {{before?: string, headers?: Record<string, string>, script?: string, frame?: string}} Guest `frame`: attributes of the frame that it is in
 */

/** Where the element and the model come from, and the pages. @type {Awaited<ReturnType<typeof listening>>} */
let source;
/** @type {Awaited<ReturnType<typeof listening>>} */
let pages;
/** @type {import('playwright-core').Browser} */
let browser;

/** What every strict page has to allow: docs/embed.md. */
const strict = () =>
  `default-src 'none'; script-src 'self' ${source.url} 'wasm-unsafe-eval'; style-src ${source.url}; connect-src ${source.url}; worker-src blob: ${source.url}; require-trusted-types-for 'script'; trusted-types moebius`;

/** @type {Record<string, () => Guest>} */
const GUESTS = {
  'one like any other': () => ({}),
  'one with a strict policy and Trusted Types': () => ({ headers: { 'content-security-policy': strict() } }),
  'one that is isolated': () => ({ headers: { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' } }),
  'one from right to left': () => ({ script: `document.documentElement.dir = 'rtl'` }),
  'one whose styles reset everything': () => ({ before: '<style>*, *::before, *::after { all: unset }</style>' }),
  'one that changed what all objects have': () => ({
    script: `Object.prototype.polluted = 'x';
      Array.prototype.contains = function (one) { return this.includes(one); };
      Array.prototype.toJSON = undefined;
      String.prototype.empty = true;
      const { fetch } = globalThis;
      globalThis.fetch = function () { return fetch.apply(globalThis, arguments); };`,
  }),
  'one that moves it about, as frameworks do': () => ({
    script: `const chat = document.querySelector('moebius-chat');
      chat.preload = 'auto'; // before there is such an element
      setTimeout(() => { const box = document.createElement('div'); document.body.append(box); box.append(chat); document.body.prepend(box); }, 50);`,
  }),
  'one in a frame with a sandbox': () => ({ frame: 'sandbox="allow-scripts allow-same-origin"' }),
};

/** @param {string} path */
const html = (path) => {
  const { before: ahead = '', frame } = GUESTS[decodeURIComponent(path.split('/')[1])]?.() ?? {};
  const body = frame && !path.endsWith('/inner') ? `<iframe ${frame} src="${path}/inner"></iframe>` : `${ahead}<moebius-chat src="${source.url}${FIXTURE}" device="cpu"></moebius-chat>`;
  return `<!doctype html><meta charset="utf-8"><title>A page</title>${body}<script type="module" src="/guest.js?${path.split('/')[1]}"></script>`;
};

before(async () => {
  source = await listening(
    createServer((request, response) => {
      const file = join(ROOT, normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)));
      const headers = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin', 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' };
      if (!existsSync(file)) return response.writeHead(404, headers).end();
      return response.writeHead(200, headers).end(readFileSync(file));
    }),
  );
  pages = await listening(
    createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://x');
      const guest = GUESTS[decodeURIComponent(url.search.slice(1) || url.pathname.split('/')[1])]?.() ?? {};
      const script = url.pathname === '/guest.js';
      const headers = { ...guest.headers, 'access-control-allow-origin': '*', 'content-type': script ? 'text/javascript' : 'text/html' };
      response.writeHead(200, headers).end(script ? `${guest.script ?? ''};\nimport(${JSON.stringify(`${source.url}www/element.js`)});` : html(url.pathname));
    }),
  );
  browser = await launch({ webgpu: false });
});
after(async () => {
  await browser?.close();
  await Promise.all([source?.stop(), pages?.stop()]);
});

describe('the element answers on a page:', () => {
  for (const [name, guest] of Object.entries(GUESTS)) {
    test(name, async () => {
      const page = await open(browser);
      await page.goto(`${pages.url}${encodeURIComponent(name)}`);
      const frame = guest().frame ? await (await page.waitForSelector('iframe')).contentFrame() : page.mainFrame();
      assert.ok(frame);
      await frame.waitForFunction(() => customElements.get('moebius-chat'));
      const said = await frame.evaluate(async () => {
        const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
        chat.generation = { max_tokens: 4, temperature: 0, ignore_eos: true };
        await chat.load();
        await chat.send('Hello');
        const box = /** @type {ShadowRoot} */ (chat.shadowRoot).querySelector('textarea');
        return { state: chat.state, messages: chat.messages, tall: box?.getBoundingClientRect().height ?? 0 };
      });
      assert.equal(said.state, 'ready', JSON.stringify(said));
      assert.deepEqual(said.messages.map(({ role }) => role), ['user', 'assistant']);
      assert.ok(said.tall > 15, `the text box is ${said.tall} pixels tall`);
      assert.deepEqual(page.problems.filter((text) => !/404|sandbox/.test(text)), []);
      await page.context().close();
    });
  }

  test('where no worker may be, it says so', async () => {
    const page = await open(browser);
    await page.goto(pages.url);
    const src = `${pages.url}${encodeURIComponent('one like any other')}`;
    await page.evaluate((src) => {
      const frame = Object.assign(document.createElement('iframe'), { src });
      frame.setAttribute('sandbox', 'allow-scripts');
      document.body.replaceChildren(frame);
    }, src);
    const frame = await (await page.waitForSelector('iframe')).contentFrame();
    await frame?.waitForFunction(() => customElements.get('moebius-chat'));
    const told = await frame?.evaluate(async () => {
      const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
      await chat.load().catch(() => {});
      return { state: chat.state, said: chat.shadowRoot?.querySelector('.notice')?.textContent };
    });
    assert.equal(told?.state, 'error');
    assert.match(told?.said ?? '', /sandbox/);
    await page.context().close();
  });

  test('as a file it says what it wants', async () => {
    const page = await open(browser);
    await page.goto(pathToFileURL(join(ROOT, 'index.html')).href);
    assert.match(await page.locator('moebius-chat').innerText(), /web server/);
    await page.context().close();
  });
});

test('messages that a page around it makes up are heard by nobody', async () => {
  const page = await open(browser);
  await page.goto(`${pages.url}x`);
  await page.evaluate((src) => {
    const frame = document.createElement('iframe');
    document.body.replaceChildren(frame);
    frame.src = src;
  }, `${source.url}index.html?model=${FIXTURE}`);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await frame?.waitForFunction(() => /** @type {MoebiusChat | null} */ (document.querySelector('moebius-chat'))?.state === 'ready', null, { timeout: PATIENCE });
  const answers = await page.evaluate(async () => {
    let heard = 0;
    addEventListener('message', () => (heard += 1));
    const types = ['load', 'complete', 'chunk', 'done', 'failed', 'progress', 'moved', 'experts', 'ping', 'cancel', 'change', 'open', 'read', 'clear', 'export'];
    /** @type {any[]} */
    const values = [undefined, null, 0, -1, 'x', [], {}, { url: 'https://example.org/' }, { __proto__: null, constructor: 1 }, new ArrayBuffer(8)];
    for (let i = 0; i < 1500; i++) {
      const message = { type: types[i % types.length], id: i % 7, body: values[i % values.length], value: values[(i >> 3) % values.length], chunk: values[(i >> 5) % values.length] };
      frames[0]?.postMessage(i % 11 === 0 ? values[i % values.length] : message, '*');
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    return heard;
  });
  assert.equal(answers, 0, 'nothing was told to the page around it');
  const after = await frame?.evaluate(async () => {
    const chat = /** @type {MoebiusChat} */ (document.querySelector('moebius-chat'));
    const before = { state: chat.state, messages: chat.messages };
    chat.generation = { max_tokens: 4, temperature: 0, ignore_eos: true };
    await chat.send('Still there?');
    return { ...before, then: chat.messages.length };
  });
  assert.deepEqual(after, { state: 'ready', messages: [], then: 2 });
  await page.context().close();
});
