# The expert operator: tokens sorted by expert, one matrix product an expert, with its own backward.
#
# Written as one operator because slicing stacked weights under autograd makes a zero gradient of the whole stack for every
# expert. Rows are padded to a multiple of 128 an expert: oneDNN prepares a kernel for each new shape, so few shapes are fast.
import torch
import torch.nn.functional as F

PAD_ROWS = 128


def place(choice, experts):
    """choice [T, k] → (row of each pick [T·k], first row and row count of each expert, rows in all)."""
    flat = choice.reshape(-1)
    counts = torch.bincount(flat, minlength=experts)
    padded = (counts + PAD_ROWS - 1) // PAD_ROWS * PAD_ROWS
    first = padded.cumsum(0) - padded
    order = flat.argsort(stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(flat)) - (counts.cumsum(0) - counts).repeat_interleave(counts, output_size=len(flat))
    # The buffer's size does not depend on the counts, so element-wise kernels are compiled once.
    return first[flat] + rank, first.tolist(), padded.tolist(), len(flat) + experts * PAD_ROWS


def activate(h):
    """[n, 2I] gate and up side by side → silu(gate) · up [n, I]."""
    gate, up = h.chunk(2, dim=1)
    gate = gate.float()
    return (gate * torch.sigmoid(gate) * up.float()).to(h.dtype)


def activate_backward(h, grad, by_h):
    """Writes the gradient of `activate` by h into by_h; returns the activation again, which is cheaper than keeping it."""
    gate, up = h.chunk(2, dim=1)
    gate, up, grad = gate.float(), up.float(), grad.float()
    sigmoid = torch.sigmoid(gate)
    silu = gate * sigmoid
    by_gate, by_up = by_h.chunk(2, dim=1)
    by_gate.copy_(grad * up * (sigmoid + silu * (1 - sigmoid)))
    by_up.copy_(grad * silu)
    return (silu * up).to(h.dtype)


def scatter(x, rows, size, k):
    """x [T, d] → [size, d]; row rows[t·k + j] holds x[t], the rest is zero."""
    out = x.new_zeros(size, x.shape[1])
    out[rows] = x.repeat_interleave(k, dim=0)
    return out


def compile_pieces():
    """Compiles the element-wise parts (training only; tests and evaluation run them as they are)."""
    global activate, activate_backward
    activate = torch.compile(activate, dynamic=False)
    activate_backward = torch.compile(activate_backward, dynamic=False)


@torch.library.custom_op("moebius::experts", mutates_args=())
def experts(x: torch.Tensor, choice: torch.Tensor, weight: torch.Tensor, gate_up: torch.Tensor,
            down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """x [T, d], choice [T, k] i64, weight [T, k], gate_up [E, 2I, d], down [E, d, I] →
    y [T, d], and for the backward: h [R, 2I], each pick's output [T·k, d], rows [T·k]."""
    tokens, k = choice.shape
    rows, first, count, size = place(choice, len(down))
    xs = scatter(x, rows, size, k)
    h = x.new_empty(size, gate_up.shape[1])
    for e, (start, n) in enumerate(zip(first, count)):
        torch.mm(xs[start:start + n], gate_up[e].t(), out=h[start:start + n])
    act = activate(h)
    out = xs  # its input is no longer needed
    for e, (start, n) in enumerate(zip(first, count)):
        torch.mm(act[start:start + n], down[e].t(), out=out[start:start + n])
    picked = out[rows]
    y = (picked.view(tokens, k, -1) * weight.to(x.dtype).unsqueeze(-1)).sum(1)
    return y, h, picked, rows


@experts.register_fake
def _(x, choice, weight, gate_up, down):
    tokens, k = choice.shape
    size = tokens * k + len(down) * PAD_ROWS
    return (torch.empty_like(x), x.new_empty(size, gate_up.shape[1]), x.new_empty(tokens * k, x.shape[1]),
            choice.new_empty(tokens * k))


@torch.library.custom_op("moebius::experts_backward", mutates_args=())
def experts_backward(grad: torch.Tensor, x: torch.Tensor, choice: torch.Tensor, weight: torch.Tensor, gate_up: torch.Tensor,
                     down: torch.Tensor, h: torch.Tensor, picked: torch.Tensor,
                     rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """→ gradients by x, weight, gate_up, down."""
    tokens, k = choice.shape
    _, first, count, size = place(choice, len(down))
    xs = scatter(x, rows, size, k)
    by_weight = (picked.view(tokens, k, -1).float() * grad.float().unsqueeze(1)).sum(-1).to(weight.dtype)
    by_out = grad.new_zeros(size, grad.shape[1])
    by_out[rows] = (grad.unsqueeze(1) * weight.to(grad.dtype).unsqueeze(-1)).view(tokens * k, -1)
    by_act = grad.new_empty(size, down.shape[2])
    for e, (start, n) in enumerate(zip(first, count)):
        torch.mm(by_out[start:start + n], down[e], out=by_act[start:start + n])
    by_h = torch.empty_like(h)
    act = activate_backward(h, by_act, by_h)
    by_gate_up, by_down = torch.empty_like(gate_up), torch.empty_like(down)
    for e, (start, n) in enumerate(zip(first, count)):
        stop = start + n
        torch.mm(by_out[start:stop].t(), act[start:stop], out=by_down[e])
        torch.mm(by_h[start:stop].t(), xs[start:stop], out=by_gate_up[e])
        torch.mm(by_h[start:stop], gate_up[e], out=by_out[start:stop])
    return by_out[rows].view(tokens, k, -1).sum(1), by_weight, by_gate_up, by_down


@experts_backward.register_fake
def _(grad, x, choice, weight, gate_up, down, h, picked, rows):
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(gate_up), torch.empty_like(down)


def _save(ctx, inputs, output):
    x, choice, weight, gate_up, down = inputs
    _, h, picked, rows = output
    ctx.save_for_backward(x, choice, weight, gate_up, down, h, picked, rows)
    ctx.mark_non_differentiable(h, picked, rows)


def _backward(ctx, grad, *_):
    by_x, by_weight, by_gate_up, by_down = experts_backward(grad.contiguous(), *ctx.saved_tensors)
    return by_x, None, by_weight, by_gate_up, by_down


experts.register_autograd(_backward, setup_context=_save)


def reference(x, choice, weight, gate_up, down):
    """The same in plain einsum over all experts: the truth the operator is tested against."""
    gate, up = torch.einsum("td,ehd->teh", x, gate_up).chunk(2, dim=-1)
    out = torch.einsum("tei,edi->ted", F.silu(gate) * up, down)
    mix = torch.zeros(len(x), len(down), dtype=x.dtype).scatter(1, choice, weight)
    return torch.einsum("ted,te->td", out, mix)
