// Makes the page's icons of its mark, as `www/ui/mark.js` draws it: an SVG, and PNGs by a browser. Run it when the mark changes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { launch, serve } from '../tests/browser/harness.js';
import { program, ROOT, say } from './run.mjs';

const FOLDER = 'www/pwa';
/** Pixels, the part of them that the mark is wide, and whether it stands on ground of its own. */
const PNGS = [
  { name: 'icon-192.png', size: 192, share: 0.86, ground: 'transparent' },
  { name: 'icon-512.png', size: 512, share: 0.86, ground: 'transparent' },
  { name: 'icon-mask.png', size: 512, share: 0.62, ground: '#fbfaf6' }, // a launcher cuts off all but the middle
];

program(import.meta.url, async () => {
  const site = await serve();
  const browser = await launch({ webgpu: false });
  try {
    const page = await browser.newPage();
    await page.goto(`${site.url}www/models.json`); // any page of this host
    const svg = await page.evaluate(async () => {
      const path = '/www/ui/mark.js';
      const { mark } = await import(path);
      const node = mark();
      for (const name of ['class', 'aria-hidden']) node.removeAttribute(name);
      node.setAttribute('viewBox', '-1.5 -1.5 3 3');
      return new XMLSerializer().serializeToString(node);
    });
    writeFileSync(join(ROOT, FOLDER, 'icon.svg'), `<!-- The mark, made by scripts/icons.mjs. -->\n${svg}\n`);
    for (const { name, size, share, ground } of PNGS) {
      await page.setViewportSize({ width: size, height: size });
      await page.setContent(`<style>body{margin:0;display:grid;place-items:center;height:100vh;background:${ground}}svg{width:${share * 100}vw}</style>${svg}`);
      await page.screenshot({ path: join(ROOT, FOLDER, name), omitBackground: true });
      say(`${FOLDER}/${name}`);
    }
  } finally {
    await browser.close();
    await site.stop();
  }
});
