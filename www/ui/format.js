// Figures as people read them.

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  return `${(whole / 3600).toFixed(1)} h`;
}

/** @param {number} perSecond */
export function speed(perSecond) {
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} tokens/s`;
}

/** Where a model runs, and why there. @param {import('../protocol.js').Info | null} [info] */
export function where(info) {
  if (!info) return '';
  const { kind, name, why, fallbacks } = info.device;
  if (kind === 'cpu') return `CPU · ${why || name}`;
  return [`GPU · ${name}`, ...fallbacks].join(' · ');
}
