# The model: transformers computes the same from the export; the chunked head loss equals plain cross entropy; a run resumes.
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import export
import train
from model import HeadLoss, Model, Shape
from optim import Optimizer

TINY = Shape(vocab_size=600, hidden_size=64, num_hidden_layers=3, intermediate_size=96, moe_intermediate_size=32, n_routed_experts=4,
             kv_lora_rank=32)


def tiny():
    torch.manual_seed(0)
    model = Model(TINY)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)  # no zero matrix, no norm of ones hides an error
        for layer in model.moes():
            layer.bias.add_(torch.randn_like(layer.bias) * 0.1)
    return model.eval()


def test_transformers_computes_the_same(tmp_path):
    model = tiny()
    export.write(model, tmp_path)
    assert export.verify(model, tmp_path, [1, 300, 301, 302], count=32) <= 1e-4


def test_verify_notices_a_wrong_export(tmp_path):
    model = tiny()
    export.write(model, tmp_path)
    model.blocks[1].ffn.bias.add_(torch.tensor([0.5, -0.5, 0.5, -0.5]))
    with pytest.raises(ValueError):
        export.verify(model, tmp_path, [1, 300, 301, 302], count=32)


def test_head_loss_equals_cross_entropy():
    torch.manual_seed(0)
    hidden, weight = torch.randn(1500, 32, requires_grad=True), torch.randn(600, 32, requires_grad=True)
    index, target = torch.randperm(1500)[:1100], torch.randint(600, (1100,))
    loss, each = HeadLoss.apply(hidden, index, weight, target)
    plain = F.cross_entropy(hidden[index] @ weight.t(), target)
    assert torch.allclose(loss, plain, atol=1e-5) and torch.allclose(each.mean(), plain, atol=1e-5)
    for got, want in zip(torch.autograd.grad(loss, (hidden, weight)), torch.autograd.grad(plain, (hidden, weight))):
        assert (got - want).abs().max() <= 1e-5


def test_a_few_steps_learn_a_repeated_row():
    torch.manual_seed(0)
    model = Model(TINY)
    optimizer = Optimizer(model, torch.float32)
    ids = torch.randint(8, 600, (8, 65))
    losses = []
    for step in range(30):
        loss, _, _, load = train.learn(model, ids, torch.ones_like(ids, dtype=torch.bool), torch.float32)
        loss.backward()
        optimizer.step(min(1, (step + 1) / 10))
        train.balance(model, load)
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_rate_rises_holds_and_falls():
    assert train.rate(0.0, 0) < 0.02 and train.rate(0.5, 500) == 1
    assert abs(train.rate(1.0, 5000) - train.FLOOR) < 1e-6


def test_run_stops_by_the_clock_and_resumes(folder, tmp_path):
    script = Path(train.__file__)
    for _ in range(2):
        subprocess.run([sys.executable, script, "--data", folder / "data", "--out", tmp_path, "--until", "+0.02", "--plain"], check=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["finished"] for line in lines] == [True, True] and lines[1]["step"] >= lines[0]["step"]
    assert not (tmp_path / "checkpoint.part").exists()
