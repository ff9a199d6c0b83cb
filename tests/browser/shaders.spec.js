// Every shader variant compiles in the browser, whose WGSL compiler is another than the build's.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { capture, TARGET } from '../../scripts/run.mjs';
import { adapter, launch, open } from './harness.js';

/** @type {Awaited<ReturnType<typeof launch>>} */
let browser;
/** @type {Awaited<ReturnType<typeof open>>} */
let page;

before(async () => {
  browser = await launch();
  page = await open(browser);
  // An empty document of a secure origin: nothing of the page takes part.
  await page.route('http://localhost/', (route) => route.fulfill({ contentType: 'text/html', body: '' }));
  await page.goto('http://localhost/');
});

after(async () => {
  await browser?.close();
});

/** @returns {{name: string, wgsl: string}[]} every variant the engine was built with */
function variants() {
  // With the features that `cargo test --workspace` built all with.
  const build = capture('cargo', ['build', '--quiet', '--workspace', '--example', 'shaders'], { timeout: 900_000 });
  assert.ok(build.ok, build.err);
  const { ok, out, err } = capture(join(TARGET, 'debug/examples/shaders'), []);
  assert.ok(ok, err);
  return out.split('\n').map((line) => JSON.parse(line));
}

/**
 * Creates each shader's pipeline on a device with default limits, as the weakest browser has, and no feature but those that
 * the shaders' names end with.
 * @param {{name: string, wgsl: string}[]} shaders
 * @param {GPUFeatureName[]} [features]
 * @returns {Promise<string[]>} what the browser complained about
 */
function compile(shaders, features = []) {
  return page.evaluate(async ({ list, features }) => {
    const gpu = await navigator.gpu.requestAdapter();
    if (gpu === null) return ['no adapter'];
    const device = await gpu.requestDevice({ requiredFeatures: features });
    /** @type {string[]} */
    const complaints = [];
    const all = async () => {
      for (const { name, wgsl } of list) {
        device.pushErrorScope('validation');
        const module = device.createShaderModule({ code: wgsl });
        const messages = (await module.getCompilationInfo()).messages.filter(({ type }) => type !== 'info');
        complaints.push(...messages.map(({ lineNum, message }) => `${name}:${lineNum}: ${message}`));
        await device
          .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } })
          .catch((error) => complaints.push(`${name}: ${error.message}`));
        const error = await device.popErrorScope();
        if (error !== null) complaints.push(`${name}: ${error.message}`);
      }
    };
    // On a device that is lost some promises never settle.
    await Promise.race([all(), device.lost.then(({ message }) => complaints.push(`device lost: ${message}`))]);
    device.destroy();
    return complaints;
  }, { list: shaders, features });
}

test('there is a software adapter', async () => {
  const { vendor } = await adapter(page);
  assert.match(vendor, /swiftshader/i);
});

test('every variant makes a pipeline', { timeout: 600_000 }, async () => {
  const shaders = variants();
  assert.ok(shaders.length > 15, `only ${shaders.length} variants`);
  const more = (/** @type {{name: string}} */ { name }) => name.endsWith('.subgroups');
  assert.deepEqual(await compile(shaders.filter((shader) => !more(shader))), []);
  assert.ok(shaders.some(more), 'no variant with subgroup operations');
  assert.deepEqual(await compile(shaders.filter(more), ['subgroups']), []);
});

test('a broken shader is told', async () => {
  const good = '@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(64) fn main() { y[0] = 1u; }';
  assert.deepEqual(await compile([{ name: 'good', wgsl: good }]), []);
  assert.notDeepEqual(await compile([{ name: 'type', wgsl: good.replace('1u', '1.0') }]), []);
  assert.notDeepEqual(await compile([{ name: 'size', wgsl: good.replace('64', '2048') }]), []);
});
