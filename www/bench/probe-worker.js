// A thread that only reads memory.

const [BYTES, ROUNDS] = [64 << 20, 4];

const words = new Float64Array(BYTES / 8).fill(1);

/** Sums all of it in eight chains, so that nothing is waited for but memory. */
function read() {
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i + 8 <= words.length; i += 8) {
    a += words[i] ?? 0;
    b += words[i + 1] ?? 0;
    c += words[i + 2] ?? 0;
    d += words[i + 3] ?? 0;
    e += words[i + 4] ?? 0;
    f += words[i + 5] ?? 0;
    g += words[i + 6] ?? 0;
    h += words[i + 7] ?? 0;
  }
  return a + b + c + d + e + f + g + h;
}

addEventListener('message', ({ data }) => {
  let sum = 0;
  for (let i = 0; i < (data.ready ? 1 : ROUNDS); i++) sum += read();
  // The sum is looked at, so that it is made.
  globalThis.postMessage(sum > 0 ? ROUNDS * BYTES : 0);
});
