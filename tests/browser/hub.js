// A server that behaves like a model hub: lists of files at a commit, and files that another origin has.

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { ROOT } from '../../scripts/run.mjs';
import { FIXTURES } from './fixtures.js';
import { listening } from './host.js';

/** The commit that every revision is. */
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
/** Revisions that there are. */
const REVISIONS = ['main', 'v1', COMMIT];
/** What opens gated repositories. */
export const TOKEN = 'hf_test';
/** Files a page of a list. */
const PAGE = 3;

/**
 * Starts the hub and its storage, on origins of their own. Repositories are folders, of fixtures by default; those of `gated/` ask for
 * a token.
 * @param {string} [shelf] where they lie
 * @returns {Promise<{url: string, log: {path: string, status: number, authorization: boolean}[], fault: '' | 'cut' | 'spoil', stop: () => Promise<void>}>}
 *   `fault`: what becomes of the next answer of the storage that is longer than 10 KB
 */
export async function hub(shelf = join(ROOT, FIXTURES)) {
  /** @type {{path: string, status: number, authorization: boolean}[]} */
  const log = [];
  const storage = await listen((request, response, url) => {
    // Storage hosts refuse what was meant for the hub.
    if (request.headers.authorization) return end(response, 400);
    const file = join(shelf, decodeURIComponent(url.pathname));
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined || !url.searchParams.has('signed')) return end(response, 403);
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [start, last] = asked ? [Number(asked[1]), Math.min(Number(asked[2] || Infinity), size - 1)] : [0, size - 1];
    if (start >= size) return end(response, 416, { 'content-range': `bytes */${size}` });
    const span = asked ? { 'content-range': `bytes ${start}-${last}/${size}` } : {};
    response.writeHead(asked ? 206 : 200, { ...OPEN, ...span, 'content-length': last - start + 1 });
    const fault = last - start > 10_000 ? site.fault : '';
    if (fault) site.fault = '';
    if (!fault) return createReadStream(file, { start, end: last }).pipe(response);
    const sent = readFileSync(file).subarray(start, last + 1);
    if (fault === 'spoil') {
      sent[sent.length >> 1] ^= 1;
      return response.end(sent);
    }
    // What was written arrives before the end does.
    return response.write(sent.subarray(0, sent.length >> 1), () => setTimeout(() => response.socket?.end(), 30));
  }, log);
  const front = await listen((request, response, url) => {
    if (request.method === 'OPTIONS') {
      return end(response, 204, { 'access-control-allow-headers': 'authorization, range' });
    }
    const [, id, rest] = /^\/(?:api\/models\/)?([\w-]+\/[\w-]+)\/(.*)$/.exec(url.pathname) ?? [];
    const folder = join(shelf, id?.split('/')[1] ?? '-');
    if (!statSync(folder, { throwIfNoEntry: false })) return end(response, 404);
    if (id.startsWith('gated/') && request.headers.authorization !== `Bearer ${TOKEN}`) return end(response, 401);
    const [what, revision, ...path] = rest.split('/').map(decodeURIComponent);
    if (!REVISIONS.includes(revision)) return end(response, 404);
    if (what === 'revision') {
      const config = join(folder, 'config.json');
      const model_type = existsSync(config) ? JSON.parse(readFileSync(config, 'utf8')).model_type : undefined;
      return end(response, 200, {}, { id, sha: COMMIT, gated: id.startsWith('gated/') && 'auto', cardData: { license: 'mit' }, config: { model_type } });
    }
    if (what === 'tree') {
      const names = readdirSync(folder).sort();
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const next = new URL(url);
      next.searchParams.set('cursor', String(from + PAGE));
      /** @type {Record<string, string>} */
      const link = from + PAGE < names.length ? { link: `<${next}>; rel="next"` } : {};
      const entries = names.slice(from, from + PAGE).map((path) => entry(folder, path));
      return end(response, 200, link, entries);
    }
    const moved = `${storage.url}${id.split('/')[1]}/${path.map(encodeURIComponent).join('/')}?signed=1`;
    const there = statSync(join(folder, ...path), { throwIfNoEntry: false })?.isFile();
    return what === 'resolve' && there ? end(response, 302, { location: moved }) : end(response, 404);
  }, log);
  /** @type {Awaited<ReturnType<typeof hub>>} */
  const site = { url: front.url.slice(0, -1), log, fault: '', stop: () => Promise.all([front.stop(), storage.stop()]).then(() => undefined) };
  return site;
}

/** What a list says of a file: of weights, also what they hash to. @param {string} folder @param {string} path */
function entry(folder, path) {
  const { size } = statSync(join(folder, path));
  const large = /\.(safetensors|gguf)$/.test(path);
  const oid = large ? createHash('sha256').update(readFileSync(join(folder, path))).digest('hex') : '';
  return { type: 'file', path, size, ...(large ? { lfs: { oid, size } } : {}) };
}

/** Open to all origins, with what else these may see. */
const OPEN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'content-range, content-length, link',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'no-store',
};

/**
 * @param {import('node:http').ServerResponse} response
 * @param {number} status @param {Record<string, string>} [headers] @param {unknown} [body]
 */
function end(response, status, headers = {}, body) {
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  response.writeHead(status, { ...OPEN, ...type, ...headers }).end(body === undefined ? undefined : JSON.stringify(body));
}

/**
 * @param {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse, url: URL) => unknown} act
 * @param {{path: string, status: number, authorization: boolean}[]} log
 */
async function listen(act, log) {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    act(request, response, url);
    response.on('finish', () => {
      log.push({ path: url.pathname, status: response.statusCode, authorization: Boolean(request.headers.authorization) });
    });
  });
  return listening(server);
}
