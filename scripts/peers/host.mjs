// The host of the visits: folders under names, byte ranges, and the headers that give pages shared memory.

import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Threads need an isolated page, and nothing may come from a cache. */
const HEADERS = {
  'accept-ranges': 'bytes',
  'cache-control': 'no-store',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/**
 * Serves folders, and an empty document at the root.
 * @param {Record<string, string>} folders by the first part of their paths
 * @returns {Promise<{url: string, stop: () => void}>} `url` ends without a slash
 */
export async function host(folders) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/') {
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/html' }).end('<!doctype html>');
      return;
    }
    const [, name = '', path = ''] = /^\/([^/]+)(\/.*)$/.exec(decodeURIComponent(pathname)) ?? [];
    const folder = folders[name];
    const file = folder === undefined ? null : join(folder, normalize(path));
    const stat = file === null ? undefined : statSync(file, { throwIfNoEntry: false });
    if (file === null || !stat?.isFile()) {
      response.writeHead(404, HEADERS).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = Math.min(range?.[2] ? Number(range[2]) : stat.size - 1, stat.size - 1);
    response.writeHead(range ? 206 : 200, {
      ...HEADERS,
      ...(range ? { 'content-range': `bytes ${start}-${end}/${stat.size}` } : {}),
      'content-length': Math.max(0, end - start + 1),
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    });
    if (request.method === 'HEAD' || start > end) response.end();
    else createReadStream(file, { start, end, highWaterMark: 1 << 20 }).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://localhost:${port}`, stop };
}
