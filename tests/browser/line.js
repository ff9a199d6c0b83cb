// A web host at the end of a line: so many bytes a second, what goes over it written down, and requests held or refused at will.

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

import { ROOT } from '../../scripts/run.mjs';
import { TYPES, listening, pace } from './host.js';

/** Bytes of a body that are written at once. */
const PIECE = 16 << 10;

/** @typedef {{path: string, start: number, end: number, sent: number, at: number}} Asked what was asked for, `sent` so far, and when */

/**
 * Serves the repository.
 * @param {RegExp} model paths of what goes over the line; the rest is near
 */
export async function line(model) {
  /** @type {Asked[]} */
  const log = [];
  /** @type {Set<() => void>} */
  const held = new Set();
  const state = {
    log,
    /** Bytes a second. */
    rate: Infinity,
    /** Which requests wait for {@link release}. @type {(asked: Asked) => boolean} */
    holds: () => false,
    /** Which requests find nothing. @type {(asked: Asked) => boolean} */
    lacks: () => false,
    release() {
      state.holds = () => false;
      held.forEach((go) => go());
      held.clear();
    },
    /** Requests that wait. */
    held: () => held.size,
    /** Bytes asked for until then. */
    bytes: (until = Infinity) => log.filter(({ at }) => at <= until).reduce((sum, { start, end }) => sum + end - start, 0),
  };
  const carried = pace(() => state.rate);
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = join(ROOT, normalize(`/${decodeURIComponent(pathname)}`));
    const headers = { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'cache-control': 'no-store' };
    if (pathname === '/blank') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return response.writeHead(404).end();
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = from === undefined ? [0, size] : [Number(from), Math.min(Number(to) + 1, size)];
    const asked = { path: pathname, start, end, sent: 0, at: Date.now() };
    const far = model.test(pathname);
    if (far) {
      const lacks = state.lacks(asked);
      if (!lacks) log.push(asked);
      if (state.holds(asked)) await new Promise((resolve) => held.add(() => resolve(undefined)));
      if (lacks) return response.writeHead(404).end();
    }
    const span = from === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` };
    response.writeHead(from === undefined ? 200 : 206, { ...headers, ...span, 'content-length': end - start });
    const body = Buffer.alloc(end - start);
    const file = openSync(path, 'r');
    readSync(file, body, 0, body.length, start);
    closeSync(file);
    while (asked.sent < body.length && !response.destroyed) {
      const piece = body.subarray(asked.sent, asked.sent + PIECE);
      if (far) await carried(piece.length);
      response.write(piece);
      asked.sent += piece.length;
    }
    return response.end();
  });
  return Object.assign(state, await listening(server));
}
