// What wgpu does not ask a browser for: optional features that it has no name for, and pipelines made beside other work. Both by
// completing what it does ask.

/** What shaders have variants for. */
const WANTED = ['subgroups'];

/** Where a completed request remembers that it is one. */
const COMPLETED = Symbol('completed');

/** The pipelines of the device that was asked for last. @type {Pipelines | undefined} */
let newest;

/** @param {GPUAdapter} adapter @returns {string[]} what it has of the wanted features */
function offered(adapter) {
  return WANTED.filter((name) => adapter.features.has(name));
}

/**
 * Completes every later `requestDevice` of this realm, once.
 * @param {GPUAdapter} adapter
 * @returns {string[]} what it has of the wanted features
 */
export function completeRequests(adapter) {
  const prototype = Object.getPrototypeOf(adapter);
  const plain = prototype.requestDevice;
  if (!(COMPLETED in plain)) {
    /** @this {GPUAdapter} @param {GPUDeviceDescriptor} [descriptor] */
    const completed = async function (descriptor = {}) {
      const requiredFeatures = new Set([...(descriptor.requiredFeatures ?? []), ...offered(this)]);
      const device = await plain.call(this, { ...descriptor, requiredFeatures });
      newest = new Pipelines(device);
      return device;
    };
    prototype.requestDevice = Object.assign(completed, { [COMPLETED]: true });
  }
  return offered(adapter);
}

/** @returns {Pipelines | undefined} those of the device that was asked for last */
export function newestPipelines() {
  return newest;
}

/** The pipelines of a device that are made by many threads of the browser at once, while the engine does something else. */
export class Pipelines {
  /** @type {GPUDevice} */ #device;
  /** @type {Map<string, Promise<void>>} */ #begun = new Map();
  /** @type {Map<string, GPUComputePipeline>} */ #made = new Map();

  /** @param {GPUDevice} device whose `createComputePipeline` from now on gives what is made, by its label */
  constructor(device) {
    this.#device = device;
    const plain = device.createComputePipeline.bind(device);
    device.createComputePipeline = (descriptor) => this.#made.get(descriptor.label ?? '') ?? plain(descriptor);
  }

  /**
   * Begins with one.
   * @param {string} name
   * @param {string} code of its shader
   * @param {GPUBufferBindingType[]} bindings of its one group
   * @param {string[]} names of `override` constants
   * @param {Uint32Array} values of those
   */
  begin(name, code, bindings, names, values) {
    const device = this.#device;
    // What is wrong here is wrong again when the engine asks for it, inside its own scopes: nothing is to be heard of it now.
    device.pushErrorScope('validation');
    const entries = bindings.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
    const layout = device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
    const constants = Object.fromEntries(names.map((constant, i) => [constant, values[i] ?? 0]));
    const compute = { module: device.createShaderModule({ code }), entryPoint: 'main', constants };
    const made = device.createComputePipelineAsync({ label: name, layout, compute });
    void device.popErrorScope().catch(() => {});
    this.#begun.set(name, made.then((pipeline) => void this.#made.set(name, pipeline), () => {}));
  }

  /** @param {string} name @returns {Promise<void>} until it is made or has failed */
  async made(name) {
    await this.#begun.get(name);
  }
}
