"""Golden tokens: what transformers chooses in f32, 64 greedy tokens after the first prompt. golden.py OUT NAME."""

import json
import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1", TRANSFORMERS_VERBOSITY="error")
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

STEPS = 64


def main(out, name):
    out = Path(out)
    prompt = json.loads((out / "prompts.json").read_text())["128"][0]["ids"]
    words = Tokenizer.from_file(str(out / "tokenizer.json"))
    how = {"dtype": torch.float32, "attn_implementation": "eager", "experts_implementation": "eager"}
    model = AutoModelForCausalLM.from_pretrained(out / name / "hf", **how).eval()
    tokens, margins, past, ids = [], [], None, prompt
    with torch.no_grad():
        for _ in range(STEPS):
            step = model(torch.tensor([ids]), past_key_values=past, use_cache=True)
            logits, past = step.logits[0, -1], step.past_key_values
            best = logits.topk(2)
            margins.append(float((best[0][0] - best[0][1]) / logits.std()))
            tokens.append(int(best[1][0]))
            ids = tokens[-1:]
    # Pieces are for engines that answer in text; margin is how near the closest choice was, in standard deviations.
    pieces = [words.decode([token]) for token in tokens]
    golden = {"tokens": tokens, "pieces": pieces, "margin": min(margins)}
    (out / name / "golden.json").write_text(json.dumps(golden))
    print(f"{name}: {len(set(tokens))} different golden tokens, closest choice {min(margins):.4f} deviations")


main(*sys.argv[1:3])
