"""The models' shapes, as configurations in the keys of public repositories."""

VOCAB = 8192
CONTEXT = 16384
EPS = 1e-6
THETA = 1e6
# By bits: models whose choices transformers repeats when it reads all tokens at once (1234 in 8 bits: 61 of 64).
SEEDS = {4: 1234, 8: 1235}

# Ends of the vocabulary. Their embeddings are zero, and so are their logits: greedy decoding never chooses them.
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


def config(hidden, layers, heads, kv_heads, width, experts=0, chosen=4):
    """A Qwen3 configuration; `width` is that of one expert, or of the feed-forward where there are none."""
    moe = experts > 0
    base = {
        "architectures": ["Qwen3MoeForCausalLM" if moe else "Qwen3ForCausalLM"],
        "attention_bias": False,
        "bos_token_id": VOCAB - 3,
        "dtype": "float32",
        "eos_token_id": VOCAB - 1,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": chosen * width if moe else width,
        "max_position_embeddings": CONTEXT,
        "model_type": "qwen3_moe" if moe else "qwen3",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": EPS,
        "rope_theta": THETA,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "vocab_size": VOCAB,
    }
    if moe:
        base |= {
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "moe_intermediate_size": width,
            "norm_topk_prob": True,
            "num_experts": experts,
            "num_experts_per_tok": chosen,
        }
    return base


# Those that every engine runs.
PEERS = {
    "moe-s": config(512, 8, 8, 4, 256, experts=32),
    "moe-m": config(1024, 12, 16, 8, 384, experts=32),
    "dense-s": config(768, 14, 12, 4, 2048),
}

# The same work a token from ever more experts; only this engine runs them.
GROWTH = {f"experts-{n}": config(512, 4, 8, 4, 256, experts=n) for n in (8, 16, 32, 64, 128)}

# Each of the peers' models in 4 bits under its own name, and in 8.
MODELS = {name: (config, 4) for name, config in (PEERS | GROWTH).items()}
MODELS |= {f"{name}-8": (config, 8) for name, config in PEERS.items()}
