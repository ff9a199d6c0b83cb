// TeX as MathML nodes. The library makes a tree; what of it is on the lists below becomes nodes, and anything else is refused.

import temml from '../vendor/temml.js';

const MATHML = 'http://www.w3.org/1998/Math/MathML';

/** A node of the library's tree; text has no type, and neither does a group. @typedef {{type?: string, text?: string, children?: Tree[],
 *   attributes?: Record<string, unknown>, style?: Record<string, unknown>, classes?: string[]}} Tree */

/** Elements, those of MathML Core. */
const ELEMENTS = new Set([
  'math', 'mfrac', 'mi', 'mmultiscripts', 'mn', 'mo', 'mover', 'mpadded', 'mphantom', 'mprescripts', 'mroot', 'mrow', 'ms', 'mspace',
  'msqrt', 'mstyle', 'msub', 'msubsup', 'msup', 'mtable', 'mtd', 'mtext', 'mtr', 'munder', 'munderover', 'none',
]); // prettier-ignore

const TRUE_OR_FALSE = /^(?:true|false)$/;
const LENGTH = /^-?\d{1,4}(?:\.\d{1,4})?(?:em|ex|mu|pt|px)?$/;
/** Attributes, and what they may say. @type {Record<string, RegExp>} */
const ATTRIBUTES = {
  ...Object.fromEntries(['accent', 'accentunder', 'displaystyle', 'fence', 'largeop', 'movablelimits', 'separator', 'stretchy', 'symmetric'].map((name) => [name, TRUE_OR_FALSE])),
  ...Object.fromEntries(['depth', 'height', 'linethickness', 'lspace', 'mathsize', 'maxsize', 'minsize', 'rspace', 'voffset', 'width'].map((name) => [name, LENGTH])),
  display: /^block$/,
  form: /^(?:prefix|infix|postfix)$/,
  mathvariant: /^normal$/,
  scriptlevel: /^[+-]?\d$/,
  columnspan: /^\d{1,2}$/,
  rowspan: /^\d{1,2}$/,
};

/** Looks that the library asks for by class, style or an element that browsers dropped, as classes of ours. @type {Record<string, string>} */
const CLASSES = { 'tml-left': 'left', 'tml-right': 'right', upstrike: 'struck', downstrike: 'struck', bcancel: 'struck', xcancel: 'struck' };
/** @type {Record<string, string>} */
const NOTATIONS = {
  box: 'boxed', top: 'overlined', bottom: 'underlined', updiagonalstrike: 'struck', downdiagonalstrike: 'struck', horizontalstrike: 'struck',
}; // prettier-ignore

/** Levels of a formula, and nodes in it, before it is no formula any more. */
const DEEPEST = 60;
const MOST = 5000;

/**
 * @param {string} tex
 * @param {boolean} display whether it stands on lines of its own
 * @returns {Element} a `math` element; what is no TeX, or too much of it, throws
 */
export function render(tex, display) {
  // Macros end with the formula, addresses and pictures are not trusted, and no length is beyond a few lines.
  const tree = temml.__renderToMathMLTree(tex, { displayMode: display, throwOnError: true, trust: false, maxExpand: 200, maxSize: [20, 20] });
  const count = { left: MOST };
  const node = element(/** @type {Tree} */ (tree), 0, count);
  if (!(node instanceof Element) || node.localName !== 'math') throw new Error('This is no formula.');
  return node;
}

/** @param {Tree} tree @param {number} depth @param {{left: number}} count @returns {Node} */
function element(tree, depth, count) {
  count.left -= 1;
  if (depth > DEEPEST || count.left < 0) throw new Error('This formula is too large.');
  const children = (tree.children ?? []).map((child) => element(child, depth + 1, count));
  if (tree.type === undefined && typeof tree.text === 'string') return document.createTextNode(tree.text);
  if (tree.type === undefined) {
    const fragment = document.createDocumentFragment();
    fragment.append(...children);
    return fragment;
  }
  const name = tree.type === 'menclose' ? 'mrow' : tree.type;
  if (!ELEMENTS.has(name)) throw new Error(`${name} is none of the elements of a formula.`);
  const node = document.createElementNS(MATHML, name);
  for (const [attribute, value] of Object.entries(tree.attributes ?? {})) {
    if (Object.hasOwn(ATTRIBUTES, attribute) && ATTRIBUTES[attribute].test(String(value))) node.setAttribute(attribute, String(value));
  }
  const classes = looks(tree);
  if (classes.length > 0) node.setAttribute('class', classes.join(' '));
  const { paddingLeft, paddingRight } = tree.style ?? {};
  if (name === 'mtd' && paddingLeft === '0em') node.classList.add('close-start');
  if (name === 'mtd' && paddingRight === '0em') node.classList.add('close-end');
  node.append(...children);
  return node;
}

/** @param {Tree} tree @returns {string[]} */
function looks({ type, attributes = {}, style = {}, classes = [] }) {
  const found = classes.filter((name) => Object.hasOwn(CLASSES, name)).map((name) => CLASSES[name]);
  if (type === 'menclose') {
    for (const notation of String(attributes.notation).split(' ')) if (Object.hasOwn(NOTATIONS, notation)) found.push(NOTATIONS[notation]);
  }
  if (type === 'mtd' && style.borderRight) found.push('rule-end');
  if (type === 'mtd' && style.borderBottom) found.push('rule-below');
  if (type === 'mrow' && style.border) found.push('boxed');
  if (style.textAlign === 'left') found.push('left');
  return found;
}
