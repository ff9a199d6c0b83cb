// How a download goes, as it is told: not too often, with a smoothed speed.

/** @typedef {import('../protocol.js').Progress} Progress */

/** Milliseconds between reports. */
const BETWEEN = 100;
/** Milliseconds over which speed is smoothed. */
const SMOOTH = 3000;

/**
 * @param {(progress: Progress) => void} report
 * @returns {(progress: Omit<Progress, 'speed'>) => void} to be called at every change
 */
export function meter(report) {
  let [told, speed, fetched] = [0, 0, 0];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let late;
  /** @type {Omit<Progress, 'speed'>} */
  let last;
  return function change(progress) {
    last = progress;
    const now = performance.now();
    const passed = now - told;
    // The last of all is told at once.
    if (passed < BETWEEN && progress.loaded < progress.total) {
      late ??= setTimeout(() => {
        late = undefined;
        change(last);
      }, BETWEEN - passed);
      return;
    }
    clearTimeout(late);
    late = undefined;
    if (told > 0 && passed > 0) {
      const share = 1 - Math.exp(-passed / SMOOTH);
      speed += share * ((1000 * (progress.fetched - fetched)) / passed - speed);
    }
    [told, fetched] = [now, progress.fetched];
    report({ ...progress, speed: Math.round(speed) });
  };
}
