// What is gathered of the replies while somebody looks: when tokens came, which experts worked on them, and how fast prompts were read.

/** @typedef {import('../element.js').MoebiusChat} MoebiusChat */
/** A piece of a reply: its text, which part of the reply it is of, when it came, and for each of its tokens the experts of each layer. @typedef {{text: string, part: 'content' | 'reasoning_content', at: number, routing: number[][][]}} Piece */

/** Pieces of a reply that are kept. */
const MOST = 2000;
/** Prompts whose speed is kept. */
const PROMPTS = 50;
/** Tokens over which a speed is taken. */
const WINDOW = 8;

/** Sends `change` when there is more. */
export class Gathered extends EventTarget {
  /** Of the last reply. @type {Piece[]} */ pieces = [];
  /** Of this visit. @type {{tokens: number, perSecond: number}[]} */ prompts = [];
  /** Of the last reply, as the engine tells them at its end. @type {Record<string, number> | null} */ timings = null;
  /** Milliseconds from the question to the first token. */ first = 0;
  #asked = 0;

  /** @param {MoebiusChat} chat */
  constructor(chat) {
    super();
    chat.addEventListener('moebius-statechange', () => chat.state === 'generating' && this.#begin());
    chat.addEventListener('moebius-chunk', (event) => this.#take(/** @type {CustomEvent} */ (event).detail.chunk));
  }

  #begin() {
    this.#asked = performance.now();
    this.first = 0;
    this.pieces = [];
    this.timings = null;
    this.dispatchEvent(new Event('change'));
  }

  /** @param {any} chunk */
  #take(chunk) {
    const choice = chunk.choices?.[0];
    const text = choice?.delta?.content ?? choice?.delta?.reasoning_content ?? choice?.text ?? '';
    const routing = choice?.routing ?? [];
    if (text !== '' || routing.length > 0) {
      const at = performance.now();
      this.first ||= at - this.#asked;
      const part = choice?.delta?.reasoning_content && !choice.delta.content ? 'reasoning_content' : 'content';
      if (this.pieces.length < MOST) this.pieces.push({ text, part, at, routing });
    }
    if (chunk.timings) {
      this.timings = chunk.timings;
      const { prompt_n: tokens, prompt_per_second: perSecond } = chunk.timings;
      if (tokens > 1 && perSecond > 0) this.prompts.push({ tokens, perSecond });
      if (this.prompts.length > PROMPTS) this.prompts.shift();
    }
    this.dispatchEvent(new Event('change'));
  }

  /** Tokens a second along the reply. @returns {{x: number, y: number}[]} */
  curve() {
    let count = 0;
    const seen = this.pieces.map(({ at, routing }) => ({ at, count: (count += Math.max(1, routing.length)) }));
    const points = [];
    let from = 0;
    for (const one of seen) {
      while (one.count - seen[from].count > WINDOW) from += 1;
      const seconds = (one.at - seen[from].at) / 1000;
      if (seconds > 0) points.push({ x: one.count, y: (one.count - seen[from].count) / seconds });
    }
    return points;
  }
}
