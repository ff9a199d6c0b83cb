// A checkpoint of real size with weights by lot, as people have them: `node scripts/checkpoint.mjs FOLDER` makes one in the shape of
// Granite-3.1-1B-A400M, once as a folder of safetensors (bfloat16, 2.7 GB) and once as a .gguf beside it (Q4_0, 0.75 GB).
// `--shape FILE` takes another configuration of GraniteMoe, `--only safetensors|gguf` makes one of the two.

import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

import { Failure, program, ROOT, say } from './run.mjs';

/** Bytes that are repeated: whole blocks of Q4_0, pairs of bfloat16, and an odd number of pages, so that rows differ. */
const LOT = 18 * 64 * 4099;
/** Spread of the weights. */
const SPREAD = 0.03;

/** @typedef {{name: string, shape: number[], plain: boolean}} Tensor by its name, rows first; `plain` of norms, which are ones */

/** Numbers by lot below 2^32. @param {number} seed */
function lots(seed) {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Values around 0 as bfloat16. */
function floats() {
  const next = lots(1);
  const values = new Float32Array(LOT / 2);
  for (let i = 0; i < values.length; i++) values[i] = (next() / 2 ** 31 - 1) * SPREAD * 1.7;
  const bits = new Uint32Array(values.buffer);
  return Buffer.from(Uint16Array.from(bits, (b) => b >>> 16).buffer);
}

/** Blocks of Q4_0: a scale in f16, and 32 codes of four bits. */
function blocks() {
  const next = lots(2);
  const out = Buffer.alloc(LOT);
  for (let at = 0; at < LOT; at += 18) {
    // 0x1C00 is 2^-8: codes of 4.6 on average make the spread.
    out.writeUInt16LE(0x1c00 + (next() & 0x1ff), at);
    for (let i = 2; i < 18; i += 4) out.writeUInt32LE(next(), at + i);
    // No code of -8, or all weights would lean to one side, and all tokens to the same experts.
    for (let i = at + 2; i < at + 18; i++) out[i] |= (out[i] & 15 ? 0 : 8) | (out[i] >> 4 ? 0 : 128);
  }
  return out;
}

/** Writes `bytes` of a buffer over and over, each time from where the last ended. */
class Repeated {
  /** @param {Buffer} lot */
  constructor(lot) {
    this.lot = lot;
    this.at = 0;
  }

  /** @param {number} file @param {number} bytes */
  write(file, bytes) {
    while (bytes > 0) {
      const part = this.lot.subarray(this.at, this.at + bytes);
      const done = writeSync(file, part);
      bytes -= done;
      this.at = (this.at + done) % this.lot.length;
    }
  }
}

/** @param {number[]} shape */
const count = (shape) => shape.reduce((product, n) => product * n, 1);

/** A vocabulary of bytes, and of words that no merge makes. @param {number} size */
function vocabulary(size) {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const plain = (/** @type {number} */ b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  const letters = bytes.map((b) => String.fromCodePoint(plain(b) ? b : next++));
  const marks = ['<|end_of_text|>', '<|start_of_role|>', '<|end_of_role|>'];
  const words = Array.from({ length: size - 256 - marks.length }, (_, i) => `Ġw${i}`);
  return { tokens: [...marks, ...letters, ...words], marks };
}

const TEMPLATE =
  "{% for m in messages %}{{ '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}";

/** @param {any} c its configuration @returns {Tensor[]} tensors by their names in checkpoints */
function tensors(c) {
  const [hidden, width, experts] = [c.hidden_size, c.intermediate_size, c.num_local_experts];
  const head = hidden / c.num_attention_heads;
  const keys = c.num_key_value_heads * head;
  const matrix = (/** @type {string} */ name, /** @type {number[]} */ ...shape) => ({ name, shape, plain: false });
  const norm = (/** @type {string} */ name) => ({ name, shape: [hidden], plain: true });
  const layer = (/** @type {number} */ i) => [
    norm(`model.layers.${i}.input_layernorm.weight`),
    matrix(`model.layers.${i}.self_attn.q_proj.weight`, hidden, hidden),
    matrix(`model.layers.${i}.self_attn.k_proj.weight`, keys, hidden),
    matrix(`model.layers.${i}.self_attn.v_proj.weight`, keys, hidden),
    matrix(`model.layers.${i}.self_attn.o_proj.weight`, hidden, hidden),
    norm(`model.layers.${i}.post_attention_layernorm.weight`),
    matrix(`model.layers.${i}.block_sparse_moe.router.layer.weight`, experts, hidden),
    matrix(`model.layers.${i}.block_sparse_moe.input_linear.weight`, experts, 2 * width, hidden),
    matrix(`model.layers.${i}.block_sparse_moe.output_linear.weight`, experts, hidden, width),
  ];
  const layers = Array.from({ length: c.num_hidden_layers }, (_, i) => layer(i)).flat();
  return [matrix('model.embed_tokens.weight', c.vocab_size, hidden), ...layers, norm('model.norm.weight')];
}

/** @param {string} folder @param {string} shape @param {any} c */
function safetensors(folder, shape, c) {
  mkdirSync(folder, { recursive: true });
  copyFileSync(shape, join(folder, 'config.json'));
  const { tokens, marks } = vocabulary(c.vocab_size);
  const added = marks.map((content, id) => ({ id, content, special: true, normalized: false }));
  const level = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const pre = { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, level] };
  const model = { type: 'BPE', vocab, merges: [] };
  const json = { added_tokens: added, pre_tokenizer: pre, decoder: { type: 'ByteLevel' }, model };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: marks[0], eos_token: marks[0] }));
  writeFileSync(join(folder, 'chat_template.jinja'), TEMPLATE);
  const all = tensors(c);
  let at = 0;
  const entries = all.map(({ name, shape }) => {
    const start = at;
    at += 2 * count(shape);
    return [name, { dtype: 'BF16', shape, data_offsets: [start, at] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const header = Buffer.concat([Buffer.alloc(8), text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  header.writeBigUInt64LE(BigInt(header.length - 8));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, header);
  const lot = new Repeated(floats());
  for (const { shape, plain } of all) {
    if (plain) writeSync(file, Buffer.from(new Uint16Array(count(shape)).fill(0x3f80).buffer));
    else lot.write(file, 2 * count(shape));
  }
  closeSync(file);
  say(`${folder}: ${((header.length + at) / 1e9).toFixed(2)} GB`);
}

/** Values of a GGUF's keys, each with the number of its type. */
const u32 = (/** @type {number} */ v) => Buffer.from(Uint32Array.of(4, v).buffer);
const f32 = (/** @type {number} */ v) => Buffer.concat([Buffer.from(Uint32Array.of(6).buffer), Buffer.from(Float32Array.of(v).buffer)]);
const sized = (/** @type {string} */ text) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(BigUint64Array.of(BigInt(bytes.length)).buffer), bytes]);
};
const string = (/** @type {string} */ text) => Buffer.concat([Buffer.from(Uint32Array.of(8).buffer), sized(text)]);
const list = (/** @type {number} */ kind, /** @type {number} */ length, /** @type {Buffer[]} */ values) =>
  Buffer.concat([Buffer.from(Uint32Array.of(9, kind, length, 0).buffer), ...values]);

/** @param {Tensor} tensor @param {any} c @returns {{name: string, shape: number[], kind: number}[]} as a GGUF has it */
function converted({ name, shape, plain }, c) {
  const F32 = 0;
  const Q4_0 = 2;
  const names = /** @type {Record<string, string>} */ ({
    'model.embed_tokens': 'token_embd',
    'model.norm': 'output_norm',
    input_layernorm: 'attn_norm',
    post_attention_layernorm: 'ffn_norm',
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    'block_sparse_moe.router.layer': 'ffn_gate_inp',
    'block_sparse_moe.output_linear': 'ffn_down_exps',
  });
  const [, layer, own] = /^(?:model\.layers\.(\d+)\.)?(.*)\.weight$/.exec(name) ?? [];
  const named = (/** @type {string} */ end) => `${layer === undefined ? '' : `blk.${layer}.`}${end}.weight`;
  if (own === 'block_sparse_moe.input_linear') {
    const half = [shape[0], c.intermediate_size, shape[2]];
    return ['ffn_gate_exps', 'ffn_up_exps'].map((end) => ({ name: named(end), shape: half, kind: Q4_0 }));
  }
  return [{ name: named(names[own]), shape, kind: plain || own.endsWith('router.layer') ? F32 : Q4_0 }];
}

/** @param {string} path @param {any} c */
function gguf(path, c) {
  const { tokens, marks } = vocabulary(c.vocab_size);
  const kinds = Buffer.from(Int32Array.from(tokens, (_, id) => (id < marks.length ? 3 : 1)).buffer);
  /** @type {[string, Buffer][]} */
  const keys = [
    ['general.architecture', string('granitemoe')],
    ['granitemoe.block_count', u32(c.num_hidden_layers)],
    ['granitemoe.context_length', u32(c.max_position_embeddings)],
    ['granitemoe.embedding_length', u32(c.hidden_size)],
    ['granitemoe.feed_forward_length', u32(c.intermediate_size)],
    ['granitemoe.vocab_size', u32(c.vocab_size)],
    ['granitemoe.attention.head_count', u32(c.num_attention_heads)],
    ['granitemoe.attention.head_count_kv', u32(c.num_key_value_heads)],
    ['granitemoe.attention.layer_norm_rms_epsilon', f32(c.rms_norm_eps)],
    ['granitemoe.attention.scale', f32(c.attention_multiplier)],
    ['granitemoe.expert_count', u32(c.num_local_experts)],
    ['granitemoe.expert_used_count', u32(c.num_experts_per_tok)],
    ['granitemoe.embedding_scale', f32(c.embedding_multiplier)],
    ['granitemoe.residual_scale', f32(c.residual_multiplier)],
    ['granitemoe.logit_scale', f32(c.logits_scaling)],
    ['granitemoe.rope.freq_base', f32(c.rope_theta)],
    ['tokenizer.ggml.model', string('gpt2')],
    ['tokenizer.ggml.pre', string('refact')],
    ['tokenizer.ggml.tokens', list(8, tokens.length, tokens.map(sized))],
    ['tokenizer.ggml.token_type', list(5, tokens.length, [kinds])],
    ['tokenizer.ggml.merges', list(8, 0, [])],
    ['tokenizer.ggml.bos_token_id', u32(0)],
    ['tokenizer.ggml.eos_token_id', u32(0)],
    ['tokenizer.chat_template', string(TEMPLATE)],
  ];
  const all = tensors(c).flatMap((tensor) => converted(tensor, c));
  const bytes = (/** @type {{shape: number[], kind: number}} */ t) => (t.kind === 0 ? 4 : 18 / 32) * count(t.shape);
  const aligned = (/** @type {number} */ n) => Math.ceil(n / 32) * 32;
  let at = 0;
  const infos = all.map((tensor) => {
    const sizes = BigUint64Array.from([...tensor.shape].reverse(), BigInt);
    const offset = BigUint64Array.of(BigInt(at));
    at = aligned(at + bytes(tensor));
    const [rank, kind] = [Uint32Array.of(sizes.length), Uint32Array.of(tensor.kind)];
    return Buffer.concat([sized(tensor.name), ...[rank, sizes, kind, offset].map((part) => Buffer.from(part.buffer))]);
  });
  const counts = BigUint64Array.of(BigInt(all.length), BigInt(keys.length));
  const head = [Buffer.from('GGUF'), Buffer.from(Uint32Array.of(3).buffer), Buffer.from(counts.buffer)];
  const header = Buffer.concat([...head, ...keys.flatMap(([key, value]) => [sized(key), value]), ...infos]);
  const file = openSync(path, 'w');
  writeSync(file, Buffer.concat([header], aligned(header.length)));
  const lot = new Repeated(blocks());
  for (const [i, tensor] of all.entries()) {
    // Of norms, and of the few rows of routers.
    const router = tensor.name.includes('ffn_gate_inp');
    const next = lots(3 + i);
    const plain = () => Float32Array.from({ length: count(tensor.shape) }, () => (router ? (next() / 2 ** 31 - 1) * SPREAD : 1));
    if (tensor.kind === 0) writeSync(file, Buffer.from(plain().buffer));
    else lot.write(file, bytes(tensor));
    writeSync(file, Buffer.alloc(aligned(bytes(tensor)) - bytes(tensor)));
  }
  closeSync(file);
  say(`${path}: ${((aligned(header.length) + at) / 1e9).toFixed(2)} GB`);
}

program(import.meta.url, async () => {
  const options = /** @type {const} */ ({ shape: { type: 'string' }, only: { type: 'string' } });
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [folder] = positionals;
  if (folder === undefined) throw new Failure('node scripts/checkpoint.mjs FOLDER [--shape FILE] [--only safetensors|gguf]');
  const shape = values.shape ?? join(ROOT, 'scripts/shapes/1b-a400m.json');
  const config = JSON.parse(readFileSync(shape, 'utf8'));
  if (config.model_type !== 'granitemoe') throw new Failure(`${shape}: not a granitemoe`);
  mkdirSync(folder, { recursive: true });
  if (values.only !== 'gguf') safetensors(folder, shape, config);
  if (values.only !== 'safetensors') gguf(join(folder, `${basename(folder)}-Q4_0.gguf`), config);
});
