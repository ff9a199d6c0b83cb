// What axe finds wrong with a page for people who see, hear or move differently.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ROOT } from '../../scripts/run.mjs';

/** Run inside the page as a tester's tool would be, past the page's own policy. */
const AXE = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');

/** @param {import('playwright-core').Page} page @returns {Promise<string[]>} */
export async function axe(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap((/** @type {any} */ { id, help, nodes }) => nodes.map((/** @type {any} */ node) => `${id}: ${help}: ${node.target.join(' ')} ${node.any?.[0]?.message ?? ''}`));
  });
}
