// What this page, or this worker, asked for on the network, as the browser tells it.

/** `at` is a time as `Date.now` has it; `bytes` came over the network, of another host only if it says so. @typedef {{url: string, at: number, bytes: number, by: string}} Request */

/** @param {(requests: Request[]) => void} then called with those that were, and whenever there are more */
export function told(then) {
  const { document, name: by = '' } = /** @type {{document?: object, name?: string}} */ (globalThis);
  performance.setResourceTimingBufferSize?.(1000);
  new PerformanceObserver((list) => {
    const entries = /** @type {PerformanceResourceTiming[]} */ (list.getEntries()).filter(({ name }) => /^(?:https?|wss?):/.test(name));
    if (entries.length > 0) then(entries.map(({ name, startTime, transferSize }) => ({ url: name, at: performance.timeOrigin + startTime, bytes: transferSize, by: document ? '' : by })));
  }).observe({ type: 'resource', buffered: true });
}
