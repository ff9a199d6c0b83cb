// The loader's worker: fetches a model's files, checks and keeps them, and answers reads, also while the engine computes.

// All of it, so that one answer is waited for and not one after another.
import './loader/chunks.js';
import './loader/disk.js';
import './loader/host.js';
import './loader/job.js';
import './loader/journal.js';
import './loader/order.js';
import './loader/recent.js';
import './loader/sha256.js';
import './loader/spares.js';
import './loader/whole.js';
import { meter } from './loader/meter.js';
import { MANIFEST } from './loader/model.js';
import { Tab, faultOf } from './loader/tab.js';

/** @typedef {import('./loader/messages.js').ToLoader} ToLoader */
/** @typedef {import('./loader/messages.js').FromLoader} FromLoader */

const asker = /** @type {{postMessage(message: FromLoader, transfer?: Transferable[]): void}} */ (/** @type {unknown} */ (globalThis));

/** @type {Promise<Tab> | undefined} */
let opened;

// Nobody asked: it is here, with all of its modules.
asker.postMessage({ type: 'done', id: 0, value: null });

addEventListener('message', ({ data }) => {
  const message = /** @type {ToLoader} */ (data);
  if (message.type === 'open') {
    opened = Tab.open(message.where, meter((progress) => asker.postMessage({ type: 'progress', progress })));
    if (!message.where.gguf && !message.where.tree) begin(opened).catch(() => {});
  } else if (message.type === 'ahead') {
    opened?.then((tab) => tab.ahead(message.stretches));
  } else if (message.type === 'spare') {
    opened?.then((tab) => tab.spare(message.buffer));
  } else if (message.type === 'pause') {
    opened?.then((tab) => tab.pause(message.paused));
  } else {
    answer(message);
  }
});

/** Asks for a pack's manifest, and then for what every token reads, while the engine is made. @param {Promise<Tab>} opened */
async function begin(opened) {
  const tab = await opened;
  tab.ahead([]);
  await tab.size(MANIFEST).catch(() => tab.ahead(null));
}

/** @param {Extract<ToLoader, {id: number}>} message */
async function answer(message) {
  const { id } = message;
  const file = 'file' in message ? message.file : '';
  try {
    const tab = await opened;
    if (!tab) throw new Error('nothing is open');
    if (message.type === 'size') return asker.postMessage({ type: 'done', id, value: await tab.size(file) });
    if (message.type === 'kept') return asker.postMessage({ type: 'done', id, value: await tab.kept(message.stretches) });
    const { start, end, urgent } = message;
    const bytes = await tab.read(file, start, end, urgent);
    const value = { bytes, checked: tab.checks(file), place: tab.place(file, start, end) };
    return asker.postMessage({ type: 'done', id, value }, [bytes.buffer]);
  } catch (error) {
    return asker.postMessage({ type: 'failed', id, fault: faultOf(error, file) });
  }
}
