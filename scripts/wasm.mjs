// The Rust toolchain for wasm32: rustup's where it has the target or can fetch it, Debian's with a std built here otherwise.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { packages } from './debian.mjs';
import { capture, Failure, find, say, tools } from './run.mjs';

const TRIPLE = 'wasm32-unknown-unknown';

/** Debian's compiler, its std's source (no std for wasm32 is packaged), and the linker it is set up for. */
const DEBIAN = ['rustc-web', 'cargo-web', 'rust-web-clippy', 'rust-web-src', 'lld-19'];

/** How long rustup may try: a machine without a way to its server must not wait for ever. */
const PATIENCE_MS = 180_000;

/**
 * How to run cargo for wasm32.
 * @typedef {object} Toolchain
 * @property {string} name for people
 * @property {string} cargo
 * @property {string} clippy takes the place of `cargo` before `clippy`
 * @property {string[]} args go after cargo's subcommand
 * @property {Record<string, string>} env
 */

/** @returns {boolean} whether the rustc on PATH has a std for wasm32 */
function present() {
  const { ok, out } = capture('rustc', ['--print', 'sysroot']);
  return ok && existsSync(join(out, 'lib/rustlib', TRIPLE, 'lib'));
}

/** @returns {Toolchain} */
function own() {
  return { name: capture('rustc', ['-V']).out, cargo: 'cargo', clippy: 'cargo', args: ['--target', TRIPLE], env: {} };
}

/** @returns {Promise<Toolchain>} */
async function debian() {
  await packages(DEBIAN, 'to compile to WebAssembly');
  const rustc = '/usr/bin/rustc';
  return {
    name: `${capture(rustc, ['-V']).out}, building its own std`,
    cargo: '/usr/bin/cargo',
    // Called directly: cargo looks for its subcommands in ~/.cargo/bin first, where rustup's may be.
    clippy: '/usr/bin/cargo-clippy',
    // Its own folder: two compilers in one would rebuild each other's build scripts at every change.
    args: ['--target', TRIPLE, '-Z', 'build-std=std,panic_abort', '--target-dir', tools('debian')],
    env: {
      PATH: `/usr/bin:${process.env.PATH}`,
      RUSTC: rustc,
      RUSTC_BOOTSTRAP: '1', // build-std is unstable, and needed only for want of a packaged std
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: 'wasm-ld-19',
    },
  };
}

/**
 * Finds or installs the toolchain. That rustup could not help is remembered, so that only the first call waits for it.
 * @returns {Promise<Toolchain>}
 */
export async function toolchain() {
  if (find('rustc') === null) {
    throw new Failure('Rust is missing: install it as https://rustup.rs says, or with apt-get install rustc-web cargo-web');
  }
  if (present()) return own();
  const note = tools('rustup-answer');
  const refused = existsSync(note) && readFileSync(note, 'utf8') === capture('rustc', ['-V']).out;
  if (find('rustup') !== null && !refused) {
    say(`rustup target add ${TRIPLE}`);
    const added = capture('rustup', ['target', 'add', TRIPLE], { timeout: PATIENCE_MS });
    if (added.ok && present()) return own();
    say(`rustup cannot add ${TRIPLE} here (${added.err.split('\n').pop() || 'no answer'}); using Debian's compiler`);
    writeFileSync(note, capture('rustc', ['-V']).out);
  }
  return debian();
}
