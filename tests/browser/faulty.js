// A host of a model's files whose every answer a test can spoil, at the end of a line as slow as it likes.

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

import { listening, pace } from './host.js';

/**
 * What becomes of an answer. `cut`: the connection ends after so many bytes of the body; `stall`: it stays open then instead.
 * `body`: other bytes; `range`: `ignored`, or `hidden` (no Content-Range for the page); `gzip`: compressed, and said so.
 * @typedef {{status?: number, headers?: Record<string, string>, cut?: number, stall?: number, body?: (bytes: Buffer) => Buffer,
 *   range?: 'ignored' | 'hidden', gzip?: boolean, location?: string}} Fault
 */

/** @typedef {{name: string, path: string, start: number, end: number, count: number, at: number, head: boolean}} Asked `count`: how often so; `at`: when */

/**
 * @param {Map<string, Buffer>} files by name
 * @returns {Promise<{url: string, log: Asked[], sent: () => number, fault: (asked: Asked) => Fault | undefined, rate: number, stop: () => Promise<void>}>}
 *   `rate` is in bytes a second, over all connections; 0 for no limit
 */
export async function faulty(files) {
  /** @type {Asked[]} */
  const log = [];
  /** @type {Map<string, number>} */
  const counts = new Map();
  let sent = 0;
  const carried = pace(() => site.rate);
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    // Folders are any, so that one set of files is many models.
    const name = path.slice(path.lastIndexOf('/') + 1);
    const bytes = files.get(name);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const key = `${name} ${request.headers.range}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const size = bytes?.length ?? 0;
    const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2]) + 1, size)] : [0, size];
    const asked = { name, path, start, end, count: counts.get(key) ?? 0, at: Date.now(), head: request.method === 'HEAD' };
    log.push(asked);
    const fault = site.fault(asked) ?? {};
    const open = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin', 'cache-control': 'no-store' };
    if (fault.location) return response.writeHead(302, { ...open, location: fault.location }).end();
    if (fault.status) return response.writeHead(fault.status, { ...open, 'access-control-expose-headers': '*', ...fault.headers }).end();
    if (!bytes) return response.writeHead(404, open).end('no such file');
    if (range && start >= size && fault.range !== 'ignored') {
      return response.writeHead(416, { ...open, 'content-range': `bytes */${size}` }).end();
    }
    const part = range && fault.range !== 'ignored';
    let body = part ? bytes.subarray(start, end) : bytes;
    if (fault.body) body = fault.body(body);
    if (fault.gzip) body = gzipSync(body);
    const exposed = fault.range === 'hidden' ? 'content-length' : 'content-range, content-length, etag, retry-after';
    response.writeHead(part ? 206 : 200, {
      ...open,
      'access-control-expose-headers': exposed,
      'content-type': 'application/octet-stream',
      'content-length': body.length,
      ...(part ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}),
      ...(fault.gzip ? { 'content-encoding': 'gzip' } : {}),
      ...fault.headers,
    });
    if (asked.head) return response.end();
    const last = fault.cut ?? fault.stall ?? body.length;
    for (let at = 0; at < last && !response.destroyed; ) {
      const piece = body.subarray(at, Math.min(at + 16_384, last));
      at += piece.length;
      await carried(piece.length);
      sent += piece.length;
      if (!response.write(piece)) await drained(response);
    }
    if (fault.cut !== undefined) {
      // What was written arrives before the end does.
      await new Promise((resolve) => setTimeout(resolve, 30));
      return response.socket?.end();
    }
    if (fault.stall === undefined) return response.end();
    return undefined;
  });
  const site = {
    ...(await listening(server)),
    log,
    sent: () => sent,
    fault: /** @type {(asked: Asked) => Fault | undefined} */ (() => undefined),
    rate: 0,
  };
  return site;
}

/** @param {import('node:http').ServerResponse} response */
function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve(null);
    };
    response.on('drain', done).on('close', done);
  });
}

/**
 * Random files as a pack has them: a manifest, a small file, and shards of chunks of some sizes.
 * @param {number[]} chunks of each shard
 * @param {number} [shards]
 */
export function pack(chunks, shards = 1) {
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  const file = (/** @type {string} */ name, /** @type {number[]} */ sizes) => {
    const parts = sizes.map((size) => randomBytes(size));
    files.set(name, Buffer.concat(parts));
    const listed = parts.map((part) => ({ bytes: part.length, sha256: createHash('sha256').update(part).digest('hex') }));
    return { name, bytes: files.get(name)?.length, chunks: listed };
  };
  const small = [file('config.json', [1000])];
  const weights = Array.from({ length: shards }, (_, i) => file(`model-0000${i + 1}.safetensors`, chunks));
  const manifest = { moebius: 1, precision: 'q4', files: small, shards: weights, tensors: {}, experts: {} };
  files.set('moebius.json', Buffer.from(JSON.stringify(manifest)));
  return files;
}
