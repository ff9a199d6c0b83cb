# The expert operator against plain einsum: output and every gradient, to 1e-5 in f32.
import torch

import moe


def test_operator_equals_einsum():
    torch.manual_seed(0)
    tokens, d, inner, count, k = 300, 32, 24, 8, 2
    make = lambda *shape: (torch.randn(*shape) * shape[-1] ** -0.5).requires_grad_()
    x, gate_up, down = make(tokens, d), make(count, 2 * inner, d), make(count, d, inner)
    weight = torch.rand(tokens, k).requires_grad_()
    choice = torch.rand(tokens, count - 1).topk(k).indices  # the last expert gets no token
    out = torch.randn(tokens, d)
    results = []
    for function in (lambda *a: moe.experts(*a)[0], moe.reference):
        y = function(x, choice, weight, gate_up, down)
        results.append((y, *torch.autograd.grad((y * out).sum(), (x, weight, gate_up, down))))
    for got, want in zip(*results):
        assert (got - want).abs().max() <= 1e-5
