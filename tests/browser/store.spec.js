// What the loader keeps: killed at any moment, damaged, full, shared by tabs, or gone, it gives the right bytes.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import process from 'node:process';

import { faulty, pack } from './faulty.js';
import { CHUNK, bench, files, fresh, hashes, load, page, ready, right, site, size, there, total } from './loader.js';

/** Kills at random moments, and damaged bits: more may be asked for. */
const KILLS = Number(process.env.MOEBIUS_KILLS ?? 12);
const FLIPS = Number(process.env.MOEBIUS_FLIPS ?? 12);
/** Of the operations that may fail, every how many does. */
const STEP = Number(process.env.MOEBIUS_STEP ?? 5);
/** Connections that the loader has at most. */
const LANES = 6;

bench('quiet');

/** Files of a model in the store, but for its journal, by the bytes that they begin with. @param {string} [only] */
const flip = (/** @type {number} */ seed, only = '') =>
  page.evaluate(
    async ({ seed, only }) => {
      const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('moebius');
      /** @type {FileSystemFileHandle[]} */
      const files = [];
      for await (const folder of /** @type {any} */ (models).values()) {
        for await (const file of folder.values()) if ((file.name === 'journal') === (only === 'journal')) files.push(file);
      }
      const sizes = await Promise.all(files.map(async (file) => (await file.getFile()).size));
      let at = seed % sizes.reduce((sum, size) => sum + size, 0);
      const which = sizes.findIndex((size) => (at -= size) < 0);
      at += sizes[which];
      const byte = new Uint8Array(await (await files[which].getFile()).slice(at, at + 1).arrayBuffer());
      const writable = await files[which].createWritable({ keepExistingData: true });
      await writable.write({ type: 'write', position: at, data: new Uint8Array([byte[0] ^ (1 << seed % 8)]) });
      await writable.close();
      return { size: sizes[which], at };
    },
    { seed, only },
  );

beforeEach(() => page.evaluate(() => /** @type {any} */ (window).store.clear()));

test('a second visit asks the host for nothing', async () => {
  const url = fresh();
  await right(url);
  site.log.length = 0;
  site.fault = () => ({ status: 500 });
  const progress = await right(url);
  assert.equal(site.log.length, 0);
  assert.deepEqual([progress.loaded, progress.total, progress.fetched, progress.stored], [size, size, 0, size]);
});

test('a second visit to files without a manifest, some of which the host lacks', async () => {
  const url = fresh();
  const { 'moebius.json': _, ...wanted } = hashes();
  const names = Object.keys(wanted);
  site.fault = ({ name }) => (name === 'moebius.json' ? { status: 404 } : undefined);
  const lacks = await load(url, ['generation_config.json']);
  assert.equal(lacks.fault?.kind, 'missing');
  assert.deepEqual((await load(url, names)).hashes, wanted);
  site.log.length = 0;
  site.fault = () => ({ status: 500 });
  assert.deepEqual((await load(url, names)).hashes, wanted);
  assert.equal((await load(url, ['generation_config.json'])).fault?.kind, 'missing');
  assert.equal(site.log.length, 0);
});

test(`${KILLS} kills at random moments of a download`, async (t) => {
  const chunk = 262_144;
  const weights = pack(Array(8).fill(chunk), 2);
  const [names, all] = [[...weights.keys()], total(weights)];
  const line = await faulty(weights);
  t.after(() => line.stop());
  let [most, sum] = [0, 0];
  for (let i = 0; i < KILLS; i++) {
    const url = `${line.url}${i}/`;
    const before = line.sent();
    line.rate = 8_000_000;
    const moment = Math.random() * 600;
    let came = 0;
    if (i % 4 === 0) {
      // All of the page goes at once.
      const other = Object.assign(await page.context().newPage(), { problems: [] });
      await ready(other, 'quiet');
      const loading = load(url, names, other).catch(() => null);
      await page.waitForTimeout(moment);
      came = line.sent() - before;
      await other.close();
      await loading;
    } else {
      const source = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), url);
      source.evaluate((source, names) => void /** @type {any} */ (window).read(source, names).catch(() => {}), names);
      await page.waitForTimeout(moment);
      came = line.sent() - before;
      await source.evaluate((source) => source.worker.terminate());
    }
    line.rate = 0;
    const { fetched, unkept } = await right(url, weights);
    assert.equal(unkept, '');
    const again = came + fetched - all;
    [most, sum] = [Math.max(most, again), sum + again];
    assert.ok(again <= LANES * chunk, `${again} bytes came again`);
  }
  t.diagnostic(`${KILLS} kills: at most ${most} bytes came again, ${Math.round(sum / KILLS)} on average, of ${all}`);
});

test(`${FLIPS} damaged bits: each is found, and its chunk alone comes again`, async (t) => {
  const url = fresh();
  await right(url);
  for (let i = 0; i < FLIPS; i++) {
    const { size: of, at } = await flip(Math.floor(Math.random() * 2 ** 31));
    site.log.length = 0;
    await right(url);
    assert.equal(site.log.length, 1, `${JSON.stringify(site.log)} after byte ${at} of ${of}`);
    const [{ start, end }] = site.log;
    assert.ok(start <= at && at < end && end - start <= CHUNK, `${start} to ${end} for byte ${at} of ${of}`);
  }
  t.diagnostic(`${FLIPS} of ${FLIPS} were found`);
});

test('a damaged journal costs bytes at most', async () => {
  const url = fresh();
  await right(url);
  for (let i = 0; i < 5; i++) {
    await flip(Math.floor(Math.random() * 2 ** 31), 'journal');
    await right(url);
  }
  await page.evaluate(async () => {
    const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('moebius');
    for await (const folder of /** @type {any} */ (models).values()) await folder.removeEntry('journal');
  });
  await right(url);
  await page.evaluate(async () => {
    const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('moebius');
    for await (const folder of /** @type {any} */ (models).values()) await folder.removeEntry('1');
  });
  await right(url);
});

test('two tabs download once; where the first dies, the other goes on', async () => {
  const other = Object.assign(await page.context().newPage(), { problems: [] });
  await ready(other, 'quiet');
  const url = fresh();
  const before = site.sent();
  site.rate = 8_000_000;
  await Promise.all([right(url), right(url, files, other)]);
  assert.ok(site.sent() - before <= 1.01 * size, `${site.sent() - before} of ${size}`);

  const next = fresh();
  site.rate = 2_000_000;
  const owner = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), next);
  owner.evaluate((source, names) => void /** @type {any} */ (window).read(source, names).catch(() => {}), [...files.keys()]);
  /** Waits until it has fetched more than some bytes. @param {number} bytes */
  const came = (bytes) =>
    owner.evaluate(async (source, bytes) => {
      while (!(source.progress?.fetched > bytes)) await new Promise((resolve) => setTimeout(resolve, 10));
    }, bytes);
  await came(0);
  const following = right(next, files, other);
  await came(size / 2);
  const first = await owner.evaluate((source) => (source.worker.terminate(), source.progress.fetched));
  const { fetched } = await following;
  assert.ok(first + fetched <= size + LANES * CHUNK, `${first} and ${fetched} of ${size}`);
  await other.close();
});

test('what browsers may lack: the model loads, and it is said that it is not kept', async () => {
  for (const mode of ['storeless', 'denied', 'lockless', 'insecure', 'clumsy']) {
    const other = Object.assign(await page.context().newPage(), { problems: [] });
    await ready(other, mode);
    const progress = await right(fresh(), files, other);
    assert.equal(progress.unkept, mode === 'clumsy' ? 'full' : 'blocked', mode);
    await other.close();
  }
});

test('a full store: the model loads, and what was kept before stays', async () => {
  const first = fresh();
  await right(first);
  const session = await page.context().newCDPSession(page);
  const origin = new URL(there.site.url).origin;
  for (const share of [0.1, 0.4, 0.7]) {
    const { usage } = await page.evaluate(() => /** @type {any} */ (window).store.estimate());
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: Math.round(usage + share * size) });
    assert.equal((await right(fresh())).unkept, 'full');
  }
  await session.send('Storage.overrideQuotaForOrigin', { origin });
  site.log.length = 0;
  await right(first);
  assert.equal(site.log.length, 0);
});

test(`one operation of the store fails, each ${STEP === 1 ? '' : `${STEP}th `}in turn: the model loads, then and later`, async (t) => {
  const other = Object.assign(await page.context().newPage(), { problems: [] });
  /** @type {string[]} */
  const failed = [];
  for (let n = 1; failed.length === Math.ceil((n - 1) / STEP); n += STEP) {
    await ready(other, `failing-${n}`);
    await other.evaluate(() => {
      const channel = new BroadcastChannel('failed');
      Object.assign(window, { failed: new Promise((resolve) => (channel.onmessage = ({ data }) => resolve(data))) });
    });
    const url = fresh();
    // While it comes; while what came of it is read, and the rest comes; as ever.
    await right(url, files, other);
    const name = await other.evaluate(() => Promise.race([/** @type {any} */ (window).failed, new Promise((resolve) => setTimeout(resolve, 50, ''))]));
    if (name !== '') failed.push(name);
    await right(url, files, other);
    await right(url);
    await page.evaluate(() => /** @type {any} */ (window).store.clear());
  }
  assert.ok(failed.length * STEP >= 80, `only ${failed.length} failed: ${failed}`);
  t.diagnostic(`${failed.length} failures of some ${failed.length * STEP} operations`);
  await other.close();
});

test('a store that is cleared, between visits and while it is open', async () => {
  const url = fresh();
  await right(url);
  const session = await page.context().newCDPSession(page);
  const all = { origin: new URL(there.site.url).origin, storageTypes: 'all' };
  await session.send('Storage.clearDataForOrigin', all);
  await right(url);
  const source = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), fresh());
  await source.evaluate((source) => source.read('model-00001.safetensors', 0, 10));
  await session.send('Storage.clearDataForOrigin', all);
  const found = await source.evaluate((source, names) => /** @type {any} */ (window).read(source, names), [...files.keys()]);
  assert.deepEqual(found, hashes());
  await source.evaluate((source) => source.worker.terminate());
  await right(url);
});

test('models are listed, taken out, removed while they are in use, and brought in', async () => {
  const [one, two] = [fresh(), fresh()];
  await right(one);
  await right(two);
  const listed = await page.evaluate(() => /** @type {any} */ (window).store.list());
  assert.deepEqual(listed.map((/** @type {any} */ { name, place, bytes, total }) => ({ name, place, bytes, total })), [two, one].map((url) => (
    { name: new URL(url).pathname.slice(1, -1), place: url, bytes: size, total: size })));
  const [{ id }] = listed;
  const source = await page.evaluateHandle((url) => /** @type {any} */ (window).start(url), two);
  await source.evaluate((source) => source.size('config.json'));
  const archive = await page.evaluateHandle(async (id) => {
    /** @type {any[]} */
    const parts = [];
    await /** @type {any} */ (window).store.exportTo(id, new WritableStream({ write: (part) => void parts.push(part) }));
    return new File(parts, 'model.tar');
  }, id);
  await page.evaluate((id) => /** @type {any} */ (window).store.remove(id), id);
  assert.equal((await page.evaluate(() => /** @type {any} */ (window).store.list())).length, 1);
  // The one that has it open reads on.
  const read = await source.evaluate((source, names) => /** @type {any} */ (window).read(source, names), [...files.keys()]);
  assert.deepEqual(read, hashes());
  await source.evaluate((source) => source.worker.terminate());
  await archive.evaluate((file) => /** @type {any} */ (window).store.importFrom(file));
  site.log.length = 0;
  await right(two);
  assert.equal(site.log.length, 0);
  const bad = await archive.evaluate(async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    bytes[bytes.length - 50_000] ^= 1;
    const store = /** @type {any} */ (window).store;
    const of = (/** @type {any} */ file) => store.importFrom(file).then(() => '', (/** @type {any} */ error) => error.message);
    return [await of(new File([bytes], 'x')), await of(new File(['no archive'.repeat(100)], 'y')), await of(new File([], 'z'))];
  });
  assert.match(bad[0], /damaged: bytes \d+ to \d+ of model-0000[12]/);
  assert.match(bad[1], /no archive/);
  assert.match(bad[2], /no archive/);
  await page.evaluate(() => /** @type {any} */ (window).store.clear());
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).store.list()), []);
});

test("the page's own model is renewed when the page is, and only what changed is fetched", async () => {
  const url = `${there.site.url}own/`;
  let now = new Map(files);
  let sent = 0;
  await page.context().route('**/own/*', (route) => {
    const bytes = now.get(String(route.request().url().split('/').pop()));
    const range = /^bytes=(\d+)-(\d+)$/.exec(route.request().headers().range ?? '');
    if (!bytes) return route.fulfill({ status: 404 });
    const body = range ? bytes.subarray(Number(range[1]), Number(range[2]) + 1) : bytes;
    sent += body.length;
    /** @type {Record<string, string>} */
    const headers = range ? { 'content-range': `bytes ${range[1]}-${Number(range[1]) + body.length - 1}/${bytes.length}` } : {};
    return route.fulfill({ status: range ? 206 : 200, headers, body });
  });
  await right(url);
  const next = pack(Array(16).fill(CHUNK), 1);
  const manifest = JSON.parse(String(files.get('moebius.json')));
  const [changed] = JSON.parse(String(next.get('moebius.json'))).shards[0].chunks;
  manifest.shards[0].chunks[0] = changed;
  const shard = Buffer.concat([next.get('model-00001.safetensors')?.subarray(0, CHUNK) ?? Buffer.of(), now.get('model-00001.safetensors')?.subarray(CHUNK) ?? Buffer.of()]);
  now = new Map(files).set('moebius.json', Buffer.from(JSON.stringify(manifest))).set('model-00001.safetensors', shard);
  sent = 0;
  await right(url, now);
  assert.ok(sent <= CHUNK + 3 * JSON.stringify(manifest).length, `${sent} bytes`);
  now = new Map(); // the host is gone
  await load(url).then(({ hashes: found }) => assert.equal(Object.keys(found).length, files.size));
  await page.context().unroute('**/own/*');
});
