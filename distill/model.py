# The student: DeepSeek-V3 in miniature (latent attention, sigmoid routing with a balancing bias, one shared expert).
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

import moe


@dataclass
class Shape:
    """Sizes in upstream config.json names where they have one. The defaults are S1: 11.6 M parameters, 5.7 M active."""
    vocab_size: int = 4096
    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 32
    v_head_dim: int = 64
    kv_lora_rank: int = 64
    intermediate_size: int = 768
    moe_intermediate_size: int = 256
    n_routed_experts: int = 8
    num_experts_per_tok: int = 2
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 1024


def rms_norm(x, weight, eps):
    """Computed in f32; the caller casts."""
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def linear(x, weight):
    """Weights are kept in f32 and multiplied in the type of x."""
    return F.linear(x, weight.to(x.dtype))


def rotate(x, cos, sin):
    """Interleaved rotary embedding: pairs (2i, 2i+1). x [B, S, heads, r], cos and sin [S, 1, r/2]."""
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)


def attend(q, k, v, scale):
    """Causal attention, [B, heads, S, ·] each. Written out: for rows this short the products are large enough, and compiled
    they train faster on a CPU than the fused operator, whose backward is slow without matrix units."""
    length = q.shape[2]
    score = (q @ k.mT).float() * scale
    score = score.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), float("-inf"))
    return score.softmax(-1).to(v.dtype) @ v


def matrix(*shape):
    return nn.Parameter(torch.randn(*shape) * 0.5 * shape[-1] ** -0.5)


class Attention(nn.Module):
    """Multi-head latent attention; keys and values come from a latent of kv_lora_rank and one shared rotary key."""

    def __init__(self, s):
        super().__init__()
        self.s = s
        heads, inner = s.num_attention_heads, s.qk_nope_head_dim + s.qk_rope_head_dim
        self.q = matrix(heads * inner, s.hidden_size)
        self.kv_a = matrix(s.kv_lora_rank + s.qk_rope_head_dim, s.hidden_size)
        self.kv_norm = nn.Parameter(torch.ones(s.kv_lora_rank))
        self.kv_b = matrix(heads * (s.qk_nope_head_dim + s.v_head_dim), s.kv_lora_rank)
        self.o = nn.Parameter(torch.zeros(s.hidden_size, heads * s.v_head_dim))

    def forward(self, x, cos, sin):  # x [B, S, d]
        s = self.s
        batch, length, _ = x.shape
        heads, nope, rope = s.num_attention_heads, s.qk_nope_head_dim, s.qk_rope_head_dim
        q_nope, q_rope = linear(x, self.q).view(batch, length, heads, -1).split((nope, rope), dim=-1)
        latent, k_rope = linear(x, self.kv_a).split((s.kv_lora_rank, rope), dim=-1)
        latent = rms_norm(latent, self.kv_norm, 1e-6).to(x.dtype)
        k_nope, v = linear(latent, self.kv_b).view(batch, length, heads, -1).split((nope, s.v_head_dim), dim=-1)
        k_rope = rotate(k_rope.unsqueeze(2), cos, sin).expand(-1, -1, heads, -1)
        q = torch.cat((q_nope, rotate(q_rope, cos, sin)), dim=-1).transpose(1, 2)
        k = torch.cat((k_nope, k_rope), dim=-1).transpose(1, 2)
        mixed = attend(q, k, v.transpose(1, 2), (nope + rope) ** -0.5)
        return linear(mixed.transpose(1, 2).reshape(batch, length, -1), self.o)


class Mlp(nn.Module):
    """down(silu(gate x) · up x)."""

    def __init__(self, d, inner):
        super().__init__()
        self.gate, self.up = matrix(inner, d), matrix(inner, d)
        self.down = nn.Parameter(torch.zeros(d, inner))

    def forward(self, x):
        return linear(F.silu(linear(x, self.gate)) * linear(x, self.up), self.down)


class Moe(nn.Module):
    """Routed experts plus a shared one. The bias steers which experts are chosen and never weighs them."""

    def __init__(self, s):
        super().__init__()
        self.k = s.num_experts_per_tok
        self.router = nn.Parameter(torch.randn(s.n_routed_experts, s.hidden_size) * s.hidden_size ** -0.5)
        self.register_buffer("bias", torch.zeros(s.n_routed_experts))
        self.gate_up = matrix(s.n_routed_experts, 2 * s.moe_intermediate_size, s.hidden_size)
        self.down = nn.Parameter(torch.zeros(s.n_routed_experts, s.hidden_size, s.moe_intermediate_size))
        self.shared = Mlp(s.hidden_size, s.moe_intermediate_size)

    def forward(self, x, normed):
        """x [T, d] in the compute type, normed [T, d] f32 for the router → y [T, d], picks of each expert [E]."""
        score = torch.sigmoid(F.linear(normed, self.router))
        choice = (score + self.bias).topk(self.k, dim=-1).indices
        weight = score.gather(1, choice)
        weight = weight / (weight.sum(-1, keepdim=True) + 1e-20)
        y = moe.experts(x, choice, weight, self.gate_up.to(x.dtype), self.down.to(x.dtype))[0]
        load = (choice.unsqueeze(-1) == torch.arange(len(self.bias))).sum((0, 1))
        return y + self.shared(x), load


class Block(nn.Module):
    def __init__(self, s, dense):
        super().__init__()
        self.s = s
        self.norm_1 = nn.Parameter(torch.ones(s.hidden_size))
        self.attention = Attention(s)
        self.norm_2 = nn.Parameter(torch.ones(s.hidden_size))
        self.ffn = Mlp(s.hidden_size, s.intermediate_size) if dense else Moe(s)

    def forward(self, x, cos, sin, dtype):  # x [B, S, d] f32
        x = x + self.attention(rms_norm(x, self.norm_1, self.s.rms_norm_eps).to(dtype), cos, sin).float()
        normed = rms_norm(x, self.norm_2, self.s.rms_norm_eps)
        if isinstance(self.ffn, Mlp):
            return x + self.ffn(normed.to(dtype)).float(), None
        flat = normed.flatten(0, 1)
        y, load = self.ffn(flat.to(dtype), flat)
        return x + y.view_as(x).float(), load


class Model(nn.Module):
    """Tokens → final hidden states; the head is the embedding (tied)."""

    def __init__(self, s):
        super().__init__()
        self.s = s
        self.embedding = nn.Parameter(torch.randn(s.vocab_size, s.hidden_size) * 0.02)
        self.blocks = nn.ModuleList(Block(s, dense=number == 0) for number in range(s.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(s.hidden_size))
        inverse = s.rope_theta ** (-torch.arange(0, s.qk_rope_head_dim, 2).float() / s.qk_rope_head_dim)
        angle = torch.outer(torch.arange(s.max_position_embeddings).float(), inverse).unsqueeze(1)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids, dtype=torch.float32):
        """ids [B, S] → hidden [B, S, d] in `dtype`, load [MoE layers, E]."""
        x = F.embedding(ids, self.embedding)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        loads = []
        for block in self.blocks:
            x, load = block(x, cos, sin, dtype)
            loads += [] if load is None else [load]
        return rms_norm(x, self.norm, self.s.rms_norm_eps).to(dtype), torch.stack(loads)

    def logits(self, ids):
        """ids [B, S] → logits [B, S, V], all in f32."""
        return linear(self(ids)[0], self.embedding)

    def moes(self):
        return [block.ffn for block in self.blocks if isinstance(block.ffn, Moe)]


def surprise(logits, target, scale):
    """logits [n, V], target [n] → loss of each [n], gradient of the sum of losses times scale [n, V]."""
    logp = logits.float().log_softmax(-1)
    hit = torch.arange(logits.shape[1]) == target.unsqueeze(1)
    return -logp.gather(1, target.unsqueeze(1)).squeeze(1), ((logp.exp() - hit.float()) * scale).to(logits.dtype)


def compile_pieces():
    """Compiles what runs outside the model's own graph."""
    global surprise
    surprise = torch.compile(surprise, dynamic=False)


class HeadLoss(torch.autograd.Function):
    """Cross entropy of a tied head in chunks, with the gradients made on the way: the full logits never exist."""

    CHUNK = 512

    @staticmethod
    def forward(ctx, hidden, index, weight, target):
        """hidden [N, d], index [n] of the rows that count (no row twice), weight [V, d] f32, target [n] →
        mean loss, loss of each token [n] (no gradient)."""
        w = weight.to(hidden.dtype)
        by_hidden, by_weight = torch.zeros_like(hidden), torch.zeros(w.shape)
        each, scale = torch.empty(len(target)), torch.tensor(1 / len(target))
        for at in range(0, len(target), HeadLoss.CHUNK):
            rows, t = index[at:at + HeadLoss.CHUNK], target[at:at + HeadLoss.CHUNK]
            x = hidden[rows]
            each[at:at + len(t)], grad = surprise(torch.mm(x, w.t()), t, scale)
            by_hidden[rows] = torch.mm(grad, w)
            by_weight += torch.mm(grad.t(), x)
        ctx.save_for_backward(by_hidden, by_weight)
        ctx.mark_non_differentiable(each)
        return each.mean(), each

    @staticmethod
    def backward(ctx, grad, _):
        by_hidden, by_weight = ctx.saved_tensors
        return by_hidden * grad.to(by_hidden.dtype), None, by_weight * grad, None
