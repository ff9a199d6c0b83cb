// Tells the words of code apart, away from the page: a grammar that a hostile text keeps busy keeps nobody else waiting.

import hljs from '../vendor/highlight.js';

/** What a word is shown as. @typedef {'keyword' | 'type' | 'string' | 'number' | 'comment' | 'title' | 'attribute' | 'deletion'} Kind */

/** What the library's scopes are shown as; what is none of these is plain. @type {Record<string, Kind>} */
const SCOPES = {
  keyword: 'keyword', literal: 'keyword', operator: 'keyword', name: 'keyword', 'selector-tag': 'keyword',
  built_in: 'type', type: 'type', class: 'type', 'selector-class': 'type', 'selector-id': 'type', 'selector-pseudo': 'type',
  string: 'string', regexp: 'string', addition: 'string', code: 'string', link: 'string', char: 'string',
  number: 'number', symbol: 'number', bullet: 'number',
  comment: 'comment', doctag: 'comment', quote: 'comment', meta: 'comment',
  title: 'title', section: 'title', function: 'title',
  attr: 'attribute', attribute: 'attribute', property: 'attribute', variable: 'attribute', 'template-variable': 'attribute',
  deletion: 'deletion',
}; // prettier-ignore

/** Gathers spans instead of markup: kind, from, to. */
class Spans {
  /** @type {[Kind, number, number][]} */ list = [];
  length = 0;
  /** @type {(Kind | undefined)[]} */ #open = [];

  /** @param {string} text */
  addText(text) {
    const kind = this.#open.at(-1);
    const last = this.list.at(-1);
    const end = this.length + text.length;
    if (kind && last?.[0] === kind && last[2] === this.length) last[2] = end;
    else if (kind && text !== '') this.list.push([kind, this.length, end]);
    this.length = end;
  }

  /** @param {string} scope */
  startScope(scope) {
    const name = scope.split('.')[0];
    // What is substituted in a string is code again; other scopes that nobody knows look like what they stand in.
    const known = Object.hasOwn(SCOPES, name) ? SCOPES[name] : undefined;
    this.#open.push(known ?? (name === 'subst' ? undefined : this.#open.at(-1)));
  }

  endScope() {
    this.#open.pop();
  }

  /** The library has two names for each. @param {string} scope */
  openNode(scope) {
    this.startScope(scope);
  }

  closeNode() {
    this.endScope();
  }

  /** @param {Spans} other */
  __addSublanguage(other) {
    for (const [kind, from, to] of other.list) this.list.push([kind, this.length + from, this.length + to]);
    this.length += other.length;
  }

  finalize() {}

  toHTML() {
    return '';
  }
}

hljs.configure({ __emitter: Spans });

addEventListener('message', ({ data }) => {
  const { id, language, text } = data;
  const known = hljs.getLanguage(language) !== undefined;
  const spans = known ? hljs.highlight(text, { language, ignoreIllegals: true })._emitter.list : [];
  postMessage({ id, spans });
});
postMessage({ id: -1, spans: [] }); // it is there
