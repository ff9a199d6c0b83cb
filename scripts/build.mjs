// Builds the page's engine: cargo for wasm32, wasm-bindgen into www/pkg, wasm-opt; then prints its size against the budget.

import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { listFiles } from './files.mjs';
import { Failure, program, ROOT, run, say, TARGET } from './run.mjs';
import { setup } from './setup.mjs';
import { sizes } from './size.mjs';
import { bindgen, npmProgram } from './tools.mjs';
import { toolchain } from './wasm.mjs';

const PKG = join(ROOT, 'www/pkg');
const WASM = join(PKG, 'moebius_web_bg.wasm');
/** Where it is made: what was interrupted is never taken for what is built. */
const NEXT = `${PKG}.next`;

/**
 * What the module is linked with. Its memory is shared, and given to it. The standard library that comes built for wasm32 knows of one
 * thread: the linker is not to mind, since threads use none of it but the heap (crate/web/src/heap.rs), and atomics are compiled as
 * such everywhere, as all is one unit (`lto`). LLVM is not to count the pointers of loops on in its own way: it forgets on the way that
 * they do not wrap, so that loads have no offsets of their own; prompts take 1.05 times as long then, and the module 4 KB more.
 */
const LINK = [
  '-Ctarget-feature=+atomics',
  '-Cllvm-args=-disable-lsr',
  ...[
    '--shared-memory',
    '--import-memory',
    '--initial-memory=16777216',
    '--max-memory=4294967296',
    '--no-check-features',
    ...['__wasm_init_tls', '__tls_size', '__tls_align', '__tls_base'].map((name) => `--export=${name}`),
  ].map((flag) => `-Clink-arg=${flag}`),
];

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
  '--enable-threads',
];

/** Compiles, binds and optimises, skipping what is up to date. */
export async function build() {
  const { cargo, args, env } = await toolchain();
  await run(cargo, ['rustc', '-p', 'moebius-web', '--release', ...args, '--', ...LINK], { env });

  const folder = args.includes('--target-dir') ? String(args[args.indexOf('--target-dir') + 1]) : TARGET;
  const built = join(folder, 'wasm32-unknown-unknown/release/moebius_web.wasm');
  const fresh = statSync(WASM, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (fresh <= statSync(built).mtimeMs) {
    rmSync(NEXT, { recursive: true, force: true });
    await run(await bindgen(), ['--target', 'web', '--out-dir', NEXT, '--out-name', 'moebius_web', built]);
    say('wasm-opt -O2');
    const wasm = join(NEXT, 'moebius_web_bg.wasm');
    await run(npmProgram('wasm-opt'), [wasm, '-o', wasm, ...OPTIMISE]);
    alone(wasm, join(NEXT, 'moebius_web_threads.wasm'));
    // What wasm-bindgen writes is for reading: without its comments and long names it is 3 KB less to wait for.
    const glue = join(NEXT, 'moebius_web.js');
    await run(npmProgram('esbuild'), [glue, '--minify', '--log-level=warning', '--allow-overwrite', `--outfile=${glue}`]);
    rmSync(PKG, { recursive: true, force: true });
    renameSync(NEXT, PKG);
  }
  listFiles();
}

/**
 * Of a module on shared memory, makes the one for a page that may not share any: they differ in one bit of the memory that they import.
 * @param {string} path the module, which becomes the other
 * @param {string} shared what it is then called
 */
function alone(path, shared) {
  const bytes = readFileSync(path);
  writeFileSync(shared, bytes);
  // A name and its length, a memory, and its limits: shared and with a maximum.
  const memory = Buffer.from('\x06memory\x02\x03', 'latin1');
  const at = bytes.indexOf(memory);
  if (at < 0 || bytes.indexOf(memory, at + 1) >= 0) throw new Failure(`${path}: where does it import its memory?`);
  bytes[at + memory.length - 1] = 1;
  writeFileSync(path, bytes);
}

program(import.meta.url, async () => {
  await setup('rust', 'wasm', 'npm');
  await build();
  sizes();
});
