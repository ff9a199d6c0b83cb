// The words of the reply that is shown, and their tokens: pointing at one tells which. The reply itself is left as it is.

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */
/** @typedef {import('./record.js').Piece} Piece */
/** A word as it is shown, and where it stands in the text that the model wrote. @typedef {{node: Text, start: number, from: number, length: number}} Word */

/** Where a reply shows its answer, and what it thought before. */
const PLACES = { content: '.body', reasoning_content: '.thoughts' };
/** What is shown there that the model did not write as it is shown. */
const OTHER = '.code-head, .address, math';
/** Characters of markup that may stand between two words: the address of a link, say. */
const BETWEEN = 2000;

const MARK = 'moebius-token';
/** Browsers without these have the row of tokens alone. */
const able = 'highlights' in CSS && 'caretPositionFromPoint' in document;

/** Sends `look` with the piece that is pointed at, or null. */
export class Words extends EventTarget {
  #chat;
  /** Of the last reply. @type {() => Piece[]} */ #pieces = () => [];
  /** @type {Word[]} */ #words = [];
  /** What the words were found in. */ #found = '';
  /** @type {Piece | null} */ #at = null;
  #frame = 0;

  /** @param {MoebiusChat} chat */
  constructor(chat) {
    super();
    this.#chat = chat;
    const looks = new CSSStyleSheet();
    looks.replaceSync(`::highlight(${MARK}) { background: var(--accent); color: var(--on-accent); }`);
    chat.shadowRoot?.adoptedStyleSheets.push(looks);
  }

  /** @param {() => Piece[]} pieces of the last reply */
  start(pieces) {
    this.#pieces = pieces;
    if (able) this.#chat.addEventListener('pointermove', this.#move);
    this.#chat.addEventListener('pointerleave', this.#leave);
  }

  stop() {
    this.#chat.removeEventListener('pointermove', this.#move);
    this.#chat.removeEventListener('pointerleave', this.#leave);
    this.#leave();
  }

  /** Shows where a piece stands in the reply. @param {Piece | null} piece */
  mark(piece) {
    if (!able) return;
    CSS.highlights.delete(MARK);
    const place = piece && this.#place(piece.part);
    if (!place) return;
    const begin = this.#begin(piece);
    const end = begin + piece.text.length;
    const ranges = this.#in(place, piece.part).filter(({ from, length }) => from < end && begin < from + length).map(({ node, start, from, length }) => (
      new StaticRange({ startContainer: node, startOffset: start + Math.max(0, begin - from), endContainer: node, endOffset: start + Math.min(length, end - from) })));
    if (ranges.length > 0) CSS.highlights.set(MARK, new Highlight(...ranges));
  }

  /** Once a frame is often enough. @param {PointerEvent} event */
  #move = ({ clientX, clientY }) => {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#look(this.#under(clientX, clientY)));
  };

  #leave = () => {
    cancelAnimationFrame(this.#frame);
    this.#look(null);
  };

  /** @param {Piece | null} piece */
  #look(piece) {
    if (piece === this.#at) return;
    this.#at = piece;
    this.dispatchEvent(new CustomEvent('look', { detail: piece }));
  }

  /** The piece of the reply at a point of the page. @param {number} x @param {number} y */
  #under(x, y) {
    const caret = /** @type {any} */ (document).caretPositionFromPoint(x, y, { shadowRoots: [this.#chat.shadowRoot] });
    if (!(caret?.offsetNode instanceof Text)) return null;
    const { offsetNode: node, offset } = caret;
    for (const part of /** @type {const} */ (['content', 'reasoning_content'])) {
      const place = this.#place(part);
      if (!place?.contains(node)) continue;
      const word = this.#in(place, part).find((one) => one.node === node && one.start <= offset && offset <= one.start + one.length);
      // A caret stands beside a letter; which of its two neighbours is pointed at matters at the edge of a token alone.
      return word ? this.#piece(word.from + Math.min(offset - word.start, word.length - 1), part) : null;
    }
    return null;
  }

  /** The last reply's element, if that is the reply that the pieces are of. @param {Piece['part']} part */
  #place(part) {
    const said = this.#written(part);
    const last = this.#chat.conversation.entries.find(({ id }) => id === this.#chat.conversation.leaf);
    const shown = last?.role === 'assistant' ? (last[part] ?? '') : '';
    if (said === '' || !(said.startsWith(shown) || shown.startsWith(said))) return null;
    return /** @type {Element | null} */ ([...(this.#chat.shadowRoot?.querySelectorAll('article.assistant') ?? [])].at(-1)?.querySelector(PLACES[part]) ?? null);
  }

  /** What the model wrote there. @param {Piece['part']} part */
  #written(part) {
    return this.#pieces().map((piece) => (piece.part === part ? piece.text : '')).join('');
  }

  /** Where a piece begins in what was written there. @param {Piece} piece */
  #begin(piece) {
    let at = 0;
    for (const one of this.#pieces()) {
      if (one === piece) break;
      if (one.part === piece.part) at += one.text.length;
    }
    return at;
  }

  /** The piece that a character was written with. @param {number} at @param {Piece['part']} part */
  #piece(at, part) {
    let end = 0;
    return this.#pieces().find((one) => one.part === part && (end += one.text.length) > at) ?? null;
  }

  /** The words of an element in the order of the text, found once for each text. @param {Element} place @param {Piece['part']} part @returns {Word[]} */
  #in(place, part) {
    const written = this.#written(part);
    const key = `${part} ${place.textContent} ${written}`;
    if (key === this.#found && this.#words[0]?.node.isConnected) return this.#words;
    this.#found = key;
    this.#words = [];
    const nodes = document.createTreeWalker(place, NodeFilter.SHOW_TEXT, (node) => (node.parentElement?.closest(OTHER) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
    let at = 0;
    for (let node = /** @type {Text | null} */ (nodes.nextNode()); node; node = /** @type {Text | null} */ (nodes.nextNode())) {
      for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
        const from = written.slice(at, at + BETWEEN).indexOf(word);
        if (from < 0) continue; // shown otherwise than it was written
        this.#words.push({ node, start: index, from: at + from, length: word.length });
        at += from + word.length;
      }
    }
    return this.#words;
  }
}
