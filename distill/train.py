# Trains the student until a moment of the clock: loss by group, speed and expert load are logged; a run can be resumed.
import argparse
import datetime
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import numpy
import torch

import corpus
import data
import model as head
import moe
from model import HeadLoss, Model, Shape
from optim import Optimizer

TOKENS = 8192  # a step
SWITCH = 0.55  # share of the time in phase A; then phase B, while the rate falls
LONG = 0.85  # from here rows of 512 instead of 256 tokens, so that longer chats fit
FREEZE = 0.98  # from here the balancing bias stands still
WARM_UP, FLOOR = 60, 0.03
BIAS_STEP = 2e-3
SAVE_EVERY = 8 * 60


def rate(progress, step):
    """Learning-rate factor: warm up, constant through phase A, then linear to the floor."""
    fall = max(0.0, (progress - SWITCH) / (1 - SWITCH))
    return min(1.0, (step + 1) / WARM_UP) * (1 - (1 - FLOOR) * min(1.0, fall))


def learn(model, ids, mask, dtype):
    """One forward pass → mean loss, loss of each learnt token, its row, load [layers, E]. ids [B, S], mask of targets."""
    hidden, load = model(ids[:, :-1], dtype)
    index = mask[:, 1:].reshape(-1).nonzero().squeeze(1)
    # Whole chunks only, for the sake of few shapes; a few learnt tokens are left out of a step.
    index = index[: max(len(index) // HeadLoss.CHUNK, 1) * HeadLoss.CHUNK]
    weight = getattr(model, "_orig_mod", model).embedding
    loss, each = HeadLoss.apply(hidden.flatten(0, 1), index, weight, ids[:, 1:].reshape(-1)[index])
    return loss, each, index // (ids.shape[1] - 1), load


@torch.no_grad()
def balance(model, load):
    """Raises the bias of idle experts, lowers it of busy ones; signs only."""
    load = load.float()
    for layer, counts in zip(model.moes(), load):
        layer.bias += BIAS_STEP * (counts.mean() - counts).sign()


@torch.no_grad()
def held_loss(model, folder, dtype, row=256, limit=12):
    """Held-out loss by group on a few rows, every token counted."""
    result = {}
    for name in corpus.GROUPS:
        ids, mask, _ = data.held_rows(folder, name, row + 1, limit)
        _, each, _, _ = learn(model, torch.from_numpy(ids), torch.from_numpy(mask), dtype)
        result[name] = round(each.mean().item(), 4)
    return result


def save(path, tree):
    """Writes beside the file and renames: a checkpoint is whole or absent."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        torch.save(tree, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def moment(text):
    """'HH:MM' (UTC, the next such moment) or '+MINUTES' → seconds since the epoch."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if text.startswith("+"):
        return now.timestamp() + 60 * float(text[1:])
    hour, minute = map(int, text.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


def main():
    parser = argparse.ArgumentParser(description="token arrays → checkpoint.pt")
    parser.add_argument("--data", required=True, help="folder written by data.py")
    parser.add_argument("--out", required=True, help="folder of checkpoint.pt and log.jsonl; an unfinished run there is resumed")
    parser.add_argument("--until", required=True, help="HH:MM in UTC, or +MINUTES from now")
    parser.add_argument("--f32", action="store_true", help="for processors without bf16 arithmetic")
    parser.add_argument("--plain", action="store_true", help="without torch.compile")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    dtype = torch.float32 if arguments.f32 else torch.bfloat16
    torch.manual_seed(arguments.seed)
    model = Model(Shape())
    optimizer = Optimizer(model, dtype)
    start, until, step, seen = time.time(), moment(arguments.until), 0, 0
    row, rows_state = 256, None
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        tree = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(tree["model"])
        optimizer.restore(tree["optimizer"])
        start, step, seen, row, rows_state = tree["start"], tree["step"], tree["seen"], tree["row"], tree["rows"]
        print(f"resumed at step {step}", flush=True)
    rows = data.Rows(arguments.data, row + 1, arguments.seed + row)
    if rows_state:
        rows.restore(rows_state)
    fast = model
    if not arguments.plain:
        moe.compile_pieces()
        head.compile_pieces()
        fast = torch.compile(model, dynamic=False)

    stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.append(True))
    log = open(out / "log.jsonl", "a", buffering=1)

    def keep():
        save(checkpoint, {"model": model.state_dict(), "optimizer": optimizer.state(), "shape": asdict(model.s), "start": start,
                          "step": step, "seen": seen, "row": row, "rows": rows.state()})

    sums, counts, loads, saved, mark = numpy.zeros(len(corpus.GROUPS)), numpy.zeros(len(corpus.GROUPS)), 0, time.time(), (time.time(), seen)
    while not stop and (progress := (time.time() - start) / (until - start)) < 1:
        if progress >= LONG and row == 256:
            row = 512
            rows = data.Rows(arguments.data, row + 1, arguments.seed + row)
        phase = "A" if progress < SWITCH else "B"
        ids, mask, group = rows.batch(TOKENS // row, phase)
        loss, each, owner, load = learn(fast, torch.from_numpy(ids), torch.from_numpy(mask), dtype)
        loss.backward()
        norm = optimizer.step(rate(progress, step))
        if progress < FREEZE:
            balance(model, load)
        step, seen = step + 1, seen + TOKENS
        numpy.add.at(sums, group[owner.numpy()], each.numpy())
        numpy.add.at(counts, group[owner.numpy()], 1)
        loads = loads + load
        if step % 20 == 0:
            now = time.time()
            mean = {name: round(sums[i] / counts[i], 3) for i, name in enumerate(corpus.GROUPS) if counts[i]}
            spread = (loads.amax(1) / loads.float().mean(1)).tolist()
            log.write(json.dumps({"step": step, "tokens": seen, "progress": round(progress, 4), "phase": phase, "row": row,
                                  "loss": round(sums.sum() / counts.sum(), 4), "by_group": mean, "norm": round(norm, 3),
                                  "tokens_per_second": round((seen - mark[1]) / (now - mark[0])),
                                  "load": [round(x, 2) for x in spread]}) + "\n")
            sums[:], counts[:], loads, mark = 0, 0, 0, (now, seen)
        if time.time() - saved > SAVE_EVERY:
            keep()
            log.write(json.dumps({"step": step, "tokens": seen, "held": held_loss(model, arguments.data, dtype)}) + "\n")
            saved = time.time()
            mark = (saved, seen)
    keep()
    log.write(json.dumps({"step": step, "tokens": seen, "held": held_loss(model, arguments.data, dtype), "finished": not stop}) + "\n")


if __name__ == "__main__":
    main()
