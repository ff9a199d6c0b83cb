// A model's folder on a web host: closed ranges, asked for with patience, and what hosts do wrong told apart.

/** Waits before another attempt, in milliseconds, while attempts bring no new byte. */
const PAUSES = [300, 1000, 3000, 8000];
/** Most bytes that are read of a body at once. */
const PART = 256 << 10;
/** A connection that brings less than this many bytes in so many milliseconds is given up. */
const STALL = { bytes: 1024, after: 20_000 };
/** How long an answer is waited for without which it goes on as well, in milliseconds. */
const SOON = 1000;
/** The longest wait that a host can ask for, in milliseconds. */
const LONGEST = 120_000;

/**
 * What a host did. `missing`: there is no such file; `page`: it sent a web page in place of one; `changed`: the file is another one
 * now; `lost`: it is given up, for all files; `damaged`: bytes that are not what they should be.
 * @typedef {'missing' | 'page' | 'changed' | 'lost' | 'damaged' | 'range'} Kind
 */

/** An error of the host's, about a file. */
export class HostError extends Error {
  /** @param {string} file @param {string} reason @param {Kind} kind */
  constructor(file, reason, kind) {
    super(reason);
    this.file = file;
    this.kind = kind;
    /** Whether the host says that there is no such file. */
    this.gone = false;
  }
}

/** Worth another attempt, perhaps only `after` so many milliseconds. */
class Passing extends Error {
  /** @param {string} reason @param {number} [after] */
  constructor(reason, after) {
    super(reason);
    this.after = after;
  }
}

/**
 * Who takes bytes of a file: `at` is the next byte wanted, `end` one past the last, which may lie behind the file's end.
 * @typedef {object} Taker
 * @property {number} at
 * @property {number} end
 * @property {number | null} size of the file, where it is known
 * @property {AbortSignal} signal
 * @property {(start: number, about: {size: number | null, whole: boolean, etag: string}) => void} begin called before the first byte of every
 *   answer, with where it starts: 0, and `whole`, where the host knows no ranges
 * @property {(bytes: Uint8Array) => Promise<void> | void} take moves `at`, and keeps none of the bytes
 * @property {(() => Promise<void> | null)} turn waits while others go first
 */

/** A folder on a host. */
export class Host {
  /** When the host may be asked again. */
  #later = 0;
  /** Whether it failed last: then one asks at a time, for all. */
  #failing = false;
  #probing = false;
  /** Whether it ever answered. */
  #spoke = false;
  /** Whether it answers only to requests without ranges, as one does that compresses whatever it sends. */
  #plain = false;
  /** Called when attempts wait, with the time until the next in milliseconds, and with 0 when they go on. */
  onwait = (/** @type {number} */ _) => {};

  /** @param {{base: string, query: string, token?: string}} where `query` stands behind the name of every file */
  constructor({ base, query, token }) {
    this.base = base;
    this.query = query;
    this.token = token;
  }

  /** The file's URL. Names come from files of the model, so they are kept inside its folder. @param {string} file */
  url(file) {
    const parts = file.split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw this.error(file, "not a name inside the model's folder", 'missing');
    }
    return this.base + parts.map(encodeURIComponent).join('/') + this.query;
  }

  /** @param {string} file @param {string} reason @param {Kind} kind */
  error(file, reason, kind) {
    return new HostError(file, `${reason} (${this.base}${file})`, kind);
  }

  /**
   * Has `taker` take its range, in as many attempts as that takes.
   * @param {string} file @param {Taker} taker
   */
  async fetch(file, taker) {
    const url = this.url(file);
    for (let tries = 0, reached = taker.at; ; ) {
      const probes = await this.#wait(taker.signal);
      const plain = this.#plain || (tries > 0 && tries % 2 === 0);
      try {
        return await this.#attempt(file, url, taker, plain, probes);
      } catch (error) {
        if (probes) this.#probing = false;
        if (taker.signal.aborted || !(error instanceof Passing)) throw error;
        this.#failing = true;
        // Who asks for all of a file begins anew with every answer: another part of it may come as well.
        if (plain) this.#plain = false;
        if (taker.at > reached) [tries, reached] = [0, taker.at];
        if (tries === PAUSES.length) throw this.error(file, await this.#why(url, error.message), 'lost');
        const pause = error.after ?? PAUSES[tries] * (0.75 + Math.random() / 2);
        tries += 1;
        this.#later = Math.max(this.#later, Date.now() + Math.min(pause, LONGEST));
      }
    }
  }

  /** Waits until the host may be asked; says whether all others wait for what it answers. @param {AbortSignal} signal */
  async #wait(signal) {
    for (;;) {
      signal.throwIfAborted();
      const pause = this.#later - Date.now();
      if (pause <= 0 && !this.#probing) break;
      if (pause > 0) this.onwait(pause);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.max(pause, 200), null);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve(null)), { once: true });
      });
    }
    this.#probing = this.#failing;
    this.onwait(0);
    return this.#probing;
  }

  /** One request for what is still lacking. @param {string} file @param {string} url @param {Taker} taker @param {boolean} plain whether it is for all of the file @param {boolean} probes */
  async #attempt(file, url, taker, plain, probes) {
    const stop = new AbortController();
    const watch = watchdog(() => stop.abort(new Passing(`nothing came for ${STALL.after / 1000} s`)));
    try {
      const from = taker.at;
      /** @type {Record<string, string>} */
      const headers = plain ? {} : { range: `bytes=${from}-${taker.end - 1}` };
      // Browsers leave it out where the host sends them on to another.
      if (this.token) headers.authorization = `Bearer ${this.token}`;
      const signal = AbortSignal.any([taker.signal, stop.signal]);
      // What is kept is kept by the store; and an answer that was kept may lead to an address that is no longer good.
      const response = await fetch(url, { headers, signal, cache: 'no-store' }).catch((error) => {
        throw stop.signal.reason ?? new Passing(`the host was not reached: ${error.message}`);
      });
      const kind = this.#judge(file, response, taker);
      // An answer to what was asked before it failed says nothing.
      if (probes) this.#failing = this.#probing = false;
      this.#spoke = true;
      this.#plain = plain;
      if (kind === 'end') return;
      await this.#receive(file, response, taker, kind === 'whole', watch, stop.signal);
    } finally {
      watch.end();
      stop.abort();
    }
  }

  /**
   * Whether the answer is the whole file, a part of it, or says that the file ends here.
   * @param {string} file @param {Response} response @param {Taker} taker
   * @returns {'whole' | 'part' | 'end'}
   */
  #judge(file, response, taker) {
    const { status } = response;
    const { start, size } = span(response);
    if (status === 416 && (size === taker.at || taker.size === taker.at)) {
      taker.begin(taker.at, { size, whole: false, etag: tag(response) });
      return 'end';
    }
    if (status !== 200 && status !== 206) {
      response.body?.cancel().catch(() => {});
      const passing = status === 408 || status === 425 || status === 429 || status >= 500;
      // An address that another host signed is good for a time only; the first one is asked again for a new one. Of a file that nobody
      // knows of, some hosts say so that there is none.
      const expired = response.redirected && taker.size !== null && (status === 401 || status === 403 || status === 410);
      if (passing || expired) throw new Passing(`HTTP status ${status}`, retryAfter(response));
      const gone = status === 404;
      throw Object.assign(this.error(file, `${gone ? 'no such file: ' : ''}HTTP status ${status}`, 'missing'), { gone });
    }
    const type = response.headers.get('content-type') ?? '';
    const parts = type.startsWith('multipart/');
    if (status === 206 && (parts || (start !== null && start !== taker.at))) {
      throw this.error(file, `the host sent other bytes than ${taker.at} and on`, 'lost');
    }
    if (type.startsWith('text/html')) {
      throw this.error(file, 'the host answered with a web page in place of the file', 'page');
    }
    return status === 200 ? 'whole' : 'part';
  }

  /**
   * Hands the body on, counting its bytes: a `Content-Length` may be that of a compressed one.
   * @param {string} file @param {Response} response @param {Taker} taker @param {boolean} whole
   * @param {ReturnType<typeof watchdog>} watch @param {AbortSignal} stopped
   */
  async #receive(file, response, taker, whole, watch, stopped) {
    const size = whole ? null : span(response).size;
    taker.begin(whole ? 0 : taker.at, { size, whole, etag: tag(response) });
    const end = whole ? taker.size : Math.min(taker.end, size ?? taker.size ?? taker.end);
    const excess = () => this.error(file, `the host sent more than the bytes up to ${end} that were asked for`, 'lost');
    const read = reading(response.body);
    /** What is read into, again and again. */
    let spare = new ArrayBuffer(PART);
    for (;;) {
      const turn = taker.turn();
      if (turn) {
        watch.end();
        await turn;
        watch.start();
      }
      const part = await read(spare).catch((error) => {
        taker.signal.throwIfAborted();
        throw stopped.reason ?? new Passing(`the connection broke: ${error.message}`);
      });
      if (!part.value?.length) break;
      watch.feed(part.value.length);
      if (end !== null && taker.at + part.value.length > end) {
        throw excess();
      }
      // What is too long is refused before its last chunk is believed.
      if (taker.at + part.value.length === end) {
        const more = await read(new ArrayBuffer(1)).catch(() => ({ value: undefined }));
        if (more.value?.length) throw excess();
        await taker.take(part.value);
        break;
      }
      await taker.take(part.value);
      spare = part.value.buffer;
    }
    // Without a size, a body that ends early may be the end of the file or of the connection: whoever asked finds out.
    const known = whole ? taker.size : (size ?? taker.size);
    if (end !== null && known !== null && taker.at < end) {
      throw new Passing(`the connection ended at byte ${taker.at} of ${end}`);
    }
  }

  /** What a host is given up for. One that answers, but not to this page, lacks a header. @param {string} url @param {string} reason */
  async #why(url, reason) {
    if (!reason.startsWith('the host was not reached')) return reason;
    if (navigator.onLine === false) return `this machine is offline: ${reason}`;
    if (this.#spoke || new URL(url).origin === location.origin) return reason;
    const options = /** @type {const} */ ({ mode: 'no-cors', method: 'HEAD', cache: 'no-store' });
    const answers = await fetch(url, { ...options, signal: AbortSignal.timeout(5000) }).then(() => true, () => false);
    return answers ? 'the host does not let other sites read this file (CORS)' : reason;
  }

  /** Whether the host has other bytes by now, if it says so soon. @param {string} file @param {Uint8Array} bytes */
  async newer(file, bytes) {
    try {
      const headers = this.token ? { authorization: `Bearer ${this.token}` } : undefined;
      const answer = await fetch(this.url(file), { headers, cache: 'no-cache', signal: AbortSignal.timeout(SOON) });
      if (answer.status !== 200 || answer.headers.get('content-type')?.startsWith('text/html')) return false;
      const now = new Uint8Array(await answer.arrayBuffer());
      return now.length !== bytes.length || now.some((byte, i) => byte !== bytes[i]);
    } catch {
      return false;
    }
  }

  /** The size that the answer to HEAD gives: for hosts that hide `Content-Range` from other origins. @param {string} file */
  async head(file) {
    const response = await fetch(this.url(file), { method: 'HEAD', cache: 'no-store' }).catch((error) => {
      throw this.error(file, `the host was not reached: ${error.message}`, 'missing');
    });
    const length = response.headers.get('content-length');
    if (length === null) throw this.error(file, 'the host does not say how long the file is', 'missing');
    return Number(length);
  }
}

/**
 * How a body is read: into a buffer, where the browser can do that, and else into new ones.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>> | null} body
 * @returns {(into: ArrayBuffer) => Promise<{value?: Uint8Array<ArrayBuffer>}>} of no bytes at the end
 */
function reading(body) {
  if (!body) return async () => ({});
  try {
    const reader = body.getReader({ mode: 'byob' });
    return (into) => reader.read(new Uint8Array(into));
  } catch {
    const reader = body.getReader();
    return () => reader.read();
  }
}

/** Calls `late` once too few bytes were fed for too long. @param {() => void} late */
function watchdog(late) {
  let fed = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const start = () => {
    clearTimeout(timer);
    fed = 0;
    timer = setTimeout(late, STALL.after);
  };
  const feed = (/** @type {number} */ bytes) => {
    fed += bytes;
    if (fed >= STALL.bytes) start();
  };
  start();
  return { start, feed, end: () => clearTimeout(timer) };
}

/**
 * Where a part starts and the file's size, as far as the host lets them be seen.
 * @param {Response} response
 */
function span(response) {
  const [, start, size] = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers.get('content-range')?.trim() ?? '') ?? [];
  const number = (/** @type {string | undefined} */ text) => (text && text !== '*' ? Number(text) : null);
  return { start: number(start), size: number(size) };
}

/** The file's strong entity tag, or nothing. @param {Response} response */
function tag(response) {
  const etag = response.headers.get('etag') ?? '';
  return etag.startsWith('W/') ? '' : etag;
}

/** How long the host asks to be left alone, in milliseconds. @param {Response} response */
function retryAfter(response) {
  const said = response.headers.get('retry-after');
  if (said === null) return undefined;
  const pause = /^\d+$/.test(said) ? 1000 * Number(said) : Date.parse(said) - Date.now();
  return Number.isFinite(pause) ? Math.max(pause, 0) : undefined;
}
