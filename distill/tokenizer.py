# Trains the byte-level BPE on a balanced sample of the corpus and writes the Hugging Face tokenizer files.
import argparse
import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import chat
import corpus

VOCABULARY = 4096
# Characters sampled per group: little encyclopedia and little arithmetic, or names and digits eat the vocabulary.
SAMPLE = {"stories": 3e6, "books": 5e6, "wiki": 6e6, "dialog": 5e6, "chat": 2e6, "instruct": 3e6, "qa": 4e6, "reason": 2e6}
# Words with one leading mark, digits one by one, runs of punctuation, line breaks, spaces.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def sample(folder):
    """Yields training text of every group up to its share."""
    for group, limit in SAMPLE.items():
        taken = 0
        for record in corpus.read_group(folder, group):
            if corpus.held_out(record):
                continue
            text = corpus.record_text(record).replace("<think>", "").replace("</think>", "")
            taken += len(text)
            yield text
            if taken > limit:
                break


def train(folder):
    """Corpus folder → Tokenizer of VOCABULARY entries; the specials have ids 0 to 7."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(chat.SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(sample(folder), trainer)
    return tokenizer


def write(tokenizer, out):
    """Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json, chat_template.jinja into `out`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tree = json.loads(tokenizer.to_str())
    for token in tree["added_tokens"]:
        # Think marks are part of the answer: decoding must keep them.
        token["special"] = "think>" not in token["content"]
    (out / "tokenizer.json").write_text(json.dumps(tree, ensure_ascii=False, indent=1) + "\n")
    names = {"bos_token": chat.SPECIALS[chat.BOS], "eos_token": chat.SPECIALS[chat.END], "pad_token": chat.SPECIALS[chat.PAD]}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024, "add_bos_token": False,
        "clean_up_tokenization_spaces": False, **names, "chat_template": chat.TEMPLATE,
        "added_tokens_decoder": {str(t["id"]): {k: t[k] for k in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")}
                                 for t in tree["added_tokens"]},
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    (out / "special_tokens_map.json").write_text(json.dumps(names, indent=1) + "\n")
    (out / "chat_template.jinja").write_text(chat.TEMPLATE)


def load_plain(folder):
    """The tokenizer without its added tokens: no text can become a special."""
    tree = json.loads((Path(folder) / "tokenizer.json").read_text())
    tree["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(tree))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="corpus folder → tokenizer files")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    write(train(arguments.corpus), arguments.out)
