// The Markdown library as model output needs it: no raw HTML, no link definitions, no nesting without end.

import { Lexer, Tokenizer } from '../vendor/marked.js';

/** Levels of quotes and lists, and of emphasis and links, before the rest is text: recursion has to end somewhere. */
const DEEPEST = 12;

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
export function lex(text) {
  return new Lexer({ gfm: true, tokenizer: new Plain() }).lex(text);
}
