# A corpus of a few records, its tokenizer and its token arrays, shared by the tests.
import json
import random
import sys
from pathlib import Path

import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent))

import corpus
import data
import tokenizer

WORDS = "the cat sat on a mat and saw 12 birds fly over 7 hills while rain fell".split()


def records(group, draw):
    for number in range(600):  # enough that every group has a record held out
        words = " ".join(draw.choices(WORDS, k=draw.randint(5, 120)))
        if group in ("stories", "books", "wiki"):
            yield {"kind": group, "title": f"{group} {number}", "text": words}
        elif group == "reason":
            steps = "" if number % 3 == 0 else "\n2 + 3 = 5.\nSo 5.\n"
            yield {"kind": "reason", "sub": "add", "turns": [
                {"role": "user", "content": f"{words} {number}?"},
                {"role": "assistant", "content": f"<think>{steps}</think>\n{draw.randint(0, 99)}"}]}
        else:
            turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": " ".join(draw.choices(WORDS, k=6))}
                     for i in range(2 * draw.randint(1, 12))]
            yield {"kind": group, "turns": turns}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with corpus/, tokenizer/ and data/, made by the pipeline itself."""
    root, draw = tmp_path_factory.mktemp("distill"), random.Random(0)
    (root / "corpus").mkdir()
    for group in corpus.GROUPS:
        lines = "".join(json.dumps(record) + "\n" for record in records(group, draw))
        (root / "corpus" / f"{group}-00.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    tokenizer.write(tokenizer.train(root / "corpus"), root / "tokenizer")
    data.prepare(root / "corpus", root / "tokenizer", root / "data")
    return root
