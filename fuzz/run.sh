#!/usr/bin/env bash
# Fuzzes one parser for some seconds: `fuzz/run.sh gguf 60`. Any stable Rust does; what is found stays in target/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?gguf or safetensors}
seconds=${2:-60}
corpus=target/fuzz/corpus-$target
mkdir -p "$corpus"
if [ "$target" = gguf ]; then
  # A header with a vocabulary and next to no data: small inputs make a thousand tries a second.
  cp -n tests/fixtures/gguf/pieces.gguf "$corpus"
else
  for file in tests/fixtures/*/model*.safetensors; do
    length=$(od -An -tu8 -N8 "$file" | tr -d ' ')
    tail -c +9 "$file" | head -c "$length" >"$corpus/$(basename "$(dirname "$file")").json"
  done
fi
export RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1'
# Counters are for what runs, not for what builds it: that needs the target to be named.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$host" --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --bin "$target"
exec "target/fuzz/$host/release/$target" "$corpus" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=20000 \
  -artifact_prefix=target/fuzz/
