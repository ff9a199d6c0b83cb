"""Random weights under the names of public repositories, in the codes of 4 or 8 bits that every engine gets."""

from dataclasses import dataclass

import numpy as np
from shapes import SEEDS, SPECIAL, VOCAB

BLOCK = 32


@dataclass
class Codes:
    """A matrix in blocks of 32 columns: `w = (code - middle) * scale`, scales in f16; the middle is 8 of 4 bits, 128 of 8."""

    codes: np.ndarray  # u8 [rows, cols]
    scales: np.ndarray  # f16 [rows, cols / 32]
    bits: int

    def values(self):
        """The f32 values that the codes stand for."""
        rows, cols = self.codes.shape
        blocks = self.codes.reshape(rows, cols // BLOCK, BLOCK).astype(np.float32) - (1 << self.bits - 1)
        return (blocks * self.scales[..., None].astype(np.float32)).reshape(rows, cols)


def quantise(matrix, bits):
    """GGML's rules. Q4_0: the value farthest from zero becomes code 0, which is -8 steps; Q8_0: it is 127 steps away."""
    rows, cols = matrix.shape
    blocks = matrix.reshape(rows, cols // BLOCK, BLOCK)
    farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    step = farthest / np.float32(-8) if bits == 4 else np.abs(farthest) / np.float32(127)
    inverse = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step != 0)
    middle, most = 1 << bits - 1, (1 << bits) - 1
    codes = np.clip(np.floor(blocks * inverse + np.float32(middle + 0.5)), 0, most).astype(np.uint8)
    return Codes(codes.reshape(rows, cols), step[..., 0].astype(np.float16), bits)


def make(config, torn, bits):
    """Name -> Codes for matrices, f32 for norms and routers. A random model repeats a token or two for ever, and asks the
    same experts at every step, unless embeddings, which are the head as well, are small beside what layers add, and
    queries large, so that attention looks at some tokens rather than at the mean of all."""
    random = np.random.default_rng(SEEDS[bits])

    def matrix(rows, cols, spread=None):
        spread = cols**-0.5 if spread is None else spread
        return random.standard_normal((rows, cols), dtype=np.float32) * np.float32(spread)

    def norm(size, mean=1):
        return np.float32(mean) * (1 + np.float32(0.1) * random.standard_normal(size, dtype=np.float32))

    h, head = config["hidden_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    embed = matrix(VOCAB, h, 0.02)
    embed[VOCAB - len(SPECIAL) :] = 0
    embed[torn] = 0
    out = {"model.embed_tokens.weight": quantise(embed, bits)}
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        out[at + "input_layernorm.weight"] = norm(h)
        for name, rows, cols in (("q", q, h), ("k", kv, h), ("v", kv, h), ("o", h, q)):
            out[f"{at}self_attn.{name}_proj.weight"] = quantise(matrix(rows, cols), bits)
        out[at + "self_attn.q_norm.weight"] = norm(head, mean=3)
        out[at + "self_attn.k_norm.weight"] = norm(head)
        out[at + "post_attention_layernorm.weight"] = norm(h)
        if "num_experts" in config:
            out[at + "mlp.gate.weight"] = matrix(config["num_experts"], h)
        for prefix, width in feed_forwards(config, at):
            out[prefix + "gate_proj.weight"] = quantise(matrix(width, h), bits)
            out[prefix + "up_proj.weight"] = quantise(matrix(width, h), bits)
            out[prefix + "down_proj.weight"] = quantise(matrix(h, width), bits)
    out["model.norm.weight"] = norm(h)
    return out


def feed_forwards(config, at):
    """Prefix and width of each expert of a layer, or of its one feed-forward."""
    if "num_experts" not in config:
        return [(at + "mlp.", config["intermediate_size"])]
    return [(f"{at}mlp.experts.{e}.", config["moe_intermediate_size"]) for e in range(config["num_experts"])]


def sizes(config, weights, bits):
    """Parameters in all and at work for one token, and the bytes of weights that one token reads."""
    count = {n: (w.codes if isinstance(w, Codes) else w).size for n, w in weights.items()}
    total = sum(count.values())
    experts = sum(c for n, c in count.items() if ".experts." in n)
    share = config["num_experts_per_tok"] / config["num_experts"] if experts else 1
    plain = sum(c for n, c in count.items() if not isinstance(weights[n], Codes))
    active = int(total - experts + experts * share)
    return {"parameters": total, "active": active, "bytes": int((active - plain) * (2 + 4 * bits) / 32 + plain * 4)}
