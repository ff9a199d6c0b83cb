// What a model's host says of it before any of its weights are asked for: size, licence, family, and whether it may be had.

import { repository } from '../places/place.js';
import { modelUrl } from '../protocol.js';
import { ARCHITECTURES, FAMILIES, kindOf } from './families.js';

/** @typedef {{bytes: number, files: number, name: string, kind: string, params?: number, licence?: string, family?: string, unsupported?: boolean, commit?: string, gated?: boolean, packed?: boolean}} Facts */

/** Files of a folder that the engine reads. */
const READ = /^(config|generation_config|tokenizer|tokenizer_config|moebius|model\.safetensors\.index)\.json$|^chat_template\.jinja$|^[^/]+\.safetensors$/;

/** A lookup that failed; `gated` where a token would help, `offline` where there is no network. */
export class NotFound extends Error {
  /** @param {string} message @param {{gated?: boolean, offline?: boolean}} [why] */
  constructor(message, { gated = false, offline = false } = {}) {
    super(message);
    this.gated = gated;
    this.offline = offline;
  }
}

/**
 * @param {import('./where.js').Where} where
 * @param {{token?: string, hub?: string, signal?: AbortSignal}} how
 * @returns {Promise<Facts>} rejects with {@link NotFound}
 */
export async function look(where, how) {
  try {
    return where.id ? await ofHub(where, how) : await ofHost(where, how.signal);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw error instanceof NotFound ? error : new NotFound(message, { gated: /gated, private/.test(message), offline: !navigator.onLine });
  }
}

/** @param {import('./where.js').Where} where @param {{token?: string, hub?: string, signal?: AbortSignal}} how @returns {Promise<Facts>} */
async function ofHub(where, how) {
  const { facts, files, path } = await repository({ model: where.model, ...how });
  const parts = path.replace(/-00001(-of-\d+\.gguf)$/i, '-*$1');
  const wanted = files.filter((file) => (path ? file.path.replace(/-\d{5}(-of-\d+\.gguf)$/i, '-*$1') === parts : READ.test(file.path)));
  const family = path ? facts.gguf?.architecture : facts.config?.model_type;
  return {
    name: where.name,
    bytes: wanted.reduce((sum, { size }) => sum + size, 0),
    files: wanted.length,
    kind: path ? kindOf(path) : '',
    params: path ? facts.gguf?.total : facts.safetensors?.total,
    licence: facts.cardData?.license_name ?? facts.cardData?.license,
    family,
    unsupported: family !== undefined && !(path ? ARCHITECTURES : FAMILIES).includes(family),
    commit: facts.sha,
    gated: Boolean(facts.gated),
    packed: !path && files.some(({ path }) => path === 'moebius.json'),
  };
}

/** @param {import('./where.js').Where} where @param {AbortSignal} [signal] @returns {Promise<Facts>} */
async function ofHost({ model, name }, signal) {
  const url = modelUrl(model, document.baseURI);
  if (/\.gguf$/i.test(url.pathname)) return { name, bytes: await size(url, signal), files: 1, kind: kindOf(name) };
  const at = (/** @type {string} */ file) => new URL(file, url);
  const pack = await json(at('moebius.json'), signal);
  const config = await json(at('config.json'), signal);
  if (!config) throw new NotFound(`${url.href} has no config.json`);
  const index = await json(at('model.safetensors.index.json'), signal);
  const shards = index ? new Set(Object.values(index.weight_map ?? {})).size : 1;
  const bytes = Number(index?.metadata?.total_size) || (await size(at('model.safetensors'), signal));
  const family = String(config.model_type);
  return { name, bytes, files: shards, kind: '', family, unsupported: !FAMILIES.includes(family), packed: Boolean(pack) };
}

/** @param {URL} url @param {AbortSignal} [signal] @returns {Promise<any>} null where there is none */
async function json(url, signal) {
  const answer = await reached(url, { signal });
  return answer.ok && /json|octet|text\/plain/.test(answer.headers.get('content-type') ?? 'json') ? answer.json().catch(() => null) : null;
}

/** Asks for one byte, which tells of how many. @param {URL} url @param {AbortSignal} [signal] */
async function size(url, signal) {
  const leave = new AbortController();
  const stop = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
  const answer = await reached(url, { signal: stop, headers: { range: 'bytes=0-0' } });
  const { status, headers } = answer;
  leave.abort(); // it may have begun to send everything
  if (!answer.ok) throw new NotFound(`${url.href}: HTTP status ${status}`, { gated: status === 401 || status === 403 });
  return Number(headers.get('content-range')?.split('/')[1] ?? headers.get('content-length')) || 0;
}

/** @param {URL} url @param {RequestInit} how */
function reached(url, how) {
  return fetch(url, how).catch((error) => {
    throw new NotFound(`${url.host} was not reached, or does not let other pages read it: ${error.message}`, { offline: !navigator.onLine });
  });
}
