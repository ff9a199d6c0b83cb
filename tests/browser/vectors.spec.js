// The kernels on the vectors of this browser's WebAssembly, each against its scalar twin: the cases that tests/kernels.rs runs natively.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { capture, run, TARGET } from '../../scripts/run.mjs';
import { bindgen } from '../../scripts/tools.mjs';
import { toolchain } from '../../scripts/wasm.mjs';
import { launch, open } from './harness.js';

const PACKAGE = join(TARGET, 'cases');

/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;
before(async () => {
  browser = await launch({ webgpu: false });
});
after(() => browser?.close());

/** Makes the module of all cases, as the engine's is made. */
async function build() {
  const { cargo, args, env } = await toolchain();
  const { ok, err } = capture(cargo, ['build', '--quiet', '-p', 'moebius-cases', '--release', ...args], { env, timeout: 900_000 });
  assert.ok(ok, err);
  const folder = args.includes('--target-dir') ? String(args[args.indexOf('--target-dir') + 1]) : TARGET;
  rmSync(PACKAGE, { recursive: true, force: true });
  const module = join(folder, 'wasm32-unknown-unknown/release/moebius_cases.wasm');
  await run(await bindgen(), ['--target', 'web', '--out-dir', PACKAGE, '--out-name', 'cases', module]);
}

test('every kernel agrees with its twin on SIMD128', { timeout: 900_000 }, async (t) => {
  await build();
  const page = await open(browser);
  await page.route('http://localhost/**', (route) => {
    const { pathname } = new URL(route.request().url());
    return pathname === '/' ? route.fulfill({ contentType: 'text/html', body: '' }) : route.fulfill({ path: join(PACKAGE, pathname) });
  });
  await page.goto('http://localhost/');
  const said = await page.evaluate(async () => {
    const path = '/cases.js';
    const { default: start, agree } = await import(path);
    await start();
    return String(agree());
  });
  for (const line of said.split('\n')) t.diagnostic(line);
  assert.deepEqual(said.match(/^on .*$/gm), ['on SIMD128']);
  const cases = [...said.matchAll(/ (\d+) cases/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  assert.ok(cases > 1000, `only ${cases} cases`);
});
