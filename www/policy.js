// What this page may ask on the network: its own host, and those that the visitor agreed to for the model in the address. The browser holds it to that.

import { inherit } from './start.js';

/** Where models that were used are remembered, with what was agreed to. */
export const KEPT = 'moebius-models';

/** @typedef {{model: string, hosts: string[], agreed: 'look' | 'load', name?: string, format?: string, bytes?: number, used?: number, kept?: boolean}} Recent `kept`: in this browser, unless it was removed */

/** What is remembered; nothing where a browser keeps nothing. @returns {{recent: Recent[], speed?: number}} */
export function kept() {
  try {
    const { recent = [], ...rest } = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
    return { recent, ...rest };
  } catch {
    return { recent: [] };
  }
}

/** What was agreed to for the model that the address names. @type {Recent | undefined} */
export const agreement = kept().recent.find(({ model }) => model === new URLSearchParams(location.search).get('model'));

// A policy can be added to and never be taken back: what the document allows at most is cut down to this page's need, before anything else runs.
const meta = document.createElement('meta');
meta.httpEquiv = 'Content-Security-Policy';
meta.content = ["connect-src 'self'", ...(agreement?.hosts ?? [])].join(' ');
document.head.append(meta);
inherit();
