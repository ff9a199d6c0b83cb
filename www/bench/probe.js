// How fast memory is: what the fastest loop that only reads gets of it, on the device that the model runs on.

import { startWorker } from '../start.js';

/** Bytes that are read at once, on a GPU and by a thread: more than caches hold. */
const GPU_BYTES = 128 << 20;
/** Invocations that share it, and passes over it. */
const [READERS, PASSES] = [65_536, 8];

const CODE = `
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = vec4<f32>(0.0);
  for (var i = id.x; i < arrayLength(&x); i += ${READERS}u) {
    sum += x[i];
  }
  sums[id.x] = sum;
}`;

/** @returns {Promise<number>} GB a second of a GPU */
export async function gpuProbe() {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const device = await adapter?.requestDevice();
  if (!device) return NaN;
  const size = Math.min(GPU_BYTES, device.limits.maxStorageBufferBindingSize);
  const usage = /** @type {any} */ (globalThis).GPUBufferUsage.STORAGE;
  const buffers = [device.createBuffer({ size, usage }), device.createBuffer({ size: 16 * READERS, usage })];
  const compute = { module: device.createShaderModule({ code: CODE }), entryPoint: 'main' };
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  /** @param {number} passes */
  const time = async (passes) => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < passes; i++) {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(READERS / 64);
      pass.end();
    }
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  await time(1);
  let best = Infinity;
  // What a submission costs by itself is taken off.
  for (let i = 0; i < 3; i++) {
    const one = await time(1);
    best = Math.min(best, ((await time(1 + PASSES)) - one) / PASSES);
  }
  device.destroy();
  return size / best / 1e6;
}

/**
 * @param {number} threads
 * @returns {Promise<number>} GB a second of so many threads at once
 */
export async function cpuProbe(threads) {
  const workers = Array.from({ length: threads }, () => startWorker('./bench/probe-worker.js', 'probe'));
  /** @param {object} message */
  const all = (message) =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise((/** @type {(bytes: number) => void} */ resolve, reject) => {
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = (event) => reject(new Error(event.message));
            worker.postMessage(message);
          }),
      ),
    );
  await all({ ready: true });
  let best = 0;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    const bytes = await all({});
    best = Math.max(best, bytes.reduce((a, b) => a + b, 0) / (performance.now() - start) / 1e6);
  }
  for (const worker of workers) worker.terminate();
  return best;
}
