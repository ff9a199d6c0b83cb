// Debian packages: installed when root or a password-less sudo can, asked for in one sentence otherwise.

import process from 'node:process';

import { capture, Failure, find, run, say } from './run.mjs';

/** @param {string} name @returns {boolean} whether the package is installed */
function installed(name) {
  return capture('dpkg-query', ['-W', '-f=${db:Status-Status}', name]).out === 'installed';
}

/**
 * Makes sure that Debian packages are installed.
 * @param {string[]} names
 * @param {string} why ends the sentence "…are needed ___"
 * @throws {Failure} where this is not Debian, or nobody here may install
 */
export async function packages(names, why) {
  const debian = find('apt-get') !== null && find('dpkg-query') !== null;
  const missing = debian ? names.filter((name) => !installed(name)) : names;
  if (missing.length === 0) return;
  if (!debian) throw new Failure(`${names.join(', ')} (Debian's names) are needed ${why}; install them and try again`);

  const root = process.getuid?.() === 0;
  const sudo = !root && capture('sudo', ['-n', 'true']).ok;
  const install = ['apt-get', 'install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Use-Pty=0'];
  if (!root && !sudo) {
    throw new Failure(
      `${missing.join(', ')} are needed ${why}: sudo apt-get install --no-install-recommends ${missing.join(' ')}`,
    );
  }
  say(`installing ${missing.join(', ')} with apt-get, needed ${why}`);
  const prefix = root ? ['env'] : ['sudo', '-n', 'env'];
  const as = (/** @type {string[]} */ words) => {
    const [command = 'env', ...args] = [...prefix, 'DEBIAN_FRONTEND=noninteractive', ...words];
    return run(command, args, { onLine: () => {} });
  };
  await as(['apt-get', 'update', '-q', '-o', 'DPkg::Lock::Timeout=600']);
  await as([...install, ...missing]);
}
