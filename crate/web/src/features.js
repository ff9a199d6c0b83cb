// Optional GPU features that wgpu has no name for in a browser: asked for by completing what it asks the browser for.

/** What shaders have variants for. */
const WANTED = ['subgroups'];

/** Where a completed request remembers that it is one. */
const COMPLETED = Symbol('completed');

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
    const completed = function (descriptor = {}) {
      const requiredFeatures = new Set([...(descriptor.requiredFeatures ?? []), ...offered(this)]);
      return plain.call(this, { ...descriptor, requiredFeatures });
    };
    prototype.requestDevice = Object.assign(completed, { [COMPLETED]: true });
  }
  return offered(adapter);
}
