// Figures as people read them.

import { LANGUAGE, TEXT } from './text.js';

/** By digits behind the point: making one takes longer than all that it is used for. @type {Intl.NumberFormat[]} */
const FORMATS = [];

/** @param {number} value @param {number} [digits] behind the point */
export function number(value, digits = 0) {
  FORMATS[digits] ??= new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return FORMATS[digits].format(value);
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1e6) return `${number(Math.max(1, bytes / 1e3))} kB`;
  if (bytes < 1e9) return `${number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;
  return `${number(bytes / 1e9, 2)} GB`;
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  return `${number(whole / 3600, 1)} h`;
}

/** @param {number} perSecond */
export function speed(perSecond) {
  return TEXT.perSecond(number(perSecond, perSecond < 10 ? 1 : 0));
}

/** Where a model runs, and why there. @param {import('../protocol.js').Info | null} [info] */
export function where(info) {
  if (!info) return '';
  const { kind, name, why, fallbacks } = info.device;
  if (kind === 'cpu') return `CPU · ${why || name}`;
  return [`GPU · ${name}`, ...fallbacks].join(' · ');
}
