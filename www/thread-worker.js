// A thread of the engine's CPU path: the same module on the same memory, which does parts of products until it is let go.

import { initSync, lose, work } from './pkg/moebius_web.js';

/** Room for the calls of a kernel; a thread does nothing else. */
const STACK = 1 << 18;

addEventListener(
  'message',
  (event) => {
    const { module, memory, hall } = /** @type {import('./module-worker.js').Place} */ (event.data);
    Object.assign(globalThis, { moebiusMemory: memory });
    initSync({ module, memory, thread_stack_size: STACK });
    postMessage('ready');
    try {
      work(hall);
    } catch (error) {
      // Whoever waits for this thread's part would wait for ever.
      lose(hall);
      throw error;
    }
    close();
  },
  { once: true },
);
