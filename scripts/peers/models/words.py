"""The tokenizer that all models share, and prompts of exact lengths for it."""

import json
import sysconfig
from pathlib import Path

from shapes import CHAT, CONTEXT, SPECIAL, VOCAB
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# How Qwen's files cut text before merging; GGUF calls it "qwen2".
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Prompts of each length, and the length of the one that is for growing contexts.
LENGTHS = {128: 12, 512: 6}
LONG = 8192


def texts():
    """Text that is wherever this script runs: Python's own library."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield path.read_text(encoding="utf-8", errors="ignore")


def make():
    """A byte-level BPE of the whole vocabulary, learned from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = VOCAB - len(SPECIAL)
    tokenizer.train_from_iterator(
        texts(), trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens(SPECIAL)
    if tokenizer.get_vocab_size() != VOCAB:
        raise SystemExit(f"the tokenizer has {tokenizer.get_vocab_size()} tokens, not {VOCAB}")
    return tokenizer


def torn(tokenizer):
    """Ids that are not whole characters by themselves: an answer must not end inside one."""
    return [i for i in range(VOCAB - len(SPECIAL)) if "\ufffd" in tokenizer.decode([i])]


def prompts(tokenizer):
    """By length, prompts as ids and as text that encodes to just these ids, no two with the same first token, so that
    no engine can reuse what it has kept of another; and one long run of ids."""
    found = {length: [] for length in LENGTHS}
    first, long = set(), []
    for text in texts():
        ids = tokenizer.encode(text).ids
        long += ids[: max(0, LONG - len(long))]
        for length, count in LENGTHS.items():
            at = next((s for s in range(len(ids) // 3, len(ids) - length) if ids[s] not in first), None)
            while at is not None and at + length < len(ids) and len(found[length]) < count:
                part = ids[at : at + length]
                plain = tokenizer.decode(part)
                if plain[:1].isalpha() and part[0] not in first and tokenizer.encode(plain).ids == part:
                    found[length].append({"ids": part, "text": plain})
                    first.add(part[0])
                    break
                at += 1
    if any(len(found[length]) < count for length, count in LENGTHS.items()) or len(long) < LONG:
        raise SystemExit("Python's library has too little text for the prompts")
    return {str(length): list_ for length, list_ in found.items()} | {"long": [{"ids": long, "text": ""}]}


def write(folder, tokenizer):
    """tokenizer.json and its configuration."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "add_bos_token": False,
        "chat_template": CHAT,
        "clean_up_tokenization_spaces": False,
        "eos_token": SPECIAL[2],
        "model_max_length": CONTEXT,
        "pad_token": SPECIAL[0],
        "tokenizer_class": "Qwen2Tokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))
