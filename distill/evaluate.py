# Measures an exported folder: held-out loss by group, accuracy with thinking off and on, expert load, fixed prompts.
import argparse
import collections
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import DeepseekV3ForCausalLM

import chat
import corpus
import data
import export
import tokenizer as tokens

ROW, ROWS = 256, 240  # row length, and rows a group at most
LOAD_ROWS = 20  # of each group, for the expert load: as many as the smallest has
BUDGET = {False: 48, True: 220}  # new tokens at most, with thinking off and on


@torch.no_grad()
def held_loss(model, folder):
    """Our model, held-out token arrays → {group: {all, answer, tokens}}."""
    result = {}
    for name in corpus.GROUPS:
        ids, every, answer = (torch.from_numpy(a) for a in data.held_rows(folder, name, ROW + 1, ROWS))
        sums = torch.zeros(4, dtype=torch.float64)
        for part in torch.arange(len(ids)).split(8):
            hidden, _ = model(ids[part, :-1])
            loss = F.cross_entropy((hidden @ model.embedding.t()).flatten(0, 1), ids[part, 1:].flatten(), reduction="none")
            for at, mask in ((0, every), (2, answer)):
                mask = mask[part, 1:].flatten()
                sums[at] += loss[mask].sum()
                sums[at + 1] += mask.sum()
        result[name] = {"all": round(float(sums[0] / sums[1]), 4), "answer": round(float(sums[2] / sums[3]), 4), "tokens": int(sums[1])}
    return result


@torch.no_grad()
def expert_load(model, folder):
    """Picks of each expert [layers, E] over held-out text, equal parts of each group; padding would count as text, so none."""
    total = 0
    for name in corpus.GROUPS:
        ids = torch.from_numpy(data.held_rows(folder, name, ROW, 4 * LOAD_ROWS)[0])
        ids = ids[ids != chat.PAD]
        rows = ids[: len(ids) // ROW * ROW].view(-1, ROW)[:LOAD_ROWS]
        total = total + model(rows)[1]
    return total


@torch.no_grad()
def answers(model, plain, prompts, think, limit):
    """Greedy answers, in batches padded on the left. prompts: token ids of each → [(steps, answer, new tokens)]."""
    out = []
    for at in range(0, len(prompts), 64):
        part = prompts[at:at + 64]
        width = max(map(len, part))
        ids = torch.tensor([[chat.PAD] * (width - len(p)) + p for p in part])
        # The prefill `<think>\n` must not be closed at once: thinking on means at least one step.
        ban = [[chat.UNTHINK]] if think else None
        first = model.generate(ids, attention_mask=(ids != chat.PAD).long(), do_sample=False, max_new_tokens=1, bad_words_ids=ban,
                               pad_token_id=chat.PAD, eos_token_id=chat.END)
        made = model.generate(first, attention_mask=(first != chat.PAD).long(), do_sample=False, max_new_tokens=limit - 1,
                              pad_token_id=chat.PAD, eos_token_id=chat.END)
        for row in made[:, width:].tolist():
            row = row[: row.index(chat.END)] if chat.END in row else row
            cut = row.index(chat.UNTHINK) if chat.UNTHINK in row else (len(row) if think else -1)
            steps, answer = (row[:cut], row[cut + 1:]) if think else ([], row)
            out.append((plain.decode(steps).strip(), plain.decode(answer).strip(), len(row)))
    return out


def problems(folder, per_kind):
    """Held-out problems by kind whose question does not occur in training in any form → [(kind, question, answer)]."""
    seen, held = set(), collections.defaultdict(dict)
    for record in corpus.read_group(folder, "reason"):
        question, answer = record["turns"][0]["content"], chat.split_steps(record["turns"][1]["content"])[1]
        if corpus.held_out(record):
            held[record.get("sub", record["source"])][question] = answer
        else:
            seen.add(question)
    for kind in sorted(held):
        fresh = [(kind, q, a) for q, a in held[kind].items() if q not in seen]
        yield from fresh[:per_kind]


def accuracy(model, plain, items):
    """→ {off, on}: right answers by kind, in all, and mean new tokens."""
    encode = lambda text: plain.encode(text).ids
    result = {}
    for think in (False, True):
        prompts = [chat.prompt(encode, [{"role": "user", "content": q}], think) for _, q, _ in items]
        got = answers(model, plain, prompts, think, BUDGET[think])
        kinds = collections.defaultdict(lambda: [0, 0])
        for (kind, _, want), (_, answer, _) in zip(items, got):
            kinds[kind][0] += answer == want
            kinds[kind][1] += 1
        result["on" if think else "off"] = {
            "right": sum(k[0] for k in kinds.values()), "of": len(items), "kinds": {k: tuple(v) for k, v in sorted(kinds.items())},
            "mean_tokens": round(sum(n for _, _, n in got) / len(got), 1)}
    return result


def answer_prompts(model, plain, path):
    """Answers the prompts in a prompts file, in place."""
    lines = path.read_text().splitlines()
    asked = [line for line in lines if line[:2] in ("> ", "? ")]
    encode = lambda text: plain.encode(text).ids
    told = {}
    for mark, think in (("> ", False), ("? ", True)):
        chosen = [line for line in asked if line.startswith(mark)]
        prompts = [chat.prompt(encode, [{"role": "user", "content": line[2:]}], think) for line in chosen]
        for line, (steps, answer, _) in zip(chosen, answers(model, plain, prompts, think, BUDGET[True])):
            told[line] = (f"[thinks] {steps}\n[says] " if think else "") + answer
    out = [line for line in lines if line.startswith("#")]
    for line in asked:
        # Indented, so that an answer cannot be taken for a prompt.
        out += ["", line, *("  " + part for part in told[line].splitlines())]
    path.write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(description="exported folder and its checkpoint → figures.json, prompts.txt")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--model", required=True, help="the exported folder")
    parser.add_argument("--prompts", required=True, help="a prompts file, answered in place")
    parser.add_argument("--figures", required=True, help="where the figures are written")
    parser.add_argument("--per-kind", type=int, default=12, help="problems of each kind")
    arguments = parser.parse_args()
    plain = tokens.load_plain(arguments.model)
    student = export.load(arguments.checkpoint)
    loss, load = held_loss(student, arguments.data), expert_load(student, arguments.data)
    figures = {"held_out_loss": loss, "mean_loss": round(sum(x["all"] for x in loss.values()) / len(loss), 4),
               "expert_load_max_over_mean": [round(x, 3) for x in (load.amax(1) / load.float().mean(1)).tolist()]}
    print(json.dumps(figures), flush=True)
    model = DeepseekV3ForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    figures["reasoning"] = accuracy(model, plain, list(problems(arguments.corpus, arguments.per_kind)))
    answer_prompts(model, plain, Path(arguments.prompts))
    Path(arguments.figures).write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures["reasoning"]))


if __name__ == "__main__":
    main()
