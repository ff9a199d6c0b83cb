// Builds the page's engine: cargo for wasm32, wasm-bindgen into www/pkg, wasm-opt; then prints its size against the budget.

import { renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { capture, Failure, program, ROOT, run, say, TARGET } from './run.mjs';
import { setup } from './setup.mjs';
import { sizes } from './size.mjs';
import { bindgen, npmProgram } from './tools.mjs';
import { toolchain } from './wasm.mjs';

const PKG = join(ROOT, 'www/pkg');
const WASM = join(PKG, 'moebius_web_bg.wasm');
/** Where it is made: what was interrupted is never taken for what is built. */
const NEXT = `${PKG}.next`;

/** What rustc's target allows itself and wasm-opt has to be told; `-O2` for speed, since the wasm is also the CPU path. */
const OPTIMISE = [
  '-O2',
  '--enable-simd',
  '--enable-bulk-memory',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--enable-reference-types',
  '--enable-multivalue',
];

/** Compiles, binds and optimises, skipping what is up to date. */
export async function build() {
  const { cargo, args, env } = await toolchain();
  await run(cargo, ['build', '-p', 'moebius-web', '--release', ...args], { env });

  const folder = args.includes('--target-dir') ? String(args[args.indexOf('--target-dir') + 1]) : TARGET;
  const built = join(folder, 'wasm32-unknown-unknown/release/moebius_web.wasm');
  const fresh = statSync(WASM, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (fresh <= statSync(built).mtimeMs) {
    rmSync(NEXT, { recursive: true, force: true });
    await run(await bindgen(), ['--target', 'web', '--out-dir', NEXT, '--out-name', 'moebius_web', built]);
    say('wasm-opt -O2');
    const wasm = join(NEXT, 'moebius_web_bg.wasm');
    const { ok, err } = capture(npmProgram('wasm-opt'), [wasm, '-o', wasm, ...OPTIMISE], { timeout: 900_000 });
    if (!ok) throw new Failure(`wasm-opt: ${err}`);
    rmSync(PKG, { recursive: true, force: true });
    renameSync(NEXT, PKG);
  }
}

program(import.meta.url, async () => {
  await setup('wasm', 'npm');
  await build();
  sizes();
});
