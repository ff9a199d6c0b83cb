// Counts what the engine's worker asks of WebGPU, and times its launches where the browser has a clock for it.

/**
 * What was asked since counting began: launches, submissions, maps that were waited for, bytes mapped, and milliseconds of the host
 * between an encoder and its submission.
 * @typedef {{launches: number, submits: number, syncs: number, read: number, host: number}} Counts
 */

/** Milliseconds and launches of a kernel. @typedef {{ms: number, launches: number}} Spent */

/** Queries of a set, by WebGPU. */
const QUERIES = 4096;

/** @type {Counts} */
let counts = none();
/** When the encoder that was made last was made. */
let begun = 0;
/** What of each launch is timed: its kernel. @type {string[] | null} */
let timed = null;
/** @type {GPUDevice | undefined} */
let device;
/** @type {GPUQuerySet | undefined} */
let queries;

/** @returns {Counts} */
function none() {
  return { launches: 0, submits: 0, syncs: 0, read: 0, host: 0 };
}

/**
 * Has a method do something more.
 * @param {any} type @param {string} name
 * @param {(plain: Function, self: any, args: any[]) => any} more
 */
function wrap(type, name, more) {
  const plain = type?.prototype[name];
  if (!plain) return;
  /** @this {any} @param {any[]} args */
  type.prototype[name] = function (...args) {
    return more(plain, this, args);
  };
}

const scope = /** @type {any} */ (globalThis);
const { GPUBufferUsage, GPUMapMode } = scope;

wrap(scope.GPUAdapter, 'requestDevice', async (plain, adapter, [descriptor = {}]) => {
  const clock = adapter.features.has('timestamp-query') ? ['timestamp-query'] : [];
  const requiredFeatures = new Set([...(descriptor.requiredFeatures ?? []), ...clock]);
  device = await plain.call(adapter, { ...descriptor, requiredFeatures });
  return device;
});
wrap(scope.GPUDevice, 'createCommandEncoder', (plain, self, args) => {
  begun = performance.now();
  return plain.apply(self, args);
});
wrap(scope.GPUQueue, 'submit', (plain, self, args) => {
  plain.apply(self, args);
  counts.submits += 1;
  counts.host += begun > 0 ? performance.now() - begun : 0;
  begun = 0;
});
wrap(scope.GPUBuffer, 'mapAsync', (plain, self, args) => {
  counts.syncs += 1;
  counts.read += Number(args[2] ?? self.size);
  return plain.apply(self, args);
});
wrap(scope.GPUComputePassEncoder, 'dispatchWorkgroups', (plain, self, args) => {
  counts.launches += 1;
  return plain.apply(self, args);
});
wrap(scope.GPUCommandEncoder, 'beginComputePass', (plain, encoder, args) =>
  timed && queries ? launches(plain, encoder, timed, queries) : plain.apply(encoder, args),
);

/**
 * What stands for a pass: each launch is a pass of its own, with its times.
 * @param {Function} plain @param {GPUCommandEncoder} encoder @param {string[]} timed @param {GPUQuerySet} querySet
 */
function launches(plain, encoder, timed, querySet) {
  /** @type {GPUComputePipeline} */
  let pipeline;
  /** @type {any[]} */
  let group;
  return {
    setPipeline: (/** @type {GPUComputePipeline} */ next) => void (pipeline = next),
    setBindGroup: (/** @type {any[]} */ ...next) => void (group = next),
    dispatchWorkgroups(/** @type {any[]} */ ...size) {
      const at = 2 * timed.length;
      const timestampWrites = { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
      const pass = plain.call(encoder, at < QUERIES ? { timestampWrites } : {});
      if (at < QUERIES) timed.push(pipeline.label.split(' ')[0]?.replace('.subgroups', '') ?? '');
      pass.setPipeline(pipeline);
      pass.setBindGroup(...group);
      pass.dispatchWorkgroups(...size);
      pass.end();
    },
    end() {},
  };
}

/** What each kernel took, but for the first launches. @param {number} skipped @returns {Promise<Record<string, Spent> | null>} */
async function spent(skipped) {
  const names = timed;
  timed = null;
  if (!names || !queries || !device) return null;
  const size = 16 * names.length;
  const ticks = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const mapped = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(queries, 0, 2 * names.length, ticks, 0);
  encoder.copyBufferToBuffer(ticks, 0, mapped, 0, size);
  device.queue.submit([encoder.finish()]);
  await mapped.mapAsync(GPUMapMode.READ);
  const times = new BigUint64Array(mapped.getMappedRange());
  /** @type {Record<string, Spent>} */
  const kernels = {};
  names.forEach((name, i) => {
    if (i < skipped) return;
    const kernel = (kernels[name] ??= { ms: 0, launches: 0 });
    kernel.ms += Number((times[2 * i + 1] ?? 0n) - (times[2 * i] ?? 0n)) / 1e6;
    kernel.launches += 1;
  });
  for (const used of [ticks, mapped, queries]) used.destroy();
  queries = undefined;
  return kernels;
}

const channel = new BroadcastChannel('moebius bench');
channel.addEventListener('message', async ({ data: { ask, times, skipped = 0 } }) => {
  if (ask === 'begin') {
    counts = none();
    if (times && device?.features.has('timestamp-query')) {
      queries = device.createQuerySet({ type: 'timestamp', count: QUERIES });
      timed = [];
    }
    channel.postMessage({ said: ask });
  } else if (ask === 'end') {
    const found = counts;
    const kernels = await spent(skipped).catch(() => null);
    channel.postMessage({ said: ask, counts: found, kernels });
  }
});

export {};
