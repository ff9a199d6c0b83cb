"""GGUF for llama.cpp's descendants: matrices in Q4_0 or Q8_0, norms and routers in f32, the tokenizer inside."""

import json

import gguf
import numpy as np
from shapes import CHAT, CONTEXT, EPS, SPECIAL, THETA, VOCAB
from weights import BLOCK, Codes

KINDS = {4: gguf.GGMLQuantizationType.Q4_0, 8: gguf.GGMLQuantizationType.Q8_0}
FILES = {4: gguf.LlamaFileType.MOSTLY_Q4_0, 8: gguf.LlamaFileType.MOSTLY_Q8_0}

# Names within a layer.
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate": "ffn_gate_inp",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def blocks(matrix):
    """Of each block its scale, then in Q4_0 columns i and i + 16 in a byte, in Q8_0 a signed byte a column."""
    rows, cols = matrix.codes.shape
    if matrix.bits == 8:
        signed = (matrix.codes ^ 128).reshape(rows, cols // BLOCK, BLOCK)
        scales = matrix.scales[..., None].view(np.uint8)
        return np.concatenate([scales, signed], -1).reshape(rows, -1)
    codes = matrix.codes.reshape(rows, cols // BLOCK, 2, BLOCK // 2)
    scales = matrix.scales[..., None].view(np.uint8)
    return np.concatenate([scales, codes[:, :, 0] | codes[:, :, 1] << 4], -1).reshape(rows, -1)


def write(path, name, config, weights, tokenizer, bits):
    experts = config.get("num_experts", 0)
    out = gguf.GGUFWriter(path, "qwen3moe" if experts else "qwen3")
    out.add_name(name)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_key_length(config["head_dim"])
    out.add_value_length(config["head_dim"])
    out.add_rope_freq_base(THETA)
    out.add_layer_norm_rms_eps(EPS)
    if experts:
        out.add_expert_count(experts)
        out.add_expert_used_count(config["num_experts_per_tok"])
        out.add_expert_feed_forward_length(config["moe_intermediate_size"])
    out.add_file_type(FILES[bits])
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary(out, tokenizer)

    def add(theirs, w):
        if isinstance(w, Codes):
            out.add_tensor(theirs, blocks(w), raw_dtype=KINDS[bits])
        else:
            out.add_tensor(theirs, w.astype(np.float32))

    add("token_embd.weight", weights["model.embed_tokens.weight"])
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for ours, theirs in NAMES.items():
            if (w := weights.get(f"{at}{ours}.weight")) is not None:
                add(f"blk.{i}.{theirs}.weight", w)
        for role in ("gate", "up", "down") if experts else ():
            stack = [blocks(weights[f"{at}mlp.experts.{e}.{role}_proj.weight"]) for e in range(experts)]
            out.add_tensor(f"blk.{i}.ffn_{role}_exps.weight", np.stack(stack), raw_dtype=KINDS[bits])
    add("output_norm.weight", weights["model.norm.weight"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def vocabulary(out, tokenizer):
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=ids.__getitem__)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    kind = gguf.TokenType
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types([kind.CONTROL if t in SPECIAL else kind.NORMAL for t in tokens])
    out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    out.add_bos_token_id(VOCAB - 3)
    out.add_eos_token_id(VOCAB - 1)
    out.add_pad_token_id(VOCAB - 3)
    out.add_add_bos_token(False)
    out.add_chat_template(CHAT)
