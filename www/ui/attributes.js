// The element's attributes as properties of the same names.

export class Attributes extends HTMLElement {
  /** Folder of the model, relative to the page. */
  get src() {
    return this.#text('src');
  }

  set src(value) {
    this.setAttribute('src', value);
  }

  /** `auto` (default), `gpu` or `cpu`. */
  get device() {
    return this.#text('device');
  }

  set device(value) {
    this.setAttribute('device', value);
  }

  /** `auto` loads the model at once; otherwise the first question does. */
  get preload() {
    return this.#text('preload');
  }

  set preload(value) {
    this.setAttribute('preload', value);
  }

  /** Most tokens that prompt and reply share; empty for the model's own. */
  get context() {
    return this.#text('context');
  }

  set context(value) {
    this.setAttribute('context', value);
  }

  /** System message put before every conversation. */
  get system() {
    return this.#text('system');
  }

  set system(value) {
    this.setAttribute('system', value);
  }

  /** Heading shown before the first message. */
  get heading() {
    return this.#text('heading');
  }

  set heading(value) {
    this.setAttribute('heading', value);
  }

  /** Placeholder of the text box. */
  get placeholder() {
    return this.#text('placeholder');
  }

  set placeholder(value) {
    this.setAttribute('placeholder', value);
  }

  /**
   * Visible reasoning, of models that can switch it: `auto` offers the switch, off at first, and folds reasoning away;
   * `show` starts with it on, and open; `hide` asks for none and shows none.
   */
  get thinking() {
    return this.#text('thinking');
  }

  set thinking(value) {
    this.setAttribute('thinking', value);
  }

  /** `light`, `dark`, or else as the page or the system has it. The style sheet reads it. */
  get theme() {
    return this.#text('theme');
  }

  set theme(value) {
    this.setAttribute('theme', value);
  }

  /** Whether nothing can be asked. */
  get disabled() {
    return this.hasAttribute('disabled');
  }

  set disabled(value) {
    this.toggleAttribute('disabled', value);
  }

  /** @param {string} name */
  #text(name) {
    return this.getAttribute(name) ?? '';
  }
}
