// Every check that runs no model: format, lints, rules about the code, types, dependencies, size, and that tests compile. All run;
// all failures are told.

import { build } from './build.mjs';
import { Failure, program, run, say } from './run.mjs';
import { setup } from './setup.mjs';
import { sizes } from './size.mjs';
import { deny, npmProgram } from './tools.mjs';
import { toolchain } from './wasm.mjs';

const WARNINGS = ['--', '-D', 'warnings'];

/**
 * Checks by name, in two rows that run side by side: what compiles for this machine, and what compiles for wasm32. Each has a folder
 * of its own to build in, and where one links, on one core, the other goes on. The build installs wasm-bindgen where it is not there,
 * which takes minutes too.
 * @type {Record<string, () => Promise<void>>[]}
 */
const CHECKS = [
  {
    format: () => run('cargo', ['fmt', '--all', '--check']),
    'lints, native': () => run('cargo', ['clippy', '--quiet', '--workspace', '--all-targets', ...WARNINGS]),
    tests: () => run('cargo', ['test', '--quiet', '--workspace', '--no-run']),
    rules: () => run('cargo', ['test', '--quiet', '--workspace', '--test', 'tidy']),
  },
  {
    build,
    size: async () => sizes(),
    'types, page': () => run(npmProgram('tsc'), ['-p', 'tsconfig.json']),
    'types, workers': () => run(npmProgram('tsc'), ['-p', 'tsconfig.worker.json']),
    'types, scripts': () => run(npmProgram('tsc'), ['-p', 'tsconfig.node.json']),
    dependencies: async () => run(await deny(), ['--locked', 'check', 'licenses', 'bans', 'sources']),
    'lints, wasm32': async () => {
      const { clippy, args, env } = await toolchain();
      await run(clippy, ['clippy', '--quiet', '-p', 'moebius-web', ...args, ...WARNINGS], { env });
    },
  },
];

/**
 * Runs every check.
 * @returns {Promise<string[]>} the names of those that failed
 */
export async function check() {
  const failed = await Promise.all(CHECKS.map((row) => inTurn(row)));
  return failed.flat();
}

/** @param {Record<string, () => Promise<void>>} checks @returns {Promise<string[]>} the names of those that failed */
async function inTurn(checks) {
  const failed = [];
  for (const [name, one] of Object.entries(checks)) {
    const start = performance.now();
    try {
      await one();
      say(`check: ${name}: good (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(`check: ${name}: ${error.message}`);
      failed.push(name);
    }
  }
  return failed;
}

program(import.meta.url, async () => {
  await setup('rust', 'npm', 'deny');
  const failed = await check();
  if (failed.length > 0) throw new Failure(`checks that failed: ${failed.join('; ')}`);
  say('every check is good');
});
