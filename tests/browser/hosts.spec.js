// What the loader does with hosts that are bad, slow or odd: it gives the right bytes, or says what the host did.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Spares } from '../../www/loader/spares.js';
import { CHUNK, bench, files, fresh, hashes, load, page, right, site, size } from './loader.js';

bench('hasty');

test('buffers that are used up come again, to whom they are not far too long, and few lie idle', () => {
  const spares = new Spares();
  const { buffer } = spares.take(1000);
  spares.give(buffer);
  const short = spares.take(700);
  assert.ok(short.length === 700 && short.buffer !== buffer);
  const again = spares.take(900);
  assert.ok(again.length === 900 && again.buffer === buffer);
  assert.notEqual(spares.take(900).buffer, buffer);
  const many = Array.from({ length: 6 }, () => spares.take(1 << 20).buffer);
  for (const one of many) spares.give(one);
  const kept = many.filter(() => many.includes(spares.take(1 << 20).buffer));
  assert.equal(kept.length, 4);
});

test('a model comes once, over several connections', async () => {
  const before = site.sent();
  const progress = await right(fresh());
  assert.equal(site.sent() - before, size);
  assert.deepEqual([progress.loaded, progress.total, progress.fetched, progress.stored], [size, size, size, 0]);
  assert.equal(progress.unkept, '');
});

test('connections cut at every edge of a chunk, a byte before and a byte after', async () => {
  site.rate = 12_000_000;
  const edges = Array.from({ length: 17 }, (_, i) => i * CHUNK).flatMap((edge) => [edge - 1, edge, edge + 1]);
  for (let i = 0; i < edges.length; i += 17) {
    const cuts = edges.slice(i, i + 17).filter((at) => at > 0 && at < 16 * CHUNK);
    const before = site.sent();
    const done = new Set();
    site.fault = ({ name, start, end }) => {
      const cut = cuts.find((at) => at > start && at < end && !done.has(`${name} ${at}`));
      if (cut === undefined || !name.endsWith('.safetensors')) return undefined;
      done.add(`${name} ${cut}`);
      return { cut: cut - start };
    };
    await right(fresh());
    assert.ok(done.size >= cuts.length, `${done.size} cuts`);
    // What was cut goes on at the byte where it was cut, but for what the browser had not handed on.
    assert.ok(site.sent() - before <= size + done.size * CHUNK, `${site.sent() - before} of ${size}`);
  }
});

test('short bodies, silence, and a byte now and then', async () => {
  site.fault = ({ count, start }) => (count === 1 && start % 3 === 0 ? { stall: 1000 } : undefined);
  await right(fresh());
  site.fault = ({ count }) => (count === 1 ? { body: (bytes) => bytes.subarray(0, bytes.length >> 1) } : undefined);
  await right(fresh());
});

test('hosts that know no ranges, with and without a manifest', async () => {
  const before = site.sent();
  site.fault = () => ({ range: 'ignored' });
  await right(fresh());
  assert.ok(site.sent() - before <= size, `${site.sent() - before} of ${size}`);
  site.fault = ({ name }) => (name === 'moebius.json' ? { status: 404 } : { range: 'ignored' });
  const { 'moebius.json': _, ...wanted } = hashes();
  const loaded = await load(fresh(), Object.keys(wanted));
  assert.deepEqual(loaded.hashes, wanted, JSON.stringify(loaded.fault));
});

test('ranges that are not what was asked for are refused', async () => {
  /** @type {[import('./faulty.js').Fault, RegExp][]} */
  const faults = [
    [{ headers: { 'content-range': `bytes 5-${CHUNK}/${16 * CHUNK}` } }, /other bytes/],
    [{ headers: { 'content-type': 'multipart/byteranges; boundary=x' } }, /other bytes/],
    [{ headers: { 'content-range': 'bytes 0-99/100' } }, /changed|more than/],
    [{ body: (bytes) => Buffer.concat([bytes, bytes]) }, /more than/],
    [{ headers: { 'content-type': 'text/html' } }, /web page/],
  ];
  for (const [fault, reason] of faults) {
    // Of several ranges that are asked for at once, the first.
    site.fault = ({ name, start }) => (name === 'model-00001.safetensors' && start === 0 ? fault : undefined);
    const { fault: found } = await load(fresh());
    assert.match(found?.reason ?? '', reason);
  }
});

test('a hidden Content-Range is no harm', async () => {
  site.fault = () => ({ range: 'hidden' });
  await right(fresh());
  const plain = new Map([['config.json', files.get('config.json') ?? Buffer.of()]]);
  site.fault = ({ name }) => (name === 'moebius.json' ? { status: 404 } : { range: 'hidden' });
  await right(fresh(), plain);
});

test('bodies that come compressed are asked for whole, and read', async () => {
  site.fault = () => ({ gzip: true, range: 'ignored' });
  await right(fresh());
  site.fault = ({ name }) => (name.endsWith('.safetensors') ? { gzip: true } : undefined);
  await right(fresh());
});

test('a damaged chunk is fetched again, and named if that does not help', async () => {
  const spoil = (/** @type {Buffer} */ bytes) => {
    const copy = Buffer.from(bytes);
    copy[0] ^= 1;
    return copy;
  };
  site.fault = ({ name, count }) => (name === 'model-00002.safetensors' && count === 1 ? { body: spoil } : undefined);
  await right(fresh());
  site.fault = ({ name, start, end }) => (name === 'model-00002.safetensors' && start <= 3 * CHUNK && end > 3 * CHUNK
    ? { body: (bytes) => Buffer.concat([bytes.subarray(0, 3 * CHUNK - start), spoil(bytes.subarray(3 * CHUNK - start))]) } : undefined);
  const { fault } = await load(fresh());
  assert.equal(fault?.kind, 'damaged');
  assert.match(fault?.reason ?? '', /chunk 3, bytes 196608 to 262144, is damaged/);
  assert.equal(fault?.file, 'model-00002.safetensors');
});

test('a file without a manifest that changes between visits is fetched anew, and never mixed', async () => {
  const url = fresh();
  const name = 'model-00001.safetensors';
  site.fault = (asked) => (asked.name === 'moebius.json' ? { status: 404 } : { headers: { etag: '"one"' } });
  const source = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), url);
  await source.evaluate((source, name) => source.read(name, 0, 10), name);
  await source.evaluate((source) => source.worker.terminate());
  site.fault = (asked) => (asked.name === 'moebius.json' ? { status: 404 } : { headers: { etag: '"two"' } });
  const outcomes = [await load(url, [name]), await load(url, [name])];
  for (const { hashes: found, fault } of outcomes) assert.ok(fault?.kind === 'changed' || found[name] === hashes()[name]);
  assert.equal(outcomes[1].hashes[name], hashes()[name]);
});

test('a signed address that expires is asked for again', async () => {
  let signed = 0;
  const url = fresh();
  site.fault = ({ path }) => {
    const time = /\/signed\/(\d+)\//.exec(path)?.[1];
    if (time) return Number(time) === 0 ? { status: 403 } : undefined;
    signed += 1;
    // Some addresses are old when they are given out.
    return { location: path.replace('/', `${site.url}x/signed/${path.endsWith('.safetensors') && signed % 2 ? 0 : signed}/`) };
  };
  await right(url);
  assert.ok(signed > 4);
});

test('a host that is busy is asked at most once a second, when it says and no sooner', async () => {
  let refused = 0;
  site.fault = ({ name }) => {
    if (!name.endsWith('.safetensors') || refused >= 4) return undefined;
    refused += 1;
    return { status: 429, headers: { 'retry-after': '3' } };
  };
  await right(fresh());
  const asked = site.log.filter(({ name }) => name.endsWith('.safetensors')).slice(0, 5).map(({ at }) => at);
  // Its clock is twenty times as fast.
  for (let i = 2; i < 5; i++) assert.ok(20 * (asked[i] - asked[i - 1]) >= 2900, `${asked.map((at) => at - asked[0])}`);
});

test('each refusal has its own text, and nothing of it is kept', async () => {
  const texts = [];
  /** @type {import('./faulty.js').Fault[]} */
  const faults = [
    { status: 401 },
    { status: 404 },
    { status: 500 },
    { headers: { 'content-type': 'text/html' } },
    { headers: { 'access-control-allow-origin': 'https://elsewhere.example' } },
  ];
  for (const fault of faults) {
    const url = fresh();
    site.fault = () => fault;
    texts.push((await load(url, ['config.json'])).fault?.reason.replace(/ \(http.*/, ''));
    site.fault = ({ name }) => (name === 'moebius.json' ? { status: 404 } : undefined);
    await right(url, new Map([['config.json', files.get('config.json') ?? Buffer.of()]]));
  }
  assert.deepEqual(texts, [
    'HTTP status 401', 'no such file: HTTP status 404', 'HTTP status 500',
    'the host answered with a web page in place of the file', 'the host does not let other sites read this file (CORS)',
  ]);
});

test('pausing stops the host, and resuming goes on where it was', async () => {
  const url = fresh();
  site.rate = 4_000_000;
  const source = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), url);
  const reading = source.evaluate((source, names) => /** @type {any} */ (window).read(source, names), [...files.keys()]);
  await page.waitForTimeout(150);
  await source.evaluate((source) => source.pause(true));
  await page.waitForTimeout(50);
  const before = site.sent();
  await page.waitForTimeout(200);
  assert.ok(site.sent() - before <= CHUNK, `${site.sent() - before} bytes while it was paused`);
  site.rate = 0;
  await source.evaluate((source) => source.pause(false));
  assert.deepEqual(await reading, hashes());
  await source.evaluate((source) => source.worker.terminate());
});
