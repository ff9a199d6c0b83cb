// A model's files as the loader has them: what is kept, what is on its way, and who waits for it.

import { CHECKED, COMING, File, KEPT, MISSING, listed } from './chunks.js';
import { Host, HostError } from './host.js';
import { Job } from './job.js';
import { NEAR, Order, key } from './order.js';
import { Recent } from './recent.js';
import { sha256 } from './sha256.js';
import { Spares } from './spares.js';
import { Whole } from './whole.js';

/** Name of a pack's manifest. */
export const MANIFEST = 'moebius.json';
/** Connections for what nobody waits for, and for all. */
const LANES = { calm: 4, all: 6 };
/** How often a chunk may come damaged. */
const DAMAGED = 3;
/** Bytes of chunks that are held in memory, with a store and without. */
const HELD = { stored: 4 << 20, alone: 48 << 20 };

/** @typedef {{name: string, size: number, sha256?: string}} Known what a hub says of a file */
/** @typedef {import('./disk.js').Disk} Disk */
/** What tells a loader where a model is. @typedef {{base: string, query: string, token?: string, tree?: Known[], gguf: string}} Where */
/** How it goes, but for the speed. @typedef {Omit<import('../protocol.js').Progress, 'speed'>} State */

/** A model's files. */
export class Model {
  /** @type {Map<string, File>} */ files = new Map();
  /** Of what was read and of chunks that nobody has. */ spares = new Spares();
  /** @type {Map<string, Promise<File>>} */ #sized = new Map();
  /** Files that are followed as a whole. @type {Map<File, Whole>} */ #wholes = new Map();
  /** @type {Set<Job>} */ #jobs = new Set();
  /** Chunks that came and are not handed out yet. @type {Set<Uint8Array>} */ #committing = new Set();
  /** Jobs that wait for urgent ones. @type {(() => void)[]} */ #held = [];
  #paused = false;
  /** Whether the host has answered yet. */
  #answered = false;
  /** Bytes of files that are at hand, that came from the host, that the store had. */
  #fetched = 0;
  #stored = 0;
  #now = '';

  /**
   * @param {Where} where
   * @param {Disk | null} disk
   * @param {(state: State) => void} report
   * @param {import('./disk.js').Unkept | ''} [unkept] why there is no store
   */
  constructor(where, disk, report, unkept = '') {
    this.host = new Host(where);
    this.disk = disk;
    this.report = report;
    this.unkept = unkept;
    this.gguf = Boolean(where.gguf);
    this.waitingFor = 0;
    this.host.onwait = (pause) => {
      this.waitingFor = pause;
      this.#tell();
    };
    // Whoever has a view of a chunk that goes is done with it at the end of this turn, but for those who commit it.
    this.recent = new Recent(disk ? HELD.stored : HELD.alone, (bytes) =>
      setTimeout(() => this.#committing.has(bytes) || this.spares.give(bytes.buffer)),
    );
    this.order = new Order(this.files, (file, i) => this.#lacks(file, i) && file.state(i) !== COMING, () => disk?.unkept === '', (file) => {
      const left = [...this.#jobs].map((job) => (job.file === file ? job.end - job.at : 0));
      return Math.max(0, ...left);
    });
    for (const { name } of disk?.files ?? []) this.#stored += /** @type {Disk} */ (disk).adopt(this.#file(name));
    for (const { name, size, sha256 = '' } of where.tree ?? []) {
      const file = this.#file(name);
      if (!file.proved) Object.assign(file, { size, whole: sha256 });
    }
    if (where.tree) this.#weigh();
  }

  /** @param {string} name */
  #file(name) {
    const file = this.files.get(name) ?? new File(name);
    this.files.set(name, file);
    return file;
  }

  /** Size of a file. @param {string} name */
  async size(name) {
    const file = await this.#learn(name);
    return /** @type {number} */ (file.size);
  }

  /** Which stretches are in the store: 1 or 0 for each. @param {import('./messages.js').Stretch[]} stretches */
  kept(stretches) {
    return Uint8Array.from(stretches, ({ file, start, end }) => Number((this.files.get(file)?.least(start, end) ?? MISSING) >= KEPT));
  }

  /** Where the store has a stretch all of which was checked: it may be read there again. @param {string} name @param {number} start @param {number} end */
  place(name, start, end) {
    const file = this.files.get(name);
    return file?.least(start, end) === CHECKED ? (this.disk?.place(file) ?? '') : '';
  }

  /**
   * Bytes of a file, which are right if anything says what they should be.
   * @param {string} name @param {number} start @param {number} end
   * @param {boolean} [urgent] whether somebody waits for it
   * @returns {Promise<Uint8Array<ArrayBuffer>>}
   */
  async read(name, start, end, urgent = true) {
    const file = await this.#learn(name);
    const { given } = file;
    try {
      const bytes = await this.#read(file, start, end, urgent);
      file.given = true;
      return bytes;
    } catch (error) {
      // Nothing of the file that it was before is out: it is read as it is now.
      if (error instanceof HostError && error.kind === 'changed' && !given && !file.restarted) {
        file.restarted = true;
        return this.read(name, start, end, urgent);
      }
      throw error;
    }
  }

  /** @param {File} file @param {number} start @param {number} end @param {boolean} urgent */
  async #read(file, start, end, urgent) {
    const { name } = file;
    const size = /** @type {number} */ (file.size);
    if (start > end || end > size) throw this.host.error(name, `bytes ${start}..${end} asked of a file of ${size}`, 'range');
    const out = this.spares.take(end - start);
    if (end === start) return out;
    this.#now = name;
    const [first, last] = [file.chunk(start), file.chunk(end - 1)];
    const lacking = [];
    for (let i = first; i <= last; i++) if (this.#lacks(file, i)) lacking.push(i);
    this.order.last = { file, i: last };
    this.order.calm = true;
    const copy = (/** @type {number} */ i, /** @type {Uint8Array} */ bytes) => {
      const at = file.bounds(i)[0];
      const [from, to] = [Math.max(start, at), Math.min(end, at + bytes.length)];
      out.set(bytes.subarray(from - at, to - at), from - start);
    };
    const coming = lacking.map((i) => this.order.want(file, i, urgent).then((bytes) => copy(i, bytes)));
    const all = Promise.all(coming);
    all.catch(() => {}); // awaited below, unless the store fails first
    this.#pump();
    for (let i = first; i <= last; i++) {
      if (lacking.includes(i)) continue;
      const [from, to] = [Math.max(start, file.bounds(i)[0]), Math.min(end, file.bounds(i)[1])];
      const into = out.subarray(from - start, to - start);
      const part = await this.#kept(file, i, from, to, into);
      if (part && part !== into) into.set(part);
      if (!part) {
        const again = this.order.want(file, i, urgent);
        this.#pump();
        copy(i, await again);
      }
    }
    await all;
    return out;
  }

  /** What is read next, in place of what follows the last read; or that again. @param {import('./messages.js').Stretch[] | null} stretches */
  ahead(stretches) {
    this.order.listed = stretches && stretches.map(({ file, start, end }) => ({ file: this.#file(file), start, end }));
    this.#pump();
  }

  /** Stops fetching, or goes on. @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    if (paused) for (const job of this.#jobs) job.stop();
    this.#release();
    this.#pump();
  }

  /** Removes what is kept of it, and goes on without keeping it. */
  async leave() {
    const removed = this.disk?.remove();
    this.#tell(); // the engine's worker is to close what it has open of it
    await removed;
    this.recent.limit = Math.max(this.recent.limit, HELD.alone);
    for (const file of this.files.values()) file.states = file.states.map((state) => (state === COMING ? COMING : MISSING));
    this.#tell();
  }

  /** The file with its size, asked of the host if nothing else says it. @param {string} name */
  #learn(name) {
    const known = this.#sized.get(name);
    if (known) return known;
    const learning = this.#look(name);
    this.#sized.set(name, learning);
    learning.catch(() => this.#sized.delete(name));
    return learning;
  }

  /** @param {string} name @returns {Promise<File>} */
  async #look(name) {
    if (name !== MANIFEST && !this.gguf) await this.#learn(MANIFEST).catch(() => {});
    const known = this.files.get(name);
    if (known?.size != null && name === MANIFEST) await this.#renew(known);
    if (known?.size != null) {
      if (name === MANIFEST) await this.#list(known);
      return known;
    }
    if (this.disk?.absent(name)) throw this.host.error(name, 'no such file: the host had none', 'missing');
    const file = this.#file(name);
    const bytes = this.order.want(file, 0, true);
    this.#pump();
    try {
      await bytes;
    } catch (error) {
      if (error instanceof HostError && error.kind === 'missing' && error.gone) this.disk?.lack(name);
      if (file.size === null) this.files.delete(name);
      throw error;
    }
    if (name === MANIFEST) await this.#list(file);
    return file;
  }

  /**
   * Looks whether the host has another manifest than the one that is kept: at every visit where that is the page's own host, which is
   * then waited for, else once a day for the next visit. A hub's files are pinned.
   * @param {File} manifest
   */
  async #renew(manifest) {
    const own = new URL(this.host.base).origin === location.origin;
    if (!this.disk || !navigator.onLine || (!own && !this.disk.due())) return;
    const newer = this.host.newer(MANIFEST, await this.#read(manifest, 0, /** @type {number} */ (manifest.size), true));
    const drop = () => this.disk?.forget(manifest);
    if (!own) return void newer.then((newer) => newer && drop());
    if (!(await newer)) return;
    drop();
    manifest.forget();
    this.recent.clear();
  }

  /** Takes what a manifest says of its files. @param {File} manifest */
  async #list(manifest) {
    const size = /** @type {number} */ (manifest.size);
    if (size > 32 << 20) return;
    const json = await this.#read(manifest, 0, size, true);
    const trunk = [];
    for (const { name, chunks, bytes, trunk: first } of listed(json)) {
      const file = this.#file(name);
      file.cut(chunks);
      if (this.disk) this.#stored += this.disk.adopt(file);
      if (first) trunk.push({ file, start: 0, end: bytes });
    }
    // What the engine will list first, once it is made.
    if (this.order.listed?.length === 0) this.order.listed = trunk;
    this.#pump();
    this.#weigh();
    this.#tell();
  }

  /** Keeps how much there is of the model. */
  #weigh() {
    this.disk?.whole([...this.files.values()].reduce((sum, { size }) => sum + (size ?? 0), 0));
  }

  /** Whether a chunk is not at hand. @param {File} file @param {number} i */
  #lacks(file, i) {
    return file.state(i) < KEPT && !this.recent.has(key(file, i));
  }

  /**
   * Bytes of a chunk that is in memory or in the store, or nothing if it is not, or is damaged: it is then to be fetched again.
   * @param {File} file @param {number} i @param {number} start @param {number} end @param {Uint8Array<ArrayBuffer>} [into] where they may go
   */
  async #kept(file, i, start, end, into) {
    const at = file.bounds(i)[0];
    const held = this.recent.get(key(file, i));
    if (held) return held.subarray(start - at, end - at);
    if (!this.disk) return null;
    if (file.state(i) === CHECKED) {
      const part = this.disk.get(file, start, end, into);
      if (part) return part;
    } else {
      const [from, to] = file.bounds(i);
      const whole = this.disk.get(file, from, to, this.spares.take(to - from));
      if (whole && (await sha256(whole)) === file.sha256[i]) {
        if (file.state(i) === KEPT) file.set(i, CHECKED);
        this.recent.put(key(file, i), whole);
        return whole.subarray(start - at, end - at);
      }
    }
    this.disk.drop(file, i);
    file.set(i, MISSING);
    return null;
  }

  /** Starts what there are connections for. */
  #pump() {
    if (this.#paused) return;
    for (;;) {
      const first = !this.#answered && this.#jobs.size > 0;
      if (first || this.#jobs.size >= LANES.all) return;
      const urgent = this.order.urgent();
      const run = urgent ?? (this.#jobs.size < LANES.calm ? this.order.next() : null);
      if (!run) return;
      // A host that sends whole files sends each of them once.
      if (run.file.unranged && [...this.#jobs].some((job) => job.file === run.file)) return;
      this.#run(new Job(this.#owner, run.file, run.first, run.last), urgent !== null && this.#jobs.size > 0);
    }
  }

  /** @param {Job} job @param {boolean} urgent */
  async #run(job, urgent) {
    const { file } = job;
    job.urgent = urgent;
    this.#jobs.add(job);
    const number = ++this.order.sent;
    for (let i = job.first; i <= job.last; i++) file.states[i] = COMING;
    /** @type {unknown} */
    let failure = null;
    try {
      await this.host.fetch(file.name, job);
      if (file.size === null) await this.#end(job);
      if (file.size === 0) this.order.came(file, 0, new Uint8Array());
    } catch (error) {
      failure = error;
    }
    this.#jobs.delete(job);
    // What it did not bring is missing again.
    for (let i = job.first; i <= job.last; i++) if (file.states[i] === COMING) file.states[i] = MISSING;
    if (failure && !job.signal.aborted) this.#fail(file, failure, number);
    this.#release();
    this.#pump();
  }

  /** The end of a file whose size no header said. @param {Job} job */
  async #end(job) {
    const { file } = job;
    if (!job.whole && job.at === job.end) file.size = await this.host.head(file.name);
    else file.size = job.at;
    this.disk?.size(file);
    const rest = job.rest();
    if (rest) await this.#commit(file, ...rest);
    // Who asked for the size waited for this.
    this.order.came(file, 0, new Uint8Array());
  }

  /** Tells those who wait. @param {File} file @param {unknown} error @param {number} job its number */
  #fail(file, error, job) {
    const known = error instanceof HostError ? error : this.host.error(file.name, String(error), 'lost');
    this.order.calm = false;
    // Who asked since then asks again: the host may have it by now.
    const late = ['missing', 'page'].includes(known.kind) ? job : Infinity;
    // Of a file that is damaged as a whole, all.
    const damaged = (/** @type {number} */ i) => known.kind !== 'damaged' || (file.damaged.get(i) ?? 0) >= DAMAGED || file.damaged.size === 0;
    this.order.fail(known, (wait) => known.kind === 'lost' || (wait.file === file && wait.since < late && damaged(wait.i)));
    if (known.kind === 'changed') this.#forget(file);
    // Where the manifest was kept, the host may have another one by now.
    const manifest = this.files.get(MANIFEST);
    if (known.kind === 'damaged' && manifest && manifest !== file) this.disk?.forget(manifest);
  }

  /** @param {File} file */
  #forget(file) {
    this.disk?.forget(file);
    file.forget();
    this.recent.clear();
    this.#sized.delete(file.name);
  }

  /** Lets the jobs go on that waited for urgent ones. */
  #release() {
    for (const go of this.#held.splice(0)) go();
  }

  /** @type {import('./job.js').Owner} */
  #owner = {
    begun: (job, about) => this.#begun(job, about),
    commit: (file, i, bytes) => this.#commit(file, i, bytes),
    lacks: (file, i) => this.#lacks(file, i),
    room: (bytes) => this.spares.take(bytes),
    received: (bytes, job) => {
      this.#fetched += bytes;
      this.#tell();
      if (job.end - job.at - bytes < NEAR) queueMicrotask(() => this.#pump());
    },
    // One that brings what somebody waits for goes on, and so does one that was begun for that.
    turn: (job) => {
      const waited = (/** @type {Job} */ one) => this.order.waits((file, i) => one.brings(file, i));
      const rush = [...this.#jobs].some((other) => other !== job && other.urgent && waited(other));
      if (!rush || waited(job)) return null;
      return new Promise((resolve) => this.#held.push(resolve));
    },
  };

  /** @param {Job} job @param {{size: number | null, whole: boolean, etag: string}} about */
  #begun(job, { size, whole, etag }) {
    const { file } = job;
    this.#answered = true;
    file.unranged = whole;
    if ((size !== null && file.size !== null && size !== file.size) || (etag && file.etag && etag !== file.etag)) {
      throw this.host.error(file.name, 'the file changed while it was read', 'changed');
    }
    if (etag) file.etag = etag;
    if (size !== null && file.size === null) file.size = size;
    if (whole) {
      for (const other of this.#jobs) if (other !== job && other.file === file) other.stop();
      if (!this.disk) this.recent.limit = Infinity;
    }
    this.#tell();
    queueMicrotask(() => this.#pump());
  }

  /** A chunk came. @param {File} file @param {number} i @param {Uint8Array<ArrayBuffer>} bytes */
  async #commit(file, i, bytes) {
    this.#committing.add(bytes);
    await this.#check(file, i, bytes).finally(() => this.#committing.delete(bytes));
  }

  /** @param {File} file @param {number} i @param {Uint8Array<ArrayBuffer>} bytes */
  async #check(file, i, bytes) {
    const hash = file.listed || this.disk ? await sha256(bytes) : '';
    if (file.listed && hash !== file.sha256[i]) {
      const [start, end] = file.bounds(i);
      const times = (file.damaged.get(i) ?? 0) + 1;
      file.damaged.set(i, times);
      file.states[i] = MISSING;
      if (times < DAMAGED) return;
      throw this.host.error(file.name, `chunk ${i}, bytes ${start} to ${end}, is damaged: SHA-256 differs from the manifest's`, 'damaged');
    }
    file.damaged.delete(i);
    file.sha256[i] = hash;
    await this.disk?.hold(file);
    file.states[i] = this.disk?.put(file, i, bytes, hash) ? CHECKED : MISSING;
    this.recent.put(key(file, i), bytes);
    file.have(i);
    if (file.whole) await this.#prove(file);
    if (file.size !== null) this.order.came(file, i, bytes);
    this.#release();
    this.#tell();
  }

  /** Follows a file of which a hub says what it hashes to. @param {File} file */
  async #prove(file) {
    /** What is read from the store goes here: one chunk at a time is looked at. @type {Uint8Array<ArrayBuffer>} */
    let room = new Uint8Array(0);
    const at = (/** @type {number} */ i) => {
      const [start, end] = file.bounds(i);
      if (this.#lacks(file, i)) return Promise.resolve(null);
      if (room.length < end - start) room = new Uint8Array(end - start);
      return this.#kept(file, i, start, end, room.subarray(0, end - start));
    };
    const whole = this.#wholes.get(file) ?? new Whole(file, at);
    this.#wholes.set(file, whole);
    if (file.had < /** @type {number} */ (file.size)) {
      whole.follow();
      return;
    }
    const right = await whole.right();
    this.#wholes.delete(file);
    file.whole = '';
    if (right) this.disk?.prove(file);
    if (right !== false) return;
    this.#forget(file);
    throw this.host.error(file.name, "the file is damaged: SHA-256 differs from the hub's", 'damaged');
  }

  #tell() {
    let [loaded, total] = [0, 0];
    for (const file of this.files.values()) {
      loaded += file.had;
      total += file.size ?? file.had;
    }
    const unkept = this.unkept || this.disk?.unkept || '';
    this.report({ loaded, total, file: this.#now, fetched: this.#fetched, stored: this.#stored, waiting: this.waitingFor, unkept });
  }
}
