// Charts: each an SVG that says in words what it shows, and a table of the same figures.

import { h } from '../ui/dom.js';
import { number } from '../ui/format.js';
import { TEXT } from './texts.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [320, 120, 44, 18, 8];
/** Rows of a table that stands for a curve. */
const ROWS = 20;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
export function s(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** @param {string[]} head @param {string[][]} rows */
export function table(head, rows) {
  const cells = (/** @type {string[]} */ row) => row.map((cell, i) => (i === 0 ? h('th', { scope: 'row' }, cell) : h('td', {}, cell)));
  return h('table', {}, h('thead', {}, h('tr', {}, ...head.map((name) => h('th', { scope: 'col' }, name)))), h('tbody', {}, ...rows.map((row) => h('tr', {}, ...cells(row)))));
}

/** A table that is unfolded by who wants it. @param {HTMLTableElement} content */
export function unfolded(content) {
  return h('details', {}, h('summary', {}, TEXT.asTable), content);
}

/** A line through points, or the points alone. */
export class Chart {
  #title;
  #names;
  #dots;
  #svg = s('svg', { role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'chart' });
  #details;
  node;

  /** @param {string} title @param {[string, string]} names of both axes @param {boolean} [dots] whether each point stands for itself */
  constructor(title, names, dots = false) {
    this.#title = title;
    this.#names = names;
    this.#dots = dots;
    this.#details = unfolded(table(names, []));
    this.node = h('figure', { hidden: true }, h('figcaption', {}, title), this.#svg, this.#details);
  }

  /** @param {{x: number, y: number}[]} points */
  show(points) {
    this.node.hidden = points.length < (this.#dots ? 1 : 2);
    if (this.node.hidden) return;
    const [least, most] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
    const high = Math.max(...points.map(({ y }) => y));
    const across = (/** @type {number} */ x) => LEFT + ((x - least) / (most - least || 1)) * (WIDTH - LEFT - 8);
    const up = (/** @type {number} */ y) => HEIGHT - BOTTOM - (y / (high || 1)) * (HEIGHT - BOTTOM - TOP);
    const path = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${across(x).toFixed(1)} ${up(y).toFixed(1)}`).join('');
    const shape = this.#dots ? s('g', { class: 'dots' }, ...points.map(({ x, y }) => s('circle', { cx: across(x), cy: up(y), r: 3 }))) : s('path', { d: path, class: 'line' });
    this.#svg.setAttribute('aria-label', `${this.#title}: ${points.length}, ${number(Math.min(...points.map(({ y }) => y)), 1)} – ${number(high, 1)}`);
    this.#svg.replaceChildren(
      s('path', { d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - 4}`, class: 'axis' }),
      s('text', { x: LEFT - 5, y: TOP + 6, class: 'end' }, number(high, high < 10 ? 1 : 0)),
      s('text', { x: LEFT - 5, y: HEIGHT - BOTTOM, class: 'end' }, '0'),
      s('text', { x: LEFT, y: HEIGHT - 3 }, number(least)),
      s('text', { x: WIDTH - 4, y: HEIGHT - 3, class: 'end' }, number(most)),
      shape,
    );
    const step = Math.ceil(points.length / ROWS);
    const rows = points.filter((_, i) => i % step === 0).map(({ x, y }) => [number(x), number(y, 1)]);
    this.#details.replaceChild(table(this.#names, rows), /** @type {Node} */ (this.#details.lastChild));
  }
}
