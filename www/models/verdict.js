// Whether a model fits here, and why: memory, disk, time. Nothing is asked of the network for it.

import { kept } from '../policy.js';
import { number } from '../ui/format.js';
import { onDevice } from './families.js';

/** `no`: it will not do. `tight`: it may not. `unknown`: this browser does not tell. @typedef {'fits' | 'tight' | 'no' | 'unknown'} Fit */
/** @typedef {{fit: Fit, need: number, have?: number, why: 'has' | 'least' | 'page' | 'phone' | 'silent'}} Memory */
/** @typedef {{gpu: string, memory?: number, atLeast: boolean, phone: boolean, buffer: number, free?: number, persisted: boolean}} Device */

const GB = 2 ** 30;
/** A page's own memory ends here, where the CPU does the work. */
const PAGE = 4 * GB;
/** Phones are said to end tabs above this. */
const PHONE = 1.5 * GB;
/** Beside the weights: the engine, the context, what a token needs on the way. */
const BESIDE = 0.25 * GB;
/** What the system and other programs want. */
const OTHERS = 0.7;

/** What is known of this device. @returns {Promise<Device>} */
export async function device() {
  const here = /** @type {any} */ (navigator);
  const adapter = await here.gpu?.requestAdapter().catch(() => null);
  const hard = adapter && !adapter.info?.isFallbackAdapter;
  const { quota, usage = 0 } = (await here.storage?.estimate().catch(() => null)) ?? {};
  const told = here.deviceMemory;
  return {
    gpu: hard ? [adapter.info?.vendor, adapter.info?.architecture].filter(Boolean).join(' ') || 'GPU' : '',
    memory: told === undefined ? undefined : told * GB,
    atLeast: told >= 8, // browsers say no more than this, lest it tell people apart
    phone: here.userAgentData?.mobile ?? /Mobi|Android/.test(here.userAgent),
    buffer: hard ? adapter.limits.maxBufferSize : 0,
    free: quota === undefined ? undefined : quota - usage,
    persisted: (await here.storage?.persisted?.().catch(() => false)) ?? false,
  };
}

/**
 * @param {Device} here
 * @param {{bytes: number, params?: number, kind?: string}} model
 * @param {string} format
 * @returns {Memory}
 */
export function memory(here, model, format) {
  return fits(here, onDevice(model, format));
}

/** @param {Device} here @param {number} weights bytes @returns {Memory} */
export function fits(here, weights) {
  const need = weights * 1.05 + BESIDE;
  if (!here.gpu && need > PAGE) return { fit: 'no', need, have: PAGE, why: 'page' };
  if (here.phone && need > PHONE) return { fit: 'tight', need, have: PHONE, why: 'phone' };
  if (here.memory === undefined) return { fit: need > 4 * GB ? 'unknown' : 'fits', need, why: 'silent' };
  const why = here.atLeast ? 'least' : 'has';
  const have = here.memory;
  if (need <= have * OTHERS) return { fit: 'fits', need, have, why };
  if (here.atLeast) return { fit: 'unknown', need, have, why };
  return { fit: need > have ? 'no' : 'tight', need, have, why };
}

/** Whether there is room to keep it. @param {Device} here @param {number} bytes @returns {Fit} */
export function disk({ free }, bytes) {
  if (free === undefined) return 'unknown';
  if (bytes > free) return 'no';
  return bytes > 0.8 * free ? 'tight' : 'fits';
}

/** Memory as it is sold: in powers of two. @param {number} bytes */
export function gigabytes(bytes) {
  return `${number(bytes / GB, bytes < GB || bytes % GB > 0 ? 1 : 0)} GB`;
}

/** Bytes a second: as the last download had it, else as the browser reckons. @returns {{rate: number, measured: boolean}} */
export function line() {
  const { speed } = kept();
  if (speed) return { rate: speed, measured: true };
  const { downlink } = /** @type {any} */ (navigator).connection ?? {};
  return { rate: downlink ? (downlink * 1e6) / 8 : 0, measured: false };
}
