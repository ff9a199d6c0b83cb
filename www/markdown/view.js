// Markdown that grows, as nodes. What is complete is never looked at again: a token costs its block, not the whole reply.

import { prepare as prepareColours } from '../code/highlight.js';
import { Lexer, Tokenizer } from '../vendor/marked.js';
import { CodeBlock } from './code.js';
import { EXTENSIONS, loadMath } from './formula.js';
import { mend } from './mend.js';
import { block, item, language, listOf, row, tableOf } from './nodes.js';

/** @typedef {import('./nodes.js').Token} Token */
/** An open code block, and its line that has no end yet. @typedef {{block: CodeBlock, fence: RegExp, indent: number, line: string}} Code */

/** Characters taken at once, so that a long text handed over whole costs no more than one that comes in pieces. */
const BITE = 1024;
/** Characters from which on a list or a table keeps its rows, whatever comes. */
const LONG = 1500;
/** Characters after which any other block ends, at the last line or word: of a paragraph, and of what may hold code. */
const LONGEST = 4000;
const LONGEST_NESTED = 16000;

/** Levels of quotes and lists, and of emphasis and links, before the rest is text: recursion has to end somewhere. */
const DEEPEST = 12;

const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})(.*)$/;

/** Loads what formulas and code take, so that nothing is asked for later. */
export async function prepare() {
  await Promise.all([loadMath(), prepareColours()]);
}

export class MarkdownView {
  /** Everything appended so far. */
  text = '';
  /** @type {HTMLElement} */ #container;
  /** What is not final yet: the open block, from its beginning. */
  #tail = '';
  /** Its nodes. @type {ChildNode[]} */
  #open = [];
  /** The list or table whose first rows are final: later ones go there. @type {{into: Element, head: string, kind: 'list' | 'table'} | null} */
  #rows = null;
  /** @type {Code | null} */
  #code = null;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
  }

  /** @param {string} more */
  append(more) {
    this.text += more;
    for (let at = 0; at < more.length; at += BITE) this.#take(more.slice(at, at + BITE));
  }

  /** The text is complete: what was held back is shown. */
  finish() {
    if (this.#code) {
      const { line, fence, indent, block } = this.#code;
      if (line !== '' && !fence.test(line)) block.add(outdent(line, indent));
      block.show('');
      block.finish();
      this.#code = null;
    } else {
      this.#render(true);
    }
  }

  /** @param {string} more */
  #take(more) {
    let rest = more.replaceAll('\r', '');
    while (rest !== '' && this.#code) rest = this.#takeCode(rest, this.#code);
    if (rest === '') return;
    this.#tail += rest;
    // A fence that opens a block of its own is shown line by line from here on.
    const start = this.#fenceAt();
    if (start >= 0) this.#openCode(start);
    else this.#render(false);
  }

  /** Where the tail opens a code block at its top level, or -1. */
  #fenceAt() {
    const complete = this.#tail.lastIndexOf('\n');
    if (complete < 0 || !/^ {0,3}(```|~~~)/m.test(this.#tail)) return -1;
    let at = 0;
    let inside = /** @type {RegExp | null} */ (null);
    let found = -1;
    for (const line of this.#tail.slice(0, complete).split('\n')) {
      const fence = FENCE.exec(line);
      if (inside) {
        if (inside.test(line)) inside = null;
      } else if (fence) {
        inside = closer(fence[2]);
        found = at;
      }
      at += line.length + 1;
    }
    if (!inside) return -1;
    // Inside a list or a quote the lexer has to say; it does so for the text up to the fence.
    const before = this.#lexed(this.#tail.slice(0, found)).findLast((token) => token.type !== 'space');
    const indented = this.#tail[found] === ' ';
    return before?.type === 'list' && indented ? -1 : found;
  }

  /** @param {number} start */
  #openCode(start) {
    const tail = this.#tail;
    this.#tail = tail.slice(0, start);
    this.#render(true);
    this.#settle();
    this.#tail = '';
    const end = tail.indexOf('\n', start);
    const [, indent, marks, info] = FENCE.exec(tail.slice(start, end)) ?? ['', '', '```', ''];
    const code = new CodeBlock(language(info.trim()));
    this.#container.append(code.node);
    this.#code = { block: code, fence: closer(marks), indent: indent.length, line: '' };
    this.#take(tail.slice(end + 1));
  }

  /** Takes lines up to the closing fence; what stands behind it is returned. @param {string} more @param {Code} code */
  #takeCode(more, code) {
    const lines = (code.line + more).split('\n');
    code.line = lines.pop() ?? '';
    for (const [index, line] of lines.entries()) {
      if (code.fence.test(line)) {
        code.block.show('');
        code.block.finish();
        this.#code = null;
        return [...lines.slice(index + 1), code.line].join('\n');
      }
      code.block.add(outdent(line, code.indent));
    }
    code.block.show(/^ {0,3}[`~]*$/.test(code.line) ? '' : outdent(code.line, code.indent));
    return '';
  }

  /** Shows the tail again. @param {boolean} whole whether no more of it will come @returns {void} */
  #render(whole) {
    const tokens = this.#lexed(this.#tail);
    const last = tokens.findLastIndex((token) => token.type !== 'space');
    this.#clear();
    // All but the last block are final; so are all but the last row of a long list or table.
    let final = 0;
    for (const token of tokens.slice(0, Math.max(0, last))) {
      this.#place(token);
      this.#settle();
      final += token.raw.length;
    }
    this.#tail = this.#tail.slice(final);
    if (last < 0) return;
    const token = tokens[last];
    if (whole) return this.#place(token);
    if (this.#tail.length > LONG && this.#split(token)) return this.#render(false);
    const nested = token.type === 'list' || token.type === 'blockquote';
    if (this.#tail.length > (nested ? LONGEST_NESTED : LONGEST)) return this.#cut();
    const shown = mend(this.#tail, token.type);
    for (const open of shown === this.#tail ? [token] : this.#lexed(shown)) this.#place(open);
  }

  /** Makes all rows but the last final, if there are several. @param {Token} token @returns {boolean} */
  #split(token) {
    if (token.type === 'list' && token.items.length > 1) {
      const done = token.items.slice(0, -1);
      const length = done.reduce((/** @type {number} */ sum, /** @type {Token} */ one) => sum + one.raw.length, 0);
      const into = this.#rows?.into ?? listOf(token);
      if (!this.#rows) this.#container.append(into);
      into.append(...done.map(item));
      this.#rows = { into, head: '', kind: 'list' };
      this.#tail = this.#tail.slice(length);
      return true;
    }
    if (token.type === 'table' && token.rows.length > 1 && this.#tail.trimEnd().includes('\n')) {
      const lines = this.#tail.trimEnd().split('\n');
      let table = this.#rows;
      if (!table) {
        const { node, body } = tableOf(token);
        this.#container.append(node);
        table = { into: body, head: `${lines[0]}\n${lines[1]}\n`, kind: 'table' };
      }
      const rows = token.rows.slice(0, -1);
      table.into.append(...rows.map(row));
      this.#rows = table;
      this.#tail = this.#tail.slice(lines.slice(0, -1).join('\n').length + 1);
      return true;
    }
    return false;
  }

  /** Ends a block that has become too long, at its last line or word. */
  #cut() {
    const half = this.#tail.length >> 1;
    const at = Math.max(this.#tail.lastIndexOf('\n'), this.#tail.lastIndexOf(' ')) + 1;
    const end = at > half ? at : this.#tail.length;
    for (const token of this.#lexed(this.#tail.slice(0, end))) this.#place(token);
    this.#settle();
    this.#tail = this.#tail.slice(end);
  }

  /** Appends a block, or the rows of one that is partly there. @param {Token} token */
  #place(token) {
    if (token.type === 'space') return;
    if (this.#rows && token.type === this.#rows.kind) {
      const rows = token.type === 'list' ? token.items.map(item) : token.rows.map(row);
      this.#rows.into.append(...rows);
      this.#open.push(...rows);
      return;
    }
    const node = /** @type {ChildNode} */ (block(token));
    this.#container.append(node);
    this.#open.push(node);
  }

  /** What is shown of the tail is final. */
  #settle() {
    this.#open = [];
    this.#rows = null;
  }

  #clear() {
    for (const node of this.#open) node.remove();
    this.#open = [];
  }

  /**
   * Tokens of a text, in the light of the table that it goes on with. One the lexer fails at is text.
   * @param {string} text
   * @returns {Token[]}
   */
  #lexed(text) {
    const head = this.#rows?.head ?? '';
    try {
      const tokens = lex(head + text);
      if (head && tokens.length > 0) tokens[0].raw = tokens[0].raw.slice(head.length);
      if (text.startsWith(tokens.map(({ raw }) => raw).join(''))) return tokens;
    } catch {
      // Shown as it is.
    }
    return [/** @type {Token} */ (/** @type {unknown} */ ({ type: 'unread', raw: text }))];
  }
}

/** What closes a fence. @param {string} marks */
function closer(marks) {
  return new RegExp(`^ {0,3}${marks[0]}{${marks.length},}\\s*$`);
}

/** @param {string} line @param {number} indent */
function outdent(line, indent) {
  return indent === 0 ? line : line.replace(new RegExp(`^ {1,${indent}}`), '');
}

/** The library's rules as model output needs them: no raw HTML, no link definitions, no nesting without end. */
class Plain extends Tokenizer {
  #depth = 0;

  /** HTML is text like any other. @returns {undefined} */
  html() {}

  /** @returns {undefined} */
  tag() {}

  /** An address that is defined in one place and used in another could not be shown while the text still comes. @returns {undefined} */
  def() {}

  /** @param {string} src */
  blockquote(src) {
    return this.#nested(() => super.blockquote(src));
  }

  /** @param {string} src */
  list(src) {
    return this.#nested(() => super.list(src));
  }

  /** @param {string} src */
  link(src) {
    return this.#nested(() => super.link(src));
  }

  /** @param {Parameters<Tokenizer['emStrong']>} all */
  emStrong(...all) {
    return this.#nested(() => super.emStrong(...all));
  }

  /** @param {Parameters<Tokenizer['del']>} all */
  del(...all) {
    return this.#nested(() => super.del(...all));
  }

  /** @template T @param {() => T} inner @returns {T | undefined} */
  #nested(inner) {
    if (this.#depth >= DEEPEST) return undefined;
    this.#depth += 1;
    try {
      return inner();
    } finally {
      this.#depth -= 1;
    }
  }
}

/**
 * @param {string} text
 * @returns {import('./nodes.js').Token[]} whose `raw` are together the text
 */
function lex(text) {
  return new Lexer({ gfm: true, tokenizer: new Plain(), extensions: EXTENSIONS }).lex(text);
}
