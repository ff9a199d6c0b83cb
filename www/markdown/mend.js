// Half-written Markdown, closed for the moment: `**bo` is shown bold and not with its stars, `[text](htt` as its text.

/** A last line that may yet become a marker, a rule or a fence. */
const MARKER = /^[ \t>]*(?:[-+*=#|`~:_]+|\d{1,9}[.)]?|[-+*] \[[ xX]?\]?)[ \t]*$/;
/** What an item begins with. */
const ITEM = /^[ \t>]*(?:[-+*]|\d{1,9}[.)])[ \t]+/gm;

/**
 * @param {string} text an open block
 * @param {string} kind its token's type
 */
export function mend(text, kind) {
  const start = text.lastIndexOf('\n') + 1;
  const shown = MARKER.test(text.slice(start)) ? text.slice(0, start) : text;
  return ['code', 'table', 'math'].includes(kind) ? shown : close(shown);
}

/** Closes what is open in the last paragraph or item. @param {string} text */
function close(text) {
  const item = [...text.matchAll(ITEM)].at(-1);
  const start = Math.max(text.lastIndexOf('\n\n') + 1, item ? item.index + item[0].length : 0);
  const head = text.slice(0, start);
  let body = text.slice(start);
  const plain = blank(body);
  if (plain.includes('`')) {
    const bare = body.replace(/`+\s*$/, '');
    return head + (bare === body ? `${body.trimEnd()}\`` : stars(bare));
  }
  const link = /!?\[([^[\]\n]*)(?:\]\(?[^()\n]*)?$/.exec(plain);
  if (link) {
    const label = link.index + link[0].indexOf('[') + 1;
    body = body.slice(0, link.index) + body.slice(label, label + link[1].length);
  }
  return head + stars(body);
}

/** The text with spaces for its code, its formulas and its escapes, so that nothing in there is taken for a marker. @param {string} body */
function blank(body) {
  return body.replace(/\\\((?:(?!\\[()]).)*\\\)|\$\$[^$]+\$\$|\$[^$\n`]+\$|\\.|(`+)(?!`)[^`]*\1(?!`)/g, (all) => ' '.repeat(all.length));
}

/** Closes emphasis with stars; one that has only just begun is left out. @param {string} body @returns {string} */
function stars(body) {
  /** @type {string[]} */
  const open = [];
  for (const [run] of blank(body).matchAll(/\*+(?=\S|$)|(?<=\S)\*+/g)) {
    if (open.includes(run)) open.length = open.indexOf(run);
    else open.push(run);
  }
  const bare = body.replace(/\*+\s*$/, '');
  if (open.length === 0) return body;
  return bare === body ? body.trimEnd() + open.reverse().join('') : stars(bare);
}
