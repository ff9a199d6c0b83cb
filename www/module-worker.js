// Which module of the engine a worker takes, and its threads: on shared memory where the page is isolated and no GPU does the work.

import init, { Engine } from './pkg/moebius_web.js';
import { startWorker } from './start.js';

/** Unless more are asked for: above this, threads wait for each other longer than they help, and a phone gets hot. */
const MOST = 8;

/** Pages of 64 KiB: more than the module begins with, and as many as it can have. Memory that nobody has written costs nothing. */
const PAGES = { initial: 512, maximum: 65_536 };

/** How long a thread may take to come, in milliseconds. */
const PATIENCE = 10_000;

/** What a thread needs to join. @typedef {{module: WebAssembly.Module, memory: WebAssembly.Memory, hall: number}} Place */

/** How many threads there are with the first, and why not more. @typedef {{threads: number, lack: string}} Crew */

/**
 * The engine of a device's module, and what starts the threads of its CPU path.
 * @param {import('./protocol.js').DeviceChoice} device
 * @param {number | null} most threads
 * @returns {Promise<{Engine: typeof Engine, hire: (...place: any[]) => Promise<Crew>}>}
 */
export async function load(device, most) {
  const cores = navigator.hardwareConcurrency;
  // Two of what a browser counts are often one core, which threads would have to share.
  const wanted = most ?? Math.min(cores > 2 ? Math.ceil(cores / 2) : cores, MOST);
  let lack = globalThis.crossOriginIsolated || wanted < 2 ? '' : 'one thread, as the page is not cross-origin isolated';
  let memory = null;
  if (lack === '' && wanted > 1) {
    if (device === 'gpu' || (device === 'auto' && (await gpu()))) {
      lack = 'one thread, as a GPU was to do the work';
    } else {
      memory = shared();
      if (memory === null) lack = 'one thread, as the browser has no address space to share';
    }
  }
  if (memory === null) {
    await init({ memory: new WebAssembly.Memory(PAGES) });
    return { Engine, hire: async () => ({ threads: 1, lack }) };
  }
  Object.assign(globalThis, { moebiusMemory: memory });
  const fill = crypto.getRandomValues.bind(crypto);
  // It takes no memory that is shared.
  crypto.getRandomValues = (view) => {
    const bytes = /** @type {Uint8Array} */ (/** @type {unknown} */ (view));
    bytes.set(fill(new Uint8Array(bytes.length)));
    return view;
  };
  await init({ module_or_path: new URL('./pkg/moebius_web_threads.wasm', import.meta.url), memory });
  return { Engine, hire };

  /** @param {WebAssembly.Module} module @param {WebAssembly.Memory} memory @param {number} hall */
  async function hire(module, memory, hall) {
    const coming = Array.from({ length: wanted - 1 }, (_, i) => thread(`moebius ${i + 1}`, { module, memory, hall }));
    const threads = 1 + (await Promise.all(coming)).filter(Boolean).length;
    return { threads, lack: threads < wanted ? `${wanted - threads} of ${wanted} threads did not start` : '' };
  }
}

/** @returns {Promise<boolean>} whether there is a GPU that is not a program on the CPU */
async function gpu() {
  const { gpu } = /** @type {{gpu?: {requestAdapter(): Promise<{info?: {isFallbackAdapter?: boolean}} | null>}}} */ (navigator);
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter?.info?.isFallbackAdapter;
}

/** @returns {WebAssembly.Memory | null} as large as the browser can reserve */
function shared() {
  for (let { maximum } = PAGES; maximum > PAGES.initial; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ ...PAGES, maximum, shared: true });
    } catch {
      continue; // the address space of a phone may be too small
    }
  }
  return null;
}

/**
 * Starts a thread.
 * @param {string} name what tools show
 * @param {Place} place
 * @returns {Promise<boolean>} whether it came
 */
function thread(name, place) {
  return new Promise((resolve) => {
    const worker = startWorker('./thread-worker.js', name);
    setTimeout(resolve, PATIENCE, false);
    worker.addEventListener('message', () => resolve(true), { once: true });
    // One that stops in the middle has said so itself.
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      resolve(false);
    });
    worker.postMessage(place);
  });
}
