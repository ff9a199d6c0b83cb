// A reply from the engine: the request for it, and what of it is new when it is taken up again.

/** @typedef {import('./engine.js').Engine} Engine */
/** @typedef {{content?: string | null, reasoning_content?: string | null}} Delta */

/**
 * The request for a reply. A model without a chat template continues the text instead.
 * @param {Engine} engine
 * @param {{messages: {role: string, content: string}[], generation: Record<string, any>, think: boolean, signal: AbortSignal}} what
 */
export function request(engine, { messages, generation, think, signal }) {
  const body = /** @type {const} */ ({ stream: true, stream_options: { include_usage: true } });
  if (engine.info && !engine.info.chat) {
    const prompt = messages.at(-1)?.content ?? '';
    return engine.completions.create({ ...body, prompt, ...generation }, { signal });
  }
  const thinking = engine.info?.thinking ? { chat_template_kwargs: { enable_thinking: think } } : {};
  return engine.chat.completions.create({ ...body, ...thinking, messages, ...generation }, { signal });
}

/**
 * A reply that is made again with the same seed says the same again. What is known of it already is passed over; where it
 * says something else after all, as on another device, it begins anew.
 */
export class Resumed {
  #known;
  #content = '';
  #reasoning = '';
  #caughtUp;

  /** @param {{content: string, reasoning: string}} known */
  constructor(known) {
    this.#known = known;
    this.#caughtUp = known.content === '' && known.reasoning === '';
  }

  /** @param {Delta} delta @returns {(Delta & {again?: boolean}) | null} what is new; `again`: all of it, what was known is void */
  take(delta) {
    if (this.#caughtUp) return delta;
    this.#content += delta.content ?? '';
    this.#reasoning += delta.reasoning_content ?? '';
    const { content, reasoning } = this.#known;
    const thought = this.#content === '' || this.#reasoning === reasoning || content === '';
    if (thought && reasoning.startsWith(this.#reasoning) && content.startsWith(this.#content)) return null;
    this.#caughtUp = true;
    if (this.#content.startsWith(content) && this.#reasoning.startsWith(reasoning)) {
      return { content: this.#content.slice(content.length), reasoning_content: this.#reasoning.slice(reasoning.length) };
    }
    return { content: this.#content, reasoning_content: this.#reasoning, again: true };
  }
}
