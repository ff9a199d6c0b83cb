// Chats as files: those of another browser taken in, and one as Markdown.

import { FORMAT } from '../history.js';

/** @typedef {import('../history.js').History} History */
/** @typedef {import('../thread.js').Entry} Entry */

const ROLES = ['system', 'user', 'assistant'];
const NUMBERS = ['created', 'seed', 'tokens', 'context', 'speed', 'thought'];

/** Takes in what was exported; what is there already stays. @param {History} history @param {any} from @returns {Promise<number>} chats taken in; rejects if it is something else */
export async function takeIn(history, from) {
  if (from?.format !== FORMAT || !Array.isArray(from.chats) || !Array.isArray(from.messages)) throw new Error('not an export of chats');
  const here = new Set((await history.list()).map(({ id }) => id));
  let count = 0;
  for (const one of from.chats) {
    const { id, title, created, updated, leaf, settings } = one ?? {};
    if (typeof id !== 'string' || here.has(id)) continue;
    const put = from.messages.filter((/** @type {any} */ row) => row?.chat === id && ROLES.includes(row.role)).map(clean);
    const chat = { id, title: String(title), created: Number(created) || 0, updated: Number(updated) || 0, leaf: leaf ? String(leaf) : null, settings: Object(settings) };
    await history.save(chat, put);
    count += 1;
  }
  return count;
}

/** A message of a file, with the fields that are known and of the right kind. @param {any} row @returns {Entry} */
function clean(row) {
  const entry = /** @type {any} */ ({ id: String(row.id), parent: row.parent ? String(row.parent) : null, role: row.role, content: String(row.content) });
  for (const name of ['reasoning_content', 'end']) if (typeof row[name] === 'string') entry[name] = row[name];
  for (const name of NUMBERS) if (Number.isFinite(row[name])) entry[name] = row[name];
  return entry;
}

/** A conversation as Markdown. @param {string} title @param {{role: string, content: string}[]} messages */
export function markdown(title, messages) {
  const parts = messages.map(({ role, content }) => `## ${role === 'user' ? 'You' : 'Moebius'}\n\n${content}`);
  return `${[`# ${title}`, ...parts].join('\n\n')}\n`;
}
