// Running programs: streamed or captured, with a time limit, and one kind of failure that is a sentence for a person.

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The repository. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where cargo builds. */
export const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? 'target');

/** Where set-up keeps what it installs for this repository alone. */
export const TOOLS = join(TARGET, 'tools');

/** Something a person has to know or do; printed without a stack. */
export class Failure extends Error {}

/** @param {string} line what is being done, or was found */
export function say(line) {
  process.stderr.write(`moebius: ${line}\n`);
}

/**
 * The path of a program, or null.
 * @param {string} name as on a command line, or an absolute path
 */
export function find(name) {
  const folders = name.startsWith('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  for (const folder of folders) {
    const path = folder === '' ? name : join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue; // not here: the next folder
    }
  }
  return null;
}

/**
 * Runs a program quietly.
 * @param {string} command
 * @param {string[]} args
 * @param {{env?: Record<string, string>, timeout?: number}} [options] `timeout` in milliseconds
 * @returns {{ok: boolean, out: string, err: string}} `ok` is false for a missing program, a failure and a time-out alike
 */
export function capture(command, args, options = {}) {
  const done = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...options.env },
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeout ?? 60_000,
  });
  return { ok: done.status === 0, out: (done.stdout ?? '').trim(), err: (done.stderr ?? '').trim() };
}

/**
 * Runs a program whose output a person sees as it comes.
 * @param {string} command
 * @param {string[]} args
 * @param {{env?: Record<string, string>, cwd?: string, onLine?: (line: string) => void}} [options]
 *   `onLine` also sees every line of stdout
 * @returns {Promise<void>} rejects with a {@link Failure} that names the command
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const { onLine } = options;
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', onLine ? 'pipe' : 'inherit', 'inherit'],
    });
    let rest = '';
    child.stdout?.on('data', (/** @type {Buffer} */ data) => {
      process.stdout.write(data);
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine?.(line);
    });
    child.on('error', (error) => reject(new Failure(`${command} did not start: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (rest !== '') onLine?.(rest);
      if (code === 0) resolve();
      else reject(new Failure(`${[command, ...args].join(' ')}: ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

/**
 * The folder for what set-up installs, made if need be.
 * @param {string} name
 */
export function tools(name) {
  mkdirSync(TOOLS, { recursive: true });
  return join(TOOLS, name);
}

/**
 * Runs `main` when its module is the program, and turns a {@link Failure} into one line and exit code 1.
 * @param {string} url the module's `import.meta.url`
 * @param {(args: string[]) => Promise<void>} main
 */
export function program(url, main) {
  if (process.argv[1] === undefined || pathToFileURL(resolve(process.argv[1])).href !== url) return;
  main(process.argv.slice(2)).catch((error) => {
    if (error instanceof Failure) process.stderr.write(`moebius: failed: ${error.message}\n`);
    else process.stderr.write(`${error?.stack ?? error}\n`);
    process.exitCode = 1;
  });
}
