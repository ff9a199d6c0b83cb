// Measures the default model, on the CPU and on the GPU unless told otherwise; arguments go to `moebius bench`.
//
//     npm run bench [-- --model PATH --device gpu --prompt 128,512 --decode 64]

import { program, run } from './run.mjs';

program(import.meta.url, async (args) => {
  const devices = args.includes('--device') ? [[]] : [['--device', 'cpu'], ['--device', 'gpu']];
  const model = args.includes('--model') ? [] : ['--model', 'www/model'];
  for (const device of devices) {
    await run('cargo', ['run', '--quiet', '-p', 'moebius-cli', '--', 'bench', ...model, ...device, ...args]);
  }
});
