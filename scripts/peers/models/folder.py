"""The Hugging Face folder: the values of the codes in f32; and the check that a pack of it has the same codes again."""

import json

import numpy as np
from weights import BLOCK, Codes


def write(path, weights):
    """model.safetensors, tensor by tensor."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, w in weights.items():
        shape = list(w.codes.shape if isinstance(w, Codes) else w.shape)
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for w in weights.values():
            file.write((w.values() if isinstance(w, Codes) else w).astype("<f4").tobytes())


def check_pack(folder, weights, bits):
    """Fails unless every matrix of the pack has the codes and scales of `weights`; says how many were compared."""
    manifest = json.loads((folder / "moebius.json").read_text())
    shards = [np.memmap(folder / file["name"], np.uint8, "r") for file in manifest["shards"]]
    seen = set()

    def planes(shard, codes_at, scales_at, rows, cols):
        packed = shards[shard][codes_at : codes_at + rows * cols * bits // 8]
        scales = shards[shard][scales_at : scales_at + rows * cols // 16].copy().view("<f2").reshape(rows, -1)
        if bits == 8:
            return Codes((packed ^ 128).reshape(rows, cols), scales, bits)
        packed = packed.reshape(rows, -1, BLOCK // 2)
        return Codes(np.concatenate([packed & 15, packed >> 4], -1).reshape(rows, cols), scales, bits)

    def same(name, found, first=0):
        end = first + len(found.codes)
        want = Codes(weights[name].codes[first:end], weights[name].scales[first:end], bits)
        # By value: a block of zeros may have any scale.
        if not np.array_equal(found.values(), want.values()):
            raise SystemExit(f"{folder}: {name} did not come through packing unchanged")
        seen.add(name)

    for name, tensor in manifest["tensors"].items():
        if tensor["format"] != f"q{bits}":
            continue
        first = 0
        for piece in tensor["pieces"]:
            rows, cols = piece["rows"], tensor["shape"][1]
            same(name, planes(piece["shard"], piece["weights"], piece["scales"], rows, cols), first)
            first += rows
    for prefix, table in manifest["experts"].items():
        h, width = table["hidden"], table["width"]
        # A record: gate and up with their rows in turn, their scales, down, its scales; parts start at 16 bytes.
        parts = [2 * width * h * bits // 8, 2 * width * h // 16, h * width * bits // 8]
        starts = np.cumsum([0] + [-(-part // 16) * 16 for part in parts])
        for e, (shard, at) in enumerate(table["records"]):
            codes, scales, down, down_scales = (at + int(start) for start in starts)
            both = planes(shard, codes, scales, 2 * width, h)
            same(f"{prefix}.{e}.gate_proj.weight", Codes(both.codes[0::2], both.scales[0::2], bits))
            same(f"{prefix}.{e}.up_proj.weight", Codes(both.codes[1::2], both.scales[1::2], bits))
            same(f"{prefix}.{e}.down_proj.weight", planes(shard, down, down_scales, h, width))
    missing = [n for n, w in weights.items() if isinstance(w, Codes) and n not in seen]
    if missing:
        raise SystemExit(f"{folder}: not in {bits} bits: {', '.join(missing[:5])}")
    return len(seen)
