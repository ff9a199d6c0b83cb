// How the threads of the CPU path sleep and wake each other, and where a panic is told. Numbers and text alone are handed over:
// what else wasm-bindgen hands over it keeps in tables of the first thread.

/** The module's memory, which its worker keeps there. @returns {Int32Array} */
function words() {
  const { moebiusMemory } = /** @type {{moebiusMemory?: WebAssembly.Memory}} */ (globalThis);
  return new Int32Array(/** @type {WebAssembly.Memory} */ (moebiusMemory).buffer);
}

/**
 * Sleeps while the word at an address is `seen`, until woken or for `most` milliseconds.
 * @param {number} address
 * @param {number} seen
 * @param {number} most
 */
export function sleep(address, seen, most) {
  Atomics.wait(words(), address >>> 2, seen, most);
}

/** @param {number} address */
export function wake(address) {
  Atomics.notify(words(), address >>> 2);
}

/** @returns {number} milliseconds */
export function now() {
  return performance.now();
}

/** @param {string} text */
export function keepPanic(text) {
  Object.assign(globalThis, { moebiusPanic: text });
}
