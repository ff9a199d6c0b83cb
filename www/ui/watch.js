// In a worker: tells the page what the worker asks for on the network. It is imported before the worker's own module.

import { told } from './told.js';

const to = new URL(import.meta.url).searchParams.get('to');
if (to) {
  Object.assign(globalThis, { moebiusRequests: to }); // for the workers that this one starts
  const channel = new BroadcastChannel(to);
  told((requests) => channel.postMessage(requests));
}
