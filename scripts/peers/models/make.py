"""Makes one model for all engines: make.py OUT NAME, after which `moebius pack` and `make.py OUT NAME --check`."""

import json
import sys
from pathlib import Path

import folder
import gguf_file
import onnx_file
import shapes
import weights
import words
from tokenizers import Tokenizer


def tokenizer(out):
    """The shared tokenizer, and prompts.json beside it; made once."""
    path = out / "tokenizer.json"
    if not (out / "prompts.json").exists():
        made = words.make()
        made.save(str(path))
        (out / "prompts.json").write_text(json.dumps(words.prompts(made)))
    return Tokenizer.from_file(str(path))


def texts(path, config, words_):
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config, indent=1))
    ends = {"bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"]}
    (path / "generation_config.json").write_text(json.dumps(ends))
    words.write(path, words_)


def main(out, name, check=False):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (config, bits), words_, at = shapes.MODELS[name], tokenizer(out), out / name
    made = weights.make(config, words.torn(words_), bits)
    if check:
        count = folder.check_pack(at / "pack", made, bits)
        (at / "sizes.json").write_text(json.dumps(weights.sizes(config, made, bits)))
        print(f"{name}: the pack's {count} matrices have the codes of Q{bits}_0")
        return
    texts(at / "hf", config, words_)
    folder.write(at / "hf/model.safetensors", made)
    if name not in shapes.GROWTH:
        gguf_file.write(at / "model.gguf", name, config, made, words_, bits)
        texts(at / "tjs", config, words_)
        (at / "tjs/onnx").mkdir(exist_ok=True)
        onnx_file.write(at / f"tjs/onnx/model_{onnx_file.NAMES[bits]}.onnx", config, made)


main(*sys.argv[1:3], check="--check" in sys.argv)
