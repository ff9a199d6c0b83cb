// Every test that CI runs: set-up, checks, Rust on the CPU and on two software GPUs, the page in Chromium.
//
// Nothing may be skipped: a skip counts, is shown in the last line, and fails the run like a failure.

import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { check } from './check.mjs';
import { Failure, program, ROOT, run, say } from './run.mjs';
import { setup } from './setup.mjs';
import { drivers } from './tools.mjs';

/** What all runs of all runners add up to. */
const total = { passed: 0, failed: 0, skipped: 0 };

/**
 * Adds up a runner's closing lines, cargo's or Node's.
 * @param {typeof total} tally
 * @param {string} line
 */
function count(tally, line) {
  const cargo = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/.exec(line);
  if (cargo) {
    tally.passed += Number(cargo[1]);
    tally.failed += Number(cargo[2]);
    tally.skipped += Number(cargo[3]);
  }
  const node = /^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$/.exec(line);
  if (node) {
    const kind = node[1] === 'pass' ? 'passed' : node[1] === 'fail' || node[1] === 'cancelled' ? 'failed' : 'skipped';
    tally[kind] += Number(node[2]);
  }
}

/** What also runs on the least profile: other tests of the GPU are about what does not depend on it. */
const PROFILED = ['--workspace', '--test', 'kernels', '--test', 'models', '--test', 'selftest'];

/** Of the browser's tests, those that ask for milliseconds: nothing runs beside them. */
const TIMED = ['access.spec.js', 'markdown.spec.js', 'page.spec.js'];

/** @returns {string[]} the test files that ask for a GPU */
function gpuTests() {
  const names = readdirSync(join(ROOT, 'tests')).filter((name) => name.endsWith('.rs'));
  const found = names.filter((name) => readFileSync(join(ROOT, 'tests', name), 'utf8').includes(' = adapter::gpu('));
  if (found.length === 0) throw new Failure('no test uses a GPU: has adapter::gpu in tests/adapter.rs another name now?');
  return found.map((name) => name.slice(0, -'.rs'.length));
}

/**
 * Runs a runner and counts. One that fails without a failed test, or runs no test at all, counts as a failure.
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
async function tests(name, command, args, env = {}) {
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const start = performance.now();
  try {
    // Without a runtime folder the Vulkan loader complains at every device, though tests need no display.
    const quiet = { XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() };
    await run(command, args, { env: { MOEBIUS_STRICT: '1', ...quiet, ...env }, onLine: (line) => count(tally, line) });
    if (tally.passed === 0) throw new Failure('no test ran');
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(`${name}: ${error.message}`);
    tally.failed = Math.max(tally.failed, 1);
  }
  for (const kind of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[kind] += tally[kind];
  say(`${name}: ${tally.passed} passed, ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

program(import.meta.url, async () => {
  await setup('rust', 'npm', 'deny', 'browser');
  const failed = await check();
  total.failed += failed.length;

  // After the first driver only the test files that use a GPU are run again: the others would give the same answers. The drivers take
  // a core and a half each, and go side by side.
  const gpu = ['--workspace', ...gpuTests().flatMap((test) => ['--test', test])];
  const row = async (/** @type {ReturnType<typeof drivers>[number]} */ { name, file }, /** @type {number} */ index) => {
    const title = `Rust tests on ${index === 0 ? 'the CPU and ' : ''}${name}`;
    const env = { VK_DRIVER_FILES: String(file) };
    await tests(title, 'cargo', ['test', '--no-fail-fast', ...(index === 0 ? ['--workspace'] : gpu)], env);
    // Kernels and models without subgroups and inside WebGPU's default limits too, as the weakest device has it.
    const least = { ...env, MOEBIUS_PROFILE: 'least' };
    await tests(`GPU tests on ${name}, least profile`, 'cargo', ['test', '--no-fail-fast', ...PROFILED], least);
  };
  await Promise.all(drivers().map(row));

  const folder = join(ROOT, 'tests/browser');
  const specs = readdirSync(folder).filter((name) => name.endsWith('.spec.js'));
  const browser = (/** @type {string} */ title, /** @type {string[]} */ names, /** @type {number} */ atOnce) =>
    tests(title, process.execPath, ['--test', '--test-reporter=spec', `--test-concurrency=${atOnce}`, ...names.map((name) => join(folder, name))]);
  // They wait for half of their time: two files at once.
  await browser('browser tests', specs.filter((name) => !TIMED.includes(name)), 2);
  await browser('browser tests with a clock', TIMED, 1);

  const { passed, skipped } = total;
  if (failed.length > 0) say(`checks that failed: ${failed.join('; ')}`);
  if (total.failed > 0 || skipped > 0 || passed === 0) process.exitCode = 1;
  console.log(`${passed} passed, ${total.failed} failed, ${skipped} skipped`);
});
