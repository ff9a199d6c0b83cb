// The element's attributes as properties of the same names.

export class Attributes extends HTMLElement {
  /** @type {import('../places/place.js').Place | null} */ #place = null;

  /** Where the model is, as createEngine takes it, if that is more than `src` says: files, a format, a token. @returns {import('../places/place.js').Place} */
  get place() {
    return this.#place ?? { model: this.src };
  }

  set place(place) {
    this.#place = place;
    this.placed();
  }

  /** The model is another one. */
  placed() {}

  /** A property that was set before the element was defined hides the accessor: it is set again. */
  upgrade() {
    const self = /** @type {Record<string, any>} */ (/** @type {unknown} */ (this));
    for (const name of Object.keys(this)) {
      if (!(name in this.constructor.prototype)) continue;
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
  }

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
