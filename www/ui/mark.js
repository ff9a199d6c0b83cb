// The mark: a Möbius strip, computed. Facets of the surface, the far ones first, coloured by where they are on the way.

const SVG = 'http://www.w3.org/2000/svg';
const FACETS = 72;
const HALF_WIDTH = 0.42;
/** The view: turned about the strip's own axis, then tipped towards the reader. */
const TURN = 5;
const TIP = 0.8;

/** @param {number} t way round, in radians @param {number} w across, from -1 to 1 @returns {[number, number, number]} */
function point(t, w) {
  const reach = 1 + HALF_WIDTH * w * Math.cos(t / 2);
  const [x, y, z] = [reach * Math.cos(t + TURN), reach * Math.sin(t + TURN), HALF_WIDTH * w * Math.sin(t / 2)];
  return [x, y * Math.cos(TIP) - z * Math.sin(TIP), y * Math.sin(TIP) + z * Math.cos(TIP)];
}

/** A new copy of the mark, decoration to assistive technology. */
export function mark() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '-1.5 -1.2 3 2.4');
  svg.setAttribute('class', 'mark');
  svg.setAttribute('aria-hidden', 'true');
  const facets = Array.from({ length: FACETS }, (_, i) => {
    const from = (i / FACETS) * 2 * Math.PI;
    const to = ((i + 1.25) / FACETS) * 2 * Math.PI; // a little over, so that no gap shows between neighbours
    const corners = [point(from, -1), point(to, -1), point(to, 1), point(from, 1)];
    const depth = corners.reduce((sum, [, , z]) => sum + z, 0);
    // Its area over that of a facet seen square on says how much it faces the reader. A side it has none to tell.
    const [a, b, c, d] = corners;
    const area = ((c[0] - a[0]) * (d[1] - b[1]) - (c[1] - a[1]) * (d[0] - b[0])) / 2;
    const facing = Math.abs(area) / ((to - from) * 2 * HALF_WIDTH);
    const hue = 213 + 37 * Math.cos(from + TURN - 0.6);
    return { corners, depth, fill: `hsl(${hue.toFixed(0)} 60% ${(40 + 32 * facing).toFixed(0)}%)` };
  });
  facets.sort((a, b) => a.depth - b.depth);
  for (const { corners, fill } of facets) {
    const polygon = document.createElementNS(SVG, 'polygon');
    polygon.setAttribute('points', corners.map(([x, y]) => `${x.toFixed(3)},${(-y).toFixed(3)}`).join(' '));
    polygon.setAttribute('fill', fill);
    svg.append(polygon);
  }
  return svg;
}
