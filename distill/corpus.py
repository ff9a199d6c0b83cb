# Reads the corpus: jsonl.zst files, one record a line, grouped by the file name; holds out about 1 % by hash of the text.
import hashlib
import io
import json
from pathlib import Path

import zstandard

GROUPS = ("stories", "books", "wiki", "dialog", "chat", "instruct", "qa", "reason")
HELD_OUT_PER_MILLE = 10


def record_text(record):
    """All text of a record, turns joined by line breaks."""
    if "text" in record:
        return record["text"]
    return "\n".join(turn["content"] for turn in record["turns"])


def held_out(record):
    """Whether a record is kept from training. Encyclopedia records go by title, so no held-out article is half seen."""
    key = record["title"] if record.get("kind") == "wiki" else record_text(record)
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "little") % 1000 < HELD_OUT_PER_MILLE


def read_group(folder, group):
    """Yields every record of a group, in file order."""
    files = sorted(Path(folder).glob(f"{group}-*.jsonl.zst"))
    if not files:
        raise FileNotFoundError(f"{folder} has no {group}-*.jsonl.zst")
    for path in files:
        with open(path, "rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                yield json.loads(line)
