// Models that were used or agreed to, remembered in this browser.

import { KEPT, kept } from '../policy.js';

/** @typedef {import('../policy.js').Recent} Recent */

/** As many are remembered. */
const MOST = 12;
/** Downloads below this say little of the line. */
const TELLING = 8e6;

/** @param {{recent: Recent[], speed?: number}} all @returns {boolean} whether this browser keeps it */
function keep(all) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(all));
    return true;
  } catch {
    return false;
  }
}

/** The most recent first. @returns {Recent[]} */
export function recent() {
  return kept().recent.filter(({ agreed }) => agreed === 'load');
}

/** @param {Recent} one in place of what was remembered of it */
export function remember(one) {
  const { recent, ...rest } = kept();
  const others = recent.filter(({ model }) => model !== one.model);
  return keep({ ...rest, recent: [{ ...one, used: Date.now() }, ...others].slice(0, MOST) });
}

/** @param {string} model */
export function forget(model) {
  const { recent, ...rest } = kept();
  keep({ ...rest, recent: recent.filter((one) => one.model !== model) });
}

let forgotten = false;

/** Nothing is left, nor comes of what is at work. */
export function forgetAll() {
  forgotten = true;
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // Nothing was kept.
  }
}

/** How fast a download was. @param {number} bytes @param {number} seconds */
export function measured(bytes, seconds) {
  if (bytes > TELLING && seconds > 0 && !forgotten) keep({ ...kept(), speed: Math.round(bytes / seconds) });
}
