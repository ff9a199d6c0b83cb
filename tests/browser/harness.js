// What every browser spec starts from: `moebius serve` on a free port, and Chromium with or without WebGPU.
//
// A missing program, browser or adapter is a failure with a sentence, never a skip.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { chromium as playwright } from 'playwright-core';

import { ROOT, TARGET } from '../../scripts/run.mjs';
import { chromium } from '../../scripts/tools.mjs';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */

/** The root and `--no-sandbox`: CI runs as root in a container. The others keep Chromium from calling home. */
const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * WebGPU in software. Without these, Chromium on a machine without a GPU has no adapter: a visitor without WebGPU.
 * The watchdog ends a GPU process that is silent for some seconds, as one that compiles shaders on a busy machine may be.
 */
const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-unsafe-swiftshader',
  '--disable-gpu-watchdog',
];

/** WebGPU on the machine's own GPU, without a screen. */
const HARDWARE = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-angle=vulkan',
  '--disable-vulkan-surface',
  '--ignore-gpu-blocklist',
];

/** Of a browser that is started by hand. */
export const FLAGS = Object.freeze({ quiet: QUIET, webgpu: WEBGPU });

/** Sizes of window that specs are shown in, in CSS pixels. */
export const SIZES = Object.freeze({
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
});

/** Where screenshots go; not committed. */
const RESULTS = join(ROOT, 'test-results');

/**
 * Serves a folder as a visitor's host would.
 * @param {string} [folder] relative to the repository's root; the page by default
 * @returns {Promise<{url: string, stop: () => Promise<void>}>} `url` ends with a slash
 */
export async function serve(folder = '.') {
  const program = join(TARGET, 'debug/moebius');
  if (!existsSync(program)) throw new Error(`${program} is missing: cargo build -p moebius-cli`);
  // Port 0: the system picks a free one, and the first line on stdout tells it.
  const child = spawn(program, ['serve', join(ROOT, folder), '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (/** @type {Buffer} */ data) => (log += data));
  const ended = new Promise((resolve) => child.on('close', resolve));
  const stop = async () => {
    child.kill();
    await ended;
  };
  for await (const line of createInterface({ input: child.stdout })) return { url: line.trim(), stop };
  await ended;
  throw new Error(`moebius serve ended with ${child.exitCode}: ${log}`);
}

/**
 * Starts Chromium.
 * @param {{webgpu?: boolean | 'hardware'}} [options] `webgpu`: with a software adapter (the default), with the machine's
 *   own, or with none
 * @returns {Promise<Browser>}
 */
export async function launch({ webgpu = true } = {}) {
  return playwright.launch(browser(webgpu));
}

/**
 * Starts Chromium with a profile, as people have one, which goes when it closes: pages opened by `launch` are private windows,
 * whose files Chromium writes slowly.
 * @param {{webgpu?: boolean | 'hardware'}} [options] as of `launch`
 */
export async function launchPlain({ webgpu = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'moebius-profile-'));
  const context = await playwright.launchPersistentContext(folder, browser(webgpu));
  const { close } = context;
  return Object.assign(context, {
    close: async () => {
      await close.call(context);
      await discard(folder);
    },
  });
}

/** Removes the folder of a browser that was closed; its helpers write for a moment longer. @param {string} folder */
export async function discard(folder) {
  for (let tries = 50; ; tries--) {
    try {
      return rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

/** @param {boolean | 'hardware'} webgpu */
function browser(webgpu) {
  const executablePath = chromium();
  if (executablePath === null) throw new Error('Chromium is missing: npm run setup browser');
  const adapter = webgpu === 'hardware' ? HARDWARE : webgpu ? WEBGPU : [];
  return { executablePath, args: [...QUIET, ...adapter] };
}

/**
 * Opens a page with a profile of its own: no cache, no storage.
 * @param {Browser} browser
 * @param {{size?: keyof typeof SIZES, scheme?: 'light' | 'dark', reducedMotion?: boolean, worker?: boolean}} [options] `worker`: whether the page may have its service worker
 * @returns {Promise<Page & {problems: string[]}>} `problems` gathers uncaught errors, and errors and warnings of the console
 */
export async function open(browser, { size = 'desktop', scheme = 'light', reducedMotion = false, worker = false } = {}) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: scheme,
    reducedMotion: reducedMotion ? 'reduce' : 'no-preference',
    deviceScaleFactor: size === 'phone' ? 2 : 1,
    hasTouch: size === 'phone',
  });
  // Most specs are about one visit; a worker would keep files for the next.
  if (!worker) await context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined }));
  const page = await context.newPage();
  /** @type {string[]} */
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  return Object.assign(page, { problems });
}

/**
 * Takes a screenshot into test-results/.
 * @param {Page} page
 * @param {string} name without extension
 * @returns {Promise<string>} its path
 */
export async function screenshot(page, name) {
  mkdirSync(RESULTS, { recursive: true });
  const path = join(RESULTS, `${name}.png`);
  await page.screenshot({ path });
  return path;
}

/**
 * What the page's WebGPU adapter is.
 * @param {Page} page on a secure origin, localhost included
 * @returns {Promise<{vendor: string, features: string[], limits: {storageBuffers: number}}>} rejects where there is none
 */
export async function adapter(page) {
  const found = await page.evaluate(async () => {
    const gpu = await navigator.gpu?.requestAdapter();
    if (!gpu) return null;
    return {
      vendor: `${gpu.info.vendor} ${gpu.info.architecture}`,
      features: [...gpu.features],
      limits: { storageBuffers: gpu.limits.maxStorageBuffersPerShaderStage },
    };
  });
  if (found === null) throw new Error('this Chromium has no WebGPU adapter: are the flags in harness.js still right?');
  return found;
}
