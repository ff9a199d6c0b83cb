// The worker of drive.mjs: one driver, one call at a time.

import { open } from './drive.mjs';

/** @type {Record<string, (...args: any[]) => Promise<any>>} */
let acts = {
  open: async (path) => {
    acts = { ...acts, ...(await open(path)) };
  },
};

addEventListener('message', async ({ data: { act, args } }) => {
  try {
    postMessage({ value: await acts[act]?.(...args) });
  } catch (error) {
    postMessage({ error: String(error instanceof Error ? error.stack : error) });
  }
});
