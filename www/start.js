// Starts workers on this folder's modules, also where they come from another origin than the page.

/** Whether workers are held to the policy of whoever starts them. What such a worker starts is, too. */
let inherits = globalThis.location?.protocol === 'blob:';

/** Where workers tell what they asked for on the network: a name for the page and all that it starts. @type {string} */
export const REQUESTS = /** @type {any} */ (globalThis).moebiusRequests ?? `moebius-requests-${Math.random()}`;

/** Has workers inherit the page's Content-Security-Policy; one that comes from a URL has only what its answer's headers say. */
export function inherit() {
  inherits = true;
}

/**
 * @param {string} file a module of this folder
 * @param {string} name what tools show
 * @returns {Worker}
 */
export function startWorker(file, name) {
  let url = new URL(file, import.meta.url);
  if (inherits || url.origin !== location.origin) {
    // Browsers start workers from the page's own origin only; a line of script that imports the other is one, and inherits.
    const watch = new URL(`./ui/watch.js?to=${REQUESTS}`, import.meta.url);
    const script = [watch, url].map(({ href }) => `import ${JSON.stringify(href)};`).join('\n');
    url = new URL(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
  }
  return new Worker(scriptUrl(url.href), { type: 'module', name });
}

/**
 * A page with Trusted Types wants URLs of scripts from a named policy.
 * @param {string} url
 * @returns {string}
 */
export function scriptUrl(url) {
  const types = /** @type {{trustedTypes?: {createPolicy(name: string, rules: object): any}}} */ (globalThis).trustedTypes;
  if (!types) return url;
  policy ??= types.createPolicy('moebius', { createScriptURL: (/** @type {string} */ trusted) => trusted });
  return policy.createScriptURL(url);
}

/** @type {any} */
let policy = null;
