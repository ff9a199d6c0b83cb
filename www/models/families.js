// What runs, as configurations and GGUFs name it. docs/families.md is made by tests of the engine; a spec holds this to it.

/** `model_type` of a config.json. */
export const FAMILIES = ['deepseek_v2', 'deepseek_v3', 'ernie4_5_moe', 'gpt_oss', 'granitemoe', 'granitemoeshared', 'lfm2_moe', 'llama', 'mixtral', 'olmoe', 'phimoe', 'qwen2', 'qwen2_moe', 'qwen3', 'qwen3_moe'];

/** `general.architecture` of a GGUF. */
export const ARCHITECTURES = ['deepseek2', 'ernie4_5-moe', 'gpt-oss', 'granitemoe', 'lfm2moe', 'llama', 'olmoe', 'phimoe', 'qwen2', 'qwen2moe', 'qwen3', 'qwen3moe'];

/** Bits a weight has on the device when a GGUF of this kind is read as it is stored: most blocks become int8. */
const KINDS = /** @type {[RegExp, {file: number, device: number}][]} */ ([
  [/F32/, { file: 32, device: 32 }],
  [/BF16|F16/, { file: 16, device: 16 }],
  [/Q8_0/, { file: 8.5, device: 8.5 }],
  [/MXFP4/, { file: 4.25, device: 4.25 }],
  [/Q4_0|IQ4_NL/, { file: 4.6, device: 4.7 }],
  [/Q5_0/, { file: 5.6, device: 5.6 }],
  [/Q2_K/, { file: 3, device: 8.5 }],
  [/Q3_K/, { file: 3.9, device: 8.5 }],
  [/Q4_1/, { file: 5, device: 8.5 }],
  [/Q4_K|IQ4_XS/, { file: 4.9, device: 8.5 }],
  [/Q5_K|Q5_1/, { file: 5.7, device: 8.5 }],
  [/Q6_K/, { file: 6.6, device: 8.5 }],
]);

/** What matrices can become while they are read, and about how many bits a weight has then. */
export const FORMATS = /** @type {Record<string, number>} */ ({ '': 0, f16: 16, q8: 8.5, fp8: 8.3, q4: 4.9, mxfp4: 4.6, 'q4-all': 4.5 });

/** The kind of a GGUF, from its name. @param {string} name */
export function kindOf(name) {
  return /(?:^|[-._])((?:IQ|Q)\d_\w+|MXFP4|BF16|F16|F32)(?=[-._](?:gguf|\d)|$)/i.exec(name)?.[1].toUpperCase().replace(/_MOE$/, '') ?? '';
}

/**
 * Bytes of weights on the device.
 * @param {{bytes: number, params?: number, kind?: string}} of `bytes` of the files
 * @param {string} format
 */
export function onDevice({ bytes, params, kind = '' }, format) {
  const [, bits] = KINDS.find(([pattern]) => pattern.test(kind)) ?? [];
  const stored = bits?.file ?? (params ? (8 * bytes) / params : 16);
  const weights = params ?? (8 * bytes) / stored;
  return (weights * (FORMATS[format] || bits?.device || stored)) / 8;
}
