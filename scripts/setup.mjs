// Set-up: finds or installs what the other scripts need, says what it did, and does nothing the second time.
//
//     node scripts/setup.mjs [rust] [wasm] [npm] [deny] [browser]      all of them without arguments

import { packages } from './debian.mjs';
import { capture, Failure, program, say } from './run.mjs';
import { bindgen, chromium, deny, drivers, npmPackages } from './tools.mjs';
import { vendor } from './vendor.mjs';
import { toolchain } from './wasm.mjs';

/** Parts by name: each finds or installs, and returns what a person may want to know. */
const PARTS = {
  /** Compiling the page's engine. */
  rust: async () => (await toolchain()).name,
  /** Binding it to JavaScript. */
  wasm: async () => capture(await bindgen(), ['--version']).out,
  /** Type checks, wasm-opt, driving a browser, and what the page takes from npm. */
  npm: async () => {
    await npmPackages();
    vendor();
    return 'packages of package-lock.json';
  },
  /** Licences and sources of dependencies. */
  deny: async () => capture(await deny(), ['--version']).out,
  /** A browser and Vulkan in software, for tests without a GPU. */
  browser: async () => {
    const complete = () => chromium() !== null && drivers().every(({ file }) => file !== null);
    if (!complete()) await packages(['chromium', 'mesa-vulkan-drivers', 'libvulkan1'], 'to run the tests without a GPU');
    if (!complete()) throw new Failure('Chromium, lavapipe or SwiftShader is not where its package should have put it');
    const browser = capture(String(chromium()), ['--version']).out.split(' built')[0];
    return `${browser}; ${drivers().map(({ name }) => name).join(', ')}`;
  },
};

/** @typedef {keyof typeof PARTS} Part */

/**
 * Makes sure of some parts, in order.
 * @param {Part[]} parts
 */
export async function setup(...parts) {
  for (const part of parts) {
    const start = performance.now();
    const found = await PARTS[part]();
    say(`${part}: ${found} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  }
}

program(import.meta.url, async (args) => {
  const all = /** @type {Part[]} */ (Object.keys(PARTS));
  for (const arg of args) {
    if (!all.some((part) => part === arg)) throw new Failure(`no part is called ${arg}; there are ${all.join(', ')}`);
  }
  await setup(...(args.length === 0 ? all : all.filter((part) => args.includes(part))));
});
