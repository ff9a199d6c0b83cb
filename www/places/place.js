// Where a model is, if that is more than the URL of a folder: a hub's repository, files of this machine, something to be quantised.
// Loaded when it is asked for.

import { MoebiusError, modelUrl } from '../protocol.js';

/**
 * A model's place.
 * @typedef {object} Place
 * @property {string | URL | File | Iterable<File>} model URL of a folder or of a .gguf, relative to the page; `hf:owner/name` with
 *   `/file.gguf` or `:KIND` of one, and `@revision`; or the files of a folder, or a .gguf
 * @property {string} [format] what matrices become while they are read: `f16`, `q8`, `q4`, `q4-all`, `fp8` or `mxfp4`; as they are
 *   stored unless it is given
 * @property {string} [token] opens gated repositories; goes to the hub alone, and is kept in memory only
 * @property {string | URL} [hub] another hub than huggingface.co
 */

/** The public hub. */
const HUB = 'https://huggingface.co';
/** A repository: owner, name, then a .gguf in it or a kind of it, and a revision. */
const REPOSITORY = /^hf:([\w.-]+\/[\w.-]+)(?:\/([^@]+\.gguf)|:([\w.-]+))?(?:@([\w./-]+))?$/i;
/** Kinds of GGUFs, the first of which is taken where a repository has several. */
const KINDS = ['Q4_K_M', 'Q4_0', 'Q8_0', 'MXFP4', 'Q4_K_S', 'Q5_K_M', 'Q6_K', 'BF16', 'F16'];
/** Where it is remembered what repositories' revisions are, and for how long that is believed, in milliseconds. */
const PLACES = 'moebius-places';
const DAY = 86_400_000;
/** Most pages of a list of files. */
const PAGES = 20;

/**
 * What the engine's worker is told of a model's place.
 * @param {Place & {signal?: AbortSignal}} options
 * @returns {Promise<string | {url?: string, files?: File[], token?: string, format?: string, tree?: {name: string, size: number, sha256: string}[]}>}
 */
export async function place({ model, token, format, hub = HUB, signal }) {
  if (typeof model === 'string' && /^hf:/i.test(model)) {
    return { ...(await pinned({ model, hub, token, signal })), token, format };
  }
  if (typeof model === 'string' || model instanceof URL) return { url: modelUrl(model, document.baseURI).href, format };
  const files = model instanceof File ? [model] : [...model];
  if (files.length === 0 || !files.every((file) => file instanceof File)) {
    throw new MoebiusError('request', 'model: is neither a URL, nor hf:owner/name, nor a File or several.');
  }
  return { files: files.sort((a, b) => (a.name < b.name ? -1 : 1)), format };
}

/** @typedef {{url: string, tree: {name: string, size: number, sha256: string}[]}} Pinned */

/**
 * Where a repository's model is, at a commit. That is remembered: for a day, and for longer while the hub is not to be reached, so that
 * what is kept loads without asking.
 * @param {{model: string, token?: string, hub: string | URL, signal?: AbortSignal}} options
 * @returns {Promise<Pinned>}
 */
async function pinned(options) {
  const name = `${options.hub} ${options.model}`;
  /** @type {Record<string, Pinned & {at: number}>} */
  let all = {};
  try {
    all = JSON.parse(localStorage.getItem(PLACES) ?? '{}');
  } catch {
    // there is nothing to remember with
  }
  const known = Object.hasOwn(all, name) ? all[name] : undefined;
  if (known && Date.now() - known.at < DAY) return known;
  const found = await repository(options).catch((error) => {
    if (known && navigator.onLine === false) return null;
    throw error;
  });
  if (known && !found) return known;
  const { at, path, files } = /** @type {NonNullable<typeof found>} */ (found);
  const place = { url: at + path.split('/').map(encodeURIComponent).join('/'), tree: weights(files, path) };
  try {
    localStorage.setItem(PLACES, JSON.stringify({ ...all, [name]: { ...place, at: Date.now() } }));
  } catch {
    // it is asked again next time
  }
  return place;
}

/** A file of a repository, and what it hashes to if it is large. @typedef {{path: string, size: number, sha256: string}} Listed */

/**
 * A repository at the commit that its revision is now, so that what is read later is of one piece: what the hub says of it, its
 * files, where they are, and which of them is the model; none for the folder itself.
 * @param {{model: string, token?: string, hub?: string | URL, signal?: AbortSignal}} options
 * @returns {Promise<{facts: any, files: Listed[], at: string, path: string}>}
 */
export async function repository({ model, token, hub: site = HUB, signal }) {
  const hub = String(site).replace(/\/$/, '');
  const [, id, file, kind, revision = 'main'] = REPOSITORY.exec(model) ?? [];
  if (!id) throw new MoebiusError('request', `model: ${model} is not hf:owner/name, with /file.gguf, :KIND or @revision.`);
  /** @param {string} url */
  const ask = async (url) => {
    const headers = token ? { authorization: `Bearer ${token}` } : undefined;
    const answer = await fetch(url, { headers, signal }).catch((error) => {
      throw new MoebiusError(signal?.aborted ? 'aborted' : 'file', `${model}: the hub was not reached: ${error.message}`);
    });
    if (answer.ok) return answer;
    const why =
      answer.status === 401 || answer.status === 403
        ? `is gated, private or not there: the hub asks for ${token ? 'another token' : 'a token'}`
        : answer.status === 404
          ? `is not on the hub, or not at ${revision}`
          : `could not be listed: HTTP status ${answer.status}`;
    throw new MoebiusError('file', `${model}: ${why} (${url})`);
  };
  const facts = await (await ask(`${hub}/api/models/${id}/revision/${encodeURIComponent(revision)}`)).json();
  const { sha } = facts;
  if (!/^[0-9a-f]{40}$/.test(sha)) throw new MoebiusError('file', `${model}: the hub names no commit`);
  /** @type {Listed[]} */
  const files = [];
  /** @type {string | null} */
  let next = `${hub}/api/models/${id}/tree/${sha}`;
  for (let page = 0; next && page < PAGES; page++) {
    /** @type {Response} */
    const answer = await ask(next);
    for (const { type, path, size, lfs } of await answer.json()) {
      if (type === 'file') files.push({ path: String(path), size: Number(size) || 0, sha256: String(lfs?.oid ?? '') });
    }
    const link = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '');
    next = link && new URL(link[1], next).origin === new URL(hub).origin ? new URL(link[1], next).href : null;
  }
  const at = `${hub}/${id}/resolve/${sha}/`;
  return { facts, files, at, path: file ?? choose(model, files.map(({ path }) => path), kind) };
}

/**
 * The weights that the engine reads: of a .gguf in several files, all; by their names in their folder.
 * @param {Listed[]} files @param {string} path of the .gguf, if it is one
 */
function weights(files, path) {
  const at = path.lastIndexOf('/') + 1;
  const sharded = files.some(({ path }) => path === 'model.safetensors.index.json');
  const safetensors = sharded ? /^model-\d+-of-\d+\.safetensors$/ : /^model\.safetensors$/;
  const stem = path.replace(/\d{5}-of-\d{5}\.gguf$/i, '');
  const mine = files.filter(({ path: other, size, sha256 }) => {
    const part = path && other.startsWith(stem) && /^\d{5}-of-\d{5}\.gguf$/i.test(other.slice(stem.length));
    const wanted = path ? other === path || part : safetensors.test(other);
    return wanted && size > 0 && /^([0-9a-f]{64})?$/.test(sha256);
  });
  return mine.map(({ path, size, sha256 }) => ({ name: path.slice(at), size, sha256 }));
}

/**
 * The file of a repository that is its model; nothing for the folder itself.
 * @param {string} model @param {string[]} names @param {string | undefined} kind
 */
function choose(model, names, kind) {
  const all = names.filter((name) => /\.gguf$/i.test(name) && !/mmproj|-0000[2-9]-of-|-000[1-9]\d-of-/i.test(name));
  if (!kind && names.includes('config.json') && names.some((name) => name.endsWith('.safetensors'))) return '';
  const kinds = kind ? [kind] : KINDS;
  const of = (/** @type {string} */ kind) => all.find((name) => name.toUpperCase().includes(kind.toUpperCase()));
  const found = kinds.map(of).find(Boolean) ?? (!kind && all.length === 1 ? all[0] : undefined);
  if (found) return found;
  const has = all.length > 0 ? `has ${all.slice(0, 20).join(', ')}` : 'has neither config.json with safetensors nor a .gguf';
  throw new MoebiusError('file', `${model}: ${kind ? `no ${kind} is there: it ` : ''}${has}`);
}
