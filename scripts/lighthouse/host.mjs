// A host as most static ones are: HTTP/2, compressed, with a certificate of its own making.

import { readFileSync, statSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { extname, join, normalize } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

import { TYPES } from '../../tests/browser/host.js';
import { capture, Failure, ROOT, tools } from '../run.mjs';

/** @returns {Promise<{url: string, stop: () => Promise<void>}>} */
export async function host() {
  const folder = tools('lighthouse');
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
  const { ok, err } = capture('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=localhost', '-keyout', key, '-out', cert]);
  if (!ok) throw new Failure(`openssl: ${err}`);
  /** @type {Map<string, Buffer>} */
  const small = new Map();
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true }, (request, response) => {
    const { pathname } = new URL(request.url, 'https://localhost');
    const file = join(ROOT, normalize(`/${decodeURIComponent(pathname)}`), pathname.endsWith('/') ? 'index.html' : '');
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) return response.writeHead(404).end();
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    const range = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers.range ?? ''));
    if (range) {
      const [start, end] = [Number(range[1]), Math.min(Number(range[2]), stat.size - 1)];
      return response.writeHead(206, { 'content-type': type, 'content-range': `bytes ${start}-${end}/${stat.size}` }).end(readFileSync(file).subarray(start, end + 1));
    }
    if (type === 'application/octet-stream') return response.writeHead(200, { 'content-type': type }).end(readFileSync(file));
    let body = small.get(file);
    // A host compresses a file once, before anybody asks for it.
    if (!body) small.set(file, (body = brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })));
    return response.writeHead(200, { 'content-type': type, 'content-encoding': 'br', 'cache-control': 'max-age=31536000' }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return { url: `https://localhost:${port}/`, stop: () => new Promise((resolve) => server.close(() => resolve(undefined)) && undefined) };
}
