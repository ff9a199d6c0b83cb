#!/bin/sh
# From corpus to exported folder: distill/run.sh CORPUS OUT UNTIL, where UNTIL is HH:MM (UTC) or +MINUTES of training.
# Run again with the same OUT after an interruption: finished parts are kept and training resumes.
set -eu
corpus=${1:?corpus folder} out=${2:?output folder} until=${3:?HH:MM or +MINUTES}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
. "$here/env.sh"
mkdir -p "$out"
[ -e "$out/tokenizer/tokenizer.json" ] || "$python" "$here/tokenizer.py" --corpus "$corpus" --out "$out/tokenizer"
[ -e "$out/data/held-reason.npz" ] || "$python" "$here/data.py" --corpus "$corpus" --tokenizer "$out/tokenizer" --out "$out/data"
"$python" "$here/train.py" --data "$out/data" --out "$out/train" --until "$until"
"$python" "$here/export.py" --checkpoint "$out/train/checkpoint.pt" --tokenizer "$out/tokenizer" --out "$out/hf"
[ -e "$out/prompts.txt" ] || cp "$here/prompts.txt" "$out/prompts.txt"
"$python" "$here/evaluate.py" --corpus "$corpus" --data "$out/data" --checkpoint "$out/train/checkpoint.pt" \
    --model "$out/hf" --prompts "$out/prompts.txt" --figures "$out/figures.json"
