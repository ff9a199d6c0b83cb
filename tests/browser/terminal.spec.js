// The terminal takes models from where they are: a hub's repositories and any host, fetched once, resumed and checked.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';

import { ROOT, TARGET } from '../../scripts/run.mjs';
import { FIXTURES, golden } from './fixtures.js';
import { TOKEN, hub } from './hub.js';
import { serve } from './harness.js';

const MODEL = 'hf:tiny/qwen3_moe_yarn';
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** @type {Awaited<ReturnType<typeof hub>>} */
let models;
before(async () => {
  models = await hub();
});
after(() => models?.stop());

/** A home of its own, gone with the test. @param {import('node:test').TestContext} t */
function home(t) {
  const folder = mkdtempSync(join(tmpdir(), 'moebius-terminal-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/**
 * What the terminal generates after the golden prompt of a fixture, or why not.
 * @param {string} model @param {string} folder its home @param {{env?: Record<string, string>, of?: string}} [how] `of`: the fixture
 * @returns {Promise<{tokens?: number[], error?: {code: string, message: string}, said: string}>}
 */
async function generate(model, folder, { env = {}, of = 'qwen3_moe_yarn' } = {}) {
  const { prompt } = golden(of);
  const args = ['generate', '--model', model, '--tokens', prompt.join(), '--max-new', '8', '--greedy', '--ignore-eos', '--device', 'cpu', '--context', '64', '--json'];
  return moebius(args, folder, env);
}

/** What a command prints, which is JSON, and what it says beside. @param {string[]} args @param {string} folder its home @param {Record<string, string>} [env] */
async function moebius(args, folder, env) {
  const child = spawn(join(TARGET, 'debug/moebius'), args, {
    env: { PATH: process.env.PATH, HOME: folder, HF_ENDPOINT: models.url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, said] = ['', ''];
  child.stdout.on('data', (data) => (out += data));
  child.stderr.on('data', (data) => (said += data));
  await new Promise((resolve) => child.on('close', resolve));
  return { ...JSON.parse(out), said };
}

/** Files that the storage was asked for, with what it answered. */
function stored() {
  return models.log.filter(({ status, path }) => status < 300 && /\.(json|safetensors|gguf)$/.test(path) && !path.startsWith('/api/'));
}

test('a repository is fetched once, at one commit', async (t) => {
  const folder = home(t);
  const { greedy } = golden('qwen3_moe_yarn');
  models.log.length = 0;
  const first = await generate(`${MODEL}@v1`, folder);
  assert.deepEqual(first.tokens, greedy.slice(0, 8), first.said + JSON.stringify(first.error));
  assert.ok(stored().length >= 3 && models.log.filter(({ status }) => status === 302).every(({ path }) => path.includes(`/resolve/${COMMIT}/`)));
  assert.ok(models.log.every(({ authorization }) => !authorization));
  models.log.length = 0;
  assert.deepEqual((await generate(`${MODEL}@v1`, folder)).tokens, greedy.slice(0, 8));
  assert.equal(models.log.length, 1, 'only what the revision is now was asked');
});

test('what was fetched needs no hub', async (t) => {
  const folder = home(t);
  const own = await hub();
  const env = { HF_ENDPOINT: own.url };
  await generate(MODEL, folder, { env }).finally(own.stop);
  const { tokens, said } = await generate(MODEL, folder, { env });
  assert.deepEqual(tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8), said);
  assert.match(said, /taking what was fetched before/);
});

test('a gated repository, with a token that goes to the hub alone; a kind of .gguf', async (t) => {
  const folder = home(t);
  const without = await generate('hf:gated/qwen3', folder, { of: 'qwen3' });
  assert.equal(without.error?.code, 'file');
  assert.match(without.error?.message ?? '', /HF_TOKEN/);
  models.log.length = 0;
  // Storage refuses whoever sends it along.
  const loaded = await generate('hf:gated/qwen3', folder, { of: 'qwen3', env: { HF_TOKEN: TOKEN } });
  assert.deepEqual(loaded.tokens, golden('qwen3').greedy.slice(0, 8), loaded.said);
  assert.ok(models.log.some(({ status, authorization }) => status === 302 && authorization));
  assert.ok(stored().every(({ authorization }) => !authorization));
  const kind = await generate('hf:tiny/gguf/llama-q4_0.gguf', folder, { of: 'qwen3' });
  assert.equal(kind.tokens?.length, 8, kind.said);
});

test('a connection that is cut is taken up again where it was', async (t) => {
  const folder = home(t);
  models.log.length = 0;
  models.fault = 'cut';
  const loaded = await generate(MODEL, folder);
  assert.deepEqual(loaded.tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8), loaded.said);
  assert.equal(models.fault, '');
  assert.equal(stored().filter(({ status }) => status === 206).length, 1);
});

test('what arrives damaged is refused by name, and fetched again next time', async (t) => {
  const folder = home(t);
  models.fault = 'spoil';
  const { error } = await generate(MODEL, folder);
  assert.equal(error?.code, 'file');
  assert.match(error?.message ?? '', /model.*safetensors.*SHA-256/);
  assert.deepEqual((await generate(MODEL, folder)).tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8));
});

test("what the hub's own tools fetched already is taken from there", async (t) => {
  const folder = home(t);
  const snapshot = join(folder, '.cache/huggingface/hub/models--tiny--qwen3_moe_yarn/snapshots', COMMIT);
  mkdirSync(snapshot, { recursive: true });
  cpSync(join(ROOT, FIXTURES, 'qwen3_moe_yarn'), snapshot, { recursive: true });
  models.log.length = 0;
  assert.deepEqual((await generate(MODEL, folder)).tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8));
  assert.deepEqual(stored(), []);
});

test('who only splits text fetches no weights', async (t) => {
  const folder = home(t);
  models.log.length = 0;
  const { ids, said } = await moebius(['tokenize', '--model', MODEL, '--text', 'one two', '--json'], folder);
  assert.ok(ids?.length > 0, said);
  assert.ok(stored().length >= 2 && stored().every(({ path }) => path.endsWith('.json')), JSON.stringify(stored()));
  assert.deepEqual((await generate(MODEL, folder)).tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8), 'the rest is fetched when it is wanted');
});

test('a folder and a .gguf on any host', async (t) => {
  const folder = home(t);
  const site = await serve();
  try {
    const loaded = await generate(`${site.url}${FIXTURES}qwen3_moe_yarn/`, folder);
    assert.deepEqual(loaded.tokens, golden('qwen3_moe_yarn').greedy.slice(0, 8), loaded.said + JSON.stringify(loaded.error));
    const gguf = await generate(`${site.url}${FIXTURES}gguf/llama-q4_0.gguf?download=true`, folder, { of: 'qwen3' });
    assert.equal(gguf.tokens?.length, 8, gguf.said + JSON.stringify(gguf.error));
    const { error } = await generate(`${site.url}nothing/`, folder);
    assert.match(error?.message ?? '', /has no config\.json/);
  } finally {
    await site.stop();
  }
});

test('what a hub does not have is said', async (t) => {
  const folder = home(t);
  for (const [model, pattern] of /** @type {[string, RegExp][]} */ ([
    ['hf:tiny/nothing', /is not there/],
    ['hf:tiny/qwen3@v9', /is not there/],
    ['hf:tiny/qwen3:Q4_K_M', /no Q4_K_M is there/],
    ['hf:qwen3', /not hf:owner\/name/],
  ])) {
    const { error } = await generate(model, folder);
    assert.match(error?.message ?? '', pattern, `${model}: ${JSON.stringify(error)}`);
  }
});
