// From nothing to a chat: sets up, builds, serves the page with its model on this machine, and prints the address.
//
//     npm start [-- --port 8080]

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { build } from './build.mjs';
import { Failure, program, ROOT, run, say, TARGET } from './run.mjs';
import { setup } from './setup.mjs';

program(import.meta.url, async (args) => {
  const { port } = parseArgs({ args, options: { port: { type: 'string', default: '8080' } } }).values;
  await setup('rust', 'wasm', 'npm');
  await build();
  await run('cargo', ['build', '-p', 'moebius-cli']);

  const server = spawn(join(TARGET, 'debug/moebius'), ['serve', ROOT, '--port', port], { stdio: 'inherit' });
  const ended = new Promise((resolve) => server.on('close', resolve));
  // A terminal sends its interrupt to the server as well; whoever stops only this process means both.
  process.once('SIGINT', () => {});
  process.once('SIGTERM', () => server.kill());

  const url = `http://localhost:${port}/`;
  while (server.exitCode === null && !(await fetch(url).then(({ ok }) => ok, () => false))) await wait(50);
  if (server.exitCode !== null) throw new Failure(`moebius serve ended: is port ${port} taken? npm start -- --port N`);
  say(`open ${url} in a browser; Ctrl+C stops`);
  await ended;
});
