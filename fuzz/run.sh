#!/usr/bin/env bash
# Fuzzes one parser for some seconds: `fuzz/run.sh gguf 60`. Any stable Rust does; what is found stays in target/fuzz, and
# `fuzz/run.sh gguf keep` puts the least that reaches as much into fuzz/corpus.
# Targets: config generation gguf index manifest safetensors template tokenizer.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?the name of a target}
seconds=${2:-60}
# Longest input that is kept, in bytes.
KEPT=4000
corpus=target/fuzz/corpus-$target
mkdir -p "$corpus"
# Files in order, small ones: a thousand tries a second.
seed() {
  local file
  for file in "$@"; do
    cp -n "$file" "$corpus/$(echo "${file#tests/fixtures/}" | tr / -)"
  done
}
case $target in
  config) seed tests/fixtures/*/config.json tests/fixtures/hostile/config/*/config.json ;;
  generation) seed tests/fixtures/*/generation_config.json ;;
  gguf) seed tests/fixtures/gguf/pieces.gguf ;;
  index) seed tests/fixtures/*/model.safetensors.index.json tests/fixtures/hostile/index/*/model.safetensors.index.json ;;
  template) seed tests/fixtures/templates/*.jinja ;;
  tokenizer) seed tests/fixtures/tokenizer/tokenizer.json tests/fixtures/tokenizer/*/tokenizer.json ;;
  safetensors)
    for file in tests/fixtures/*/model*.safetensors; do
      length=$(od -An -tu8 -N8 "$file" | tr -d ' ')
      head -c $((8 + length)) "$file" | tail -c +9 >"$corpus/$(basename "$(dirname "$file")").json"
    done
    ;;
  manifest) seed fuzz/corpus/manifest/*.json ;;
  *) echo "no target $target" >&2 && exit 1 ;;
esac
# What earlier runs found to be worth keeping.
if [ -f "fuzz/corpus/$target.tar.xz" ]; then
  tar -xJf "fuzz/corpus/$target.tar.xz" -C "$corpus"
fi
export RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1'
# Counters are for what runs, not for what builds it: that needs the target to be named.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$host" --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --bin "$target"
if [ "$seconds" = keep ]; then
  small=$(mktemp -d)
  "target/fuzz/$host/release/$target" -merge=1 -rss_limit_mb=1024 -timeout=10 -max_len="$KEPT" "$small" "$corpus"
  mkdir -p fuzz/corpus
  tar -cJf "fuzz/corpus/$target.tar.xz" --sort=name --owner=0 --group=0 --mtime=@0 -C "$small" .
  rm -r "$small"
  exit
fi
exec "target/fuzz/$host/release/$target" "$corpus" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=20000 \
  -print_final_stats=1 -artifact_prefix=target/fuzz/
