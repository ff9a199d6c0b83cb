// The messages between the engine's worker, or a page's storage, and the loader's worker.

/** Why a file is not to be had. @typedef {{file: string, reason: string, kind: import('./host.js').Kind}} Fault */

/** Some of a file's bytes. @typedef {{file: string, start: number, end: number}} Stretch */

/**
 * To the loader. `open` comes first; every question has an `id`, which its answer repeats.
 * @typedef {{type: 'open', where: {base: string, query: string, token?: string, tree?: import('./model.js').Known[], gguf: string}}
 *   | {type: 'size', id: number, file: string}
 *   | {type: 'read', id: number, file: string, start: number, end: number, urgent: boolean}
 *   | {type: 'kept', id: number, stretches: Stretch[]}
 *   | {type: 'ahead', stretches: Stretch[]}
 *   | {type: 'spare', buffer: ArrayBuffer}
 *   | {type: 'pause', paused: boolean}} ToLoader
 */

/**
 * From the loader.
 * @typedef {{type: 'progress', progress: import('../protocol.js').Progress}
 *   | {type: 'done', id: number, value: any}
 *   | {type: 'failed', id: number, fault: Fault}} FromLoader
 */

/**
 * How files of chunks are opened: the engine's worker may have them open beside the loader's, where the browser knows of that. The
 * journal has one writer.
 */
export const SHARED = /** @type {const} */ ({ mode: 'readwrite-unsafe' });
