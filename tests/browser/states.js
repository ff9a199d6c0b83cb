// What a visitor may meet around a model, each state with the way to get there: for the spec, and for the pictures in docs/.

import { FIXTURE, reaches } from './chat.js';
import { FIXTURES } from './fixtures.js';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{site: {url: string}, models: {url: string}}} Hosts */
/** `reach` ends when the state is there; `says` is what is to be read then, `where` in the dialog or above the text box.
 * @typedef {{name: string, says: RegExp, where: 'dialog' | 'notice' | 'page', reach(page: Page, hosts: Hosts): Promise<unknown>,
 *   then?(page: Page): Promise<unknown>}} State `then`: what follows by itself, or from what is offered */

/** The fixture as a repository of the hub. */
export const REPOSITORY = 'hf:tiny/deepseek_v3_lite';

/** @param {Page} page @param {Hosts} hosts @param {string} model @param {string} [rest] */
export function visit(page, { site, models }, model, rest = '') {
  return page.goto(`${site.url}index.html?model=${model}&hub=${models.url}${rest}`);
}

/** Agrees to a lookup. @param {Page} page */
export async function lookUp(page) {
  await page.getByRole('button', { name: /^Ask / }).click();
}

/** Agrees to both. @param {Page} page @param {Hosts} hosts @param {string} [model] */
export async function agreed(page, hosts, model = REPOSITORY) {
  await visit(page, hosts, model);
  await lookUp(page);
  await page.getByRole('button', { name: /^Download/ }).click();
  await reaches(page, 'ready');
}

/** Something of the browser is told otherwise. @param {Page} page @param {string} of @param {string} name @param {unknown} value */
function pretend(page, of, name, value) {
  return page.addInitScript(({ of, name, value }) => Object.defineProperty(of === 'connection' ? /** @type {any} */ (navigator).connection : navigator, name, { get: () => value }), { of, name, value });
}

/** @type {State[]} */
export const STATES = [
  {
    name: 'models',
    where: 'dialog',
    says: /Comes with this page.*On Hugging Face.*Granite/s,
    async reach(page, { site }) {
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
      await reaches(page, 'ready');
      await page.keyboard.press('Control+Shift+L');
      await page.getByRole('button', { name: /^Granite 3.1 1B/ }).waitFor();
    },
  },
  {
    name: 'consent',
    where: 'dialog',
    says: /Nothing was asked of another host yet/,
    async reach(page, hosts) {
      await visit(page, { ...hosts, models: { url: '' } }, 'hf:allenai/OLMoE-1B-7B-0924-Instruct-GGUF:Q4_0');
      await page.getByRole('button', { name: 'Ask huggingface.co' }).waitFor();
    },
  },
  {
    name: 'plan',
    where: 'dialog',
    says: /Download.*kB in \d files.*Memory.*Disk.*Licence.*mit/s,
    async reach(page, hosts) {
      await visit(page, hosts, REPOSITORY);
      await lookUp(page);
      await page.getByRole('button', { name: /^Download/ }).waitFor();
    },
  },
  {
    name: 'put-aside',
    where: 'notice',
    says: /is not loaded yet/,
    async reach(page, hosts) {
      await visit(page, hosts, REPOSITORY);
      await page.getByRole('button', { name: 'Cancel' }).click();
    },
  },
  {
    name: 'no-webgpu',
    where: 'page',
    says: /CPU · .*WebGPU/,
    async reach(page, { site }) {
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
      await reaches(page, 'ready');
    },
  },
  {
    name: 'low-memory',
    where: 'dialog',
    says: /too large here.*of the 0.1 GB that this device has/s,
    async reach(page, hosts) {
      await pretend(page, 'navigator', 'deviceMemory', 0.125);
      await visit(page, hosts, REPOSITORY);
      await lookUp(page);
      await page.getByRole('button', { name: /anyway/ }).waitFor();
    },
  },
  {
    name: 'gated',
    where: 'dialog',
    says: /is gated, private or not there.*Access token/s,
    async reach(page, hosts) {
      await visit(page, hosts, 'hf:gated/deepseek_v3_lite');
      await lookUp(page);
      await page.getByLabel('Access token').waitFor();
    },
  },
  {
    name: 'unsupported',
    where: 'dialog',
    says: /mamba2: not one that this engine knows/,
    async reach(page, hosts) {
      await page.route('**/revision/*', async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), config: { model_type: 'mamba2' } } });
      });
      await visit(page, hosts, REPOSITORY);
      await lookUp(page);
      await page.getByRole('button', { name: 'Other models' }).waitFor();
    },
  },
  {
    name: 'slow-line',
    where: 'page',
    says: /\d+ kB of \d+ kB · .*\/s · .* left/,
    async reach(page, { site }) {
      await page.goto(`${site.url}index.html?model=as/slow/${FIXTURE}`);
      await page.locator('.figures').filter({ hasText: 'left' }).waitFor();
    },
  },
  {
    name: 'data-saver',
    where: 'notice',
    says: /Your browser saves data/,
    async reach(page, { site }) {
      await pretend(page, 'connection', 'saveData', true);
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
    },
    async then(page) {
      await page.getByRole('button', { name: 'Load it' }).click();
      await reaches(page, 'ready');
    },
  },
  {
    name: 'offline',
    where: 'notice',
    says: /You are offline/,
    async reach(page, { site }) {
      await page.route('**/*.safetensors', async (route) => {
        await page.context().setOffline(true);
        await route.abort('internetdisconnected');
      });
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
    },
    async then(page) {
      await page.unroute('**/*.safetensors');
      await page.context().setOffline(false);
      await reaches(page, 'ready');
    },
  },
  {
    name: 'crashed',
    where: 'notice',
    says: /The page ended while .* was loading/,
    async reach(page, { site }) {
      // A page that crashes is not told that it goes.
      await page.addInitScript(() => addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true));
      await page.route('**/*.safetensors', () => {});
      await page.goto(`${site.url}index.html?model=${FIXTURE}`);
      await reaches(page, 'loading');
      await page.reload();
    },
    async then(page) {
      await page.unroute('**/*.safetensors');
      await page.getByRole('button', { name: 'Try again' }).click();
      await reaches(page, 'ready');
    },
  },
  {
    name: 'second-tab',
    where: 'notice',
    says: /Another tab has a model loaded/,
    async reach(page, hosts) {
      const first = await page.context().newPage();
      await agreed(first, hosts);
      await visit(page, hosts, REPOSITORY);
    },
  },
  {
    name: 'corrupt',
    where: 'notice',
    says: /files are not in order/,
    async reach(page, { site }) {
      await page.goto(`${site.url}index.html?model=${FIXTURES}hostile/weights/cut-in-data/`);
    },
  },
  {
    name: 'damaged',
    where: 'notice',
    says: /arrived damaged, or is not what it was/,
    async reach(page, { site }) {
      await page.context().route('**/model-00001-of-00002.safetensors', async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        body[body.length >> 1] ^= 1;
        await route.fulfill({ response, body });
      });
      await page.goto(site.url);
    },
  },
  {
    name: 'host-down',
    where: 'notice',
    says: /did not give what was asked for/,
    async reach(page, { site }) {
      await page.goto(`${site.url}index.html?model=as/gone/${FIXTURE}`);
    },
  },
  {
    name: 'storage',
    where: 'dialog',
    says: /of .* that this page may keep.*deepseek_v3_lite.*last used/s,
    async reach(page, hosts) {
      await agreed(page, hosts);
      await page.keyboard.press('Control+Shift+L');
      await page.getByRole('button', { name: 'Storage…' }).click();
    },
  },
  {
    name: 'evicted',
    where: 'notice',
    says: /Your browser removed deepseek_v3_lite/,
    async reach(page, hosts) {
      await agreed(page, hosts);
      await page.goto(`${hosts.site.url}as/blank/`);
      await page.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        for await (const name of /** @type {any} */ (root).keys()) await root.removeEntry(name, { recursive: true });
      });
      await visit(page, hosts, REPOSITORY);
    },
    async then(page) {
      await page.getByRole('button', { name: 'See the plan' }).click();
      await page.getByRole('button', { name: /^Download/ }).click();
      await reaches(page, 'ready');
    },
  },
  {
    name: 'interrupted',
    where: 'page',
    says: /MB of 8\.2 MB.* · picked up at \d\d %/,
    async reach(page, { site }) {
      await page.context().route('**/model-00002-of-00002.safetensors', () => {});
      await page.goto(site.url);
      await page.locator('.figures').filter({ hasText: /(^|· )[23]\.\d MB of/ }).waitFor();
      await page.waitForTimeout(300); // for what came to be written
      await page.reload();
    },
    async then(page) {
      await page.context().unroute('**/model-00002-of-00002.safetensors');
      await page.reload();
      await reaches(page, 'ready');
    },
  },
  {
    name: 'no-room',
    where: 'notice',
    says: /There was no room to keep the model/,
    async reach(page, { site, models }) {
      await agreed(page, { site: { url: `${site.url}as/clumsy/` }, models });
    },
  },
  {
    name: 'private',
    where: 'notice',
    says: /This browser keeps nothing here, as in a private window/,
    async reach(page, { site, models }) {
      await agreed(page, { site: { url: `${site.url}as/denied/` }, models });
    },
  },
];

/** Waits until a state can be read. @param {Page} page @param {State} state @returns {Promise<string>} what is to be read */
export async function read(page, { where, says }) {
  const place = where === 'dialog' ? page.locator('dialog.tall[open]') : page.locator(where === 'notice' ? 'moebius-chat .notice' : 'moebius-chat .dock');
  await place.filter({ hasText: says }).waitFor({ timeout: 20_000 }).catch(() => {});
  return place.innerText();
}
