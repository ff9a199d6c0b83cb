# Writes a checkpoint as a Hugging Face `deepseek_v3` folder and checks that transformers computes the same from it.
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

import chat
from model import Mlp, Model, Shape

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def load(checkpoint):
    """checkpoint.pt → Model in f32, ready for evaluation."""
    tree = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = Model(Shape(**tree["shape"]))
    model.load_state_dict(tree["model"])
    return model.eval()


def config(s):
    """Shape → config.json in the keys of the published DeepSeek-V3."""
    return {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "torch_dtype": "float32",
        "vocab_size": s.vocab_size, "hidden_size": s.hidden_size, "num_hidden_layers": s.num_hidden_layers,
        "num_attention_heads": s.num_attention_heads, "num_key_value_heads": s.num_attention_heads,
        "q_lora_rank": None, "kv_lora_rank": s.kv_lora_rank, "qk_nope_head_dim": s.qk_nope_head_dim,
        "qk_rope_head_dim": s.qk_rope_head_dim, "v_head_dim": s.v_head_dim, "intermediate_size": s.intermediate_size,
        "moe_intermediate_size": s.moe_intermediate_size, "n_routed_experts": s.n_routed_experts, "n_shared_experts": 1,
        "num_experts_per_tok": s.num_experts_per_tok, "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1,
        "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": True,
        "routed_scaling_factor": 1.0, "num_nextn_predict_layers": 0, "hidden_act": "silu", "attention_bias": False,
        "attention_dropout": 0.0, "rms_norm_eps": s.rms_norm_eps, "rope_theta": s.rope_theta, "rope_scaling": None,
        "rope_interleave": True, "max_position_embeddings": s.max_position_embeddings, "tie_word_embeddings": True,
        "bos_token_id": chat.BOS, "eos_token_id": chat.END, "pad_token_id": chat.PAD, "initializer_range": 0.02, "use_cache": True,
    }


def tensors(model):
    """The model's parameters under their public names, one tensor per expert and matrix."""
    out = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm}

    def mlp(prefix, m):
        out.update({f"{prefix}.gate_proj.weight": m.gate, f"{prefix}.up_proj.weight": m.up, f"{prefix}.down_proj.weight": m.down})

    for number, block in enumerate(model.blocks):
        at, layer = block.attention, f"model.layers.{number}"
        out.update({
            f"{layer}.input_layernorm.weight": block.norm_1, f"{layer}.post_attention_layernorm.weight": block.norm_2,
            f"{layer}.self_attn.q_proj.weight": at.q, f"{layer}.self_attn.kv_a_proj_with_mqa.weight": at.kv_a,
            f"{layer}.self_attn.kv_a_layernorm.weight": at.kv_norm, f"{layer}.self_attn.kv_b_proj.weight": at.kv_b,
            f"{layer}.self_attn.o_proj.weight": at.o,
        })
        if isinstance(block.ffn, Mlp):
            mlp(f"{layer}.mlp", block.ffn)
            continue
        out[f"{layer}.mlp.gate.weight"] = block.ffn.router
        out[f"{layer}.mlp.gate.e_score_correction_bias"] = block.ffn.bias
        mlp(f"{layer}.mlp.shared_experts", block.ffn.shared)
        for expert, (gate_up, down) in enumerate(zip(block.ffn.gate_up, block.ffn.down)):
            gate, up = gate_up.chunk(2)
            out.update({f"{layer}.mlp.experts.{expert}.{name}.weight": m
                        for name, m in (("gate_proj", gate), ("up_proj", up), ("down_proj", down))})
    return {name: tensor.detach().clone().contiguous() for name, tensor in out.items()}


def write(model, out):
    """config.json, generation_config.json and model.safetensors (f32) into `out`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config(model.s), indent=1) + "\n")
    generation = {"bos_token_id": chat.BOS, "eos_token_id": [chat.END], "pad_token_id": chat.PAD,
                  "do_sample": True, "temperature": 0.3, "top_p": 0.9}  # hotter, so small a model loses its thread
    (out / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
    save_file(tensors(model), out / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def verify(model, out, prompt, count=64):
    """Logits of the prompt and `count` greedy tokens, here and in transformers. Returns the largest difference of logits."""
    from transformers import DeepseekV3ForCausalLM

    other, report = DeepseekV3ForCausalLM.from_pretrained(out, dtype=torch.float32, output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"]:
        raise ValueError(f"transformers misses {report['missing_keys']} and does not expect {report['unexpected_keys']}")
    ids, worst = list(prompt), 0.0
    for _ in range(count):
        ours = model.logits(torch.tensor([ids]))[0]
        theirs = other.eval()(torch.tensor([ids]), use_cache=False).logits[0]
        worst = max(worst, (ours - theirs).abs().max().item())
        if int(ours[-1].argmax()) != int(theirs[-1].argmax()):
            raise ValueError(f"{out}: greedy tokens part after {len(ids)} tokens")
        ids.append(int(ours[-1].argmax()))
    if not worst <= 1e-4:
        raise ValueError(f"{out}: logits differ by {worst}")
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="checkpoint.pt and tokenizer folder → Hugging Face folder")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    trained = load(arguments.checkpoint)
    write(trained, arguments.out)
    for file in TOKENIZER_FILES:
        shutil.copy(Path(arguments.tokenizer) / file, arguments.out)
    difference = verify(trained, arguments.out, [chat.BOS, *range(300, 340)])
    print(f"transformers agrees: 64 greedy tokens, logits within {difference:.1e}")
