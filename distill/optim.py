# Muon for the matrices inside blocks, AdamW for embedding, router and norms; both with one shared step.
import math

import torch

# Newton-Schulz towards the nearest orthogonal matrix (Jordan et al., Muon): five steps of a fixed quintic.
STEPS, QUINTIC = 5, (3.4445, -4.7750, 2.0315)


def orthogonalise(m, dtype):
    """m [n, rows, cols], rows ≤ cols → about U·Vᵀ of each."""
    a, b, c = QUINTIC
    x = m.to(dtype)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = torch.bmm(x, x.mT)
        # (a + b·G + c·G²)·x, with a on the diagonal: one product and one copy less than adding a·x.
        factor = torch.bmm(gram, gram).mul_(c).add_(gram, alpha=b)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        x = torch.bmm(factor, x)
    return x


def pieces(p):
    """A parameter as matrices [n, rows, cols]; gate and up of stacked experts are separate matrices."""
    if p.ndim == 3 and p.shape[1] == 2 * p.shape[2]:
        return p.view(-1, p.shape[2], p.shape[2])
    return p.view(-1, *p.shape[-2:])


class Muon:
    """Momentum 0.95 with Nesterov; all matrices of one shape are orthogonalised together."""

    def __init__(self, params, dtype, momentum=0.95, decay=0.05):
        self.momentum, self.decay, self.dtype = momentum, decay, dtype
        self.params = list(params)
        self.shapes = {}
        for p in self.params:
            self.shapes.setdefault(tuple(sorted(pieces(p).shape[1:])), []).append(p)
        self.moment = {shape: torch.zeros(sum(len(pieces(p)) for p in ps), *shape) for shape, ps in self.shapes.items()}

    @torch.no_grad()
    def step(self, rate):
        for shape, params in self.shapes.items():
            flip = [pieces(p).shape[1] > pieces(p).shape[2] for p in params]
            grad = torch.cat([pieces(p.grad).mT if f else pieces(p.grad) for p, f in zip(params, flip)])
            moment = self.moment[shape].lerp_(grad, 1 - self.momentum)
            update = orthogonalise(grad.lerp_(moment, self.momentum), self.dtype).float()
            scale, at = 0.1 * math.sqrt(shape[1]), 0
            for p, f in zip(params, flip):
                view = pieces(p.data)
                part = update[at:at + len(view)]
                view.mul_(1 - rate * self.decay).add_(part.mT if f else part, alpha=-rate * scale)
                at += len(view)


def groups(model):
    """→ (matrices inside blocks, everything else)."""
    inside = {n for n, p in model.named_parameters() if n.startswith("blocks") and p.ndim >= 2 and not n.endswith("router")}
    return ([p for n, p in model.named_parameters() if n in inside],
            [p for n, p in model.named_parameters() if n not in inside])


class Optimizer:
    """Both optimizers behind one learning-rate factor in 0..1."""

    MUON_RATE, ADAM_RATE, CLIP = 0.012, 3e-3, 1.0

    def __init__(self, model, dtype=torch.bfloat16):
        inside, outside = groups(model)
        self.all = inside + outside
        self.muon = Muon(inside, dtype)
        self.adam = torch.optim.AdamW(outside, lr=self.ADAM_RATE, betas=(0.9, 0.95), weight_decay=0, fused=True)

    def step(self, factor):
        """Clips, updates and clears; returns the gradient's norm."""
        norm = torch.nn.utils.clip_grad_norm_(self.all, self.CLIP)
        for group in self.adam.param_groups:
            group["lr"] = self.ADAM_RATE * factor
        self.adam.step()
        self.muon.step(self.MUON_RATE * factor)
        for p in self.all:
            p.grad = None
        return float(norm)

    def state(self):
        return {"muon": self.muon.moment, "adam": self.adam.state_dict()}

    def restore(self, state):
        self.muon.moment = state["muon"]
        self.adam.load_state_dict(state["adam"])
