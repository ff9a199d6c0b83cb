//! Packs as files: standard safetensors, bounded shards and chunks, experts apart, tensors over several shards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod checkpoint;
mod folder;
mod packed;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use async_trait::async_trait;
use folder::folder;
use moebius_engine::Result;
use moebius_engine::device::{Cpu, Device};
use moebius_engine::format::Format;
use moebius_engine::model::{LoadOptions, Matrix, Model};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::{Manifest, Precision, SHARD, WRITTEN};
use moebius_tests::{bytes, json};
use packed::packed;
use safetensors::SafeTensors;
use serde_json::json as object;

const EMBED: &str = "model.embed_tokens.weight";
/// Rows of the large embedding: odd, and with 64 columns 51 MB in f32.
const ROWS: usize = 200_001;

fn load(source: &dyn Source, precision: Precision) -> Model {
    let options = LoadOptions { precision, ..LoadOptions::default() };
    pollster::block_on(Model::load(source, Rc::new(Cpu), &options, &mut |_| {})).unwrap()
}

fn contents(pack: &Memory, file: &str) -> Vec<u8> {
    pollster::block_on(pack.read_all(file, u64::MAX)).unwrap()
}

/// The checkpoint `deepseek_v3_lite` with an embedding of [`ROWS`] rows, each unlike the others.
fn large() -> Memory {
    let mut tensors = checkpoint::tensors(&bytes("deepseek_v3_lite/model.safetensors"));
    let embed = (0..ROWS * 64).flat_map(|i| ((i % 8191) as f32 / 4096.0 - 1.0).to_le_bytes()).collect();
    tensors.insert(EMBED.into(), ("F32".into(), vec![ROWS, 64], embed));
    let mut config = json("deepseek_v3_lite/config.json");
    config["vocab_size"] = object!(ROWS);
    let mut memory = Memory::default();
    memory.insert("config.json", config.to_string());
    memory.insert("model.safetensors", checkpoint::file(&tensors));
    memory
}

/// A source that checks the first of the files that are read of a pack, or all of them.
struct Checking {
    pack: Memory,
    all: bool,
    read: Cell<u64>,
}

#[async_trait(?Send)]
impl Source for Checking {
    async fn size(&self, file: &str) -> Result<u64> {
        self.pack.size(file).await
    }

    fn checked(&self, file: &str) -> bool {
        self.all || file == "config.json"
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.read.set(self.read.get() + range.end - range.start);
        self.pack.read(file, range).await
    }
}

/// Of a source that checks what it reads, no more is read than is wanted; one that no longer does is checked as any other.
#[test]
fn who_checks_is_asked_for_no_more_than_is_wanted() {
    let (pack, manifest) = packed(&large(), Precision::Q8);
    let [tensors, files] = [&manifest.shards, &manifest.files].map(|l| l.iter().map(|f| f.bytes).sum::<u64>());
    let whole = tensors + files + contents(&pack, "moebius.json").len() as u64;
    let theirs = load(&pack, Precision::Stored);
    let mut source = Checking { pack, all: true, read: Cell::default() };
    let ours = load(&source, Precision::Stored);
    let [ours, theirs] = [&ours, &theirs].map(|model| planes(model, &model.weights.embed));
    assert!(ours == theirs);
    assert!(source.read.get() <= whole, "{} of {whole} bytes", source.read.get());
    source.all = false;
    let shard = &manifest.shards[0].name;
    let mut bytes = contents(&source.pack, shard);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    source.pack.insert(shard.clone(), bytes);
    let loaded = pollster::block_on(Model::load(&source, Rc::new(Cpu), &LoadOptions::default(), &mut |_| {}));
    let error = loaded.err().unwrap().to_string();
    assert!(error.contains(shard) && error.contains("SHA-256"), "{error}");
}

/// Both planes of a matrix.
fn planes(model: &Model, matrix: &Matrix) -> [Vec<u8>; 2] {
    let slab = matrix.whole();
    [&slab.weights, &slab.scales].map(|b| pollster::block_on(model.device.read(b, 0, b.bytes())).unwrap())
}

/// Checks what the manifest's documentation promises of files. Bytes of each tensor of the shards.
fn promises(pack: &Memory, manifest: &Manifest) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (number, file) in manifest.shards.iter().enumerate() {
        let bytes = contents(pack, &file.name);
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
        assert!(file.bytes <= SHARD, "{} has {} bytes", file.name, file.bytes);
        assert!(file.chunks.iter().all(|c| c.bytes <= WRITTEN), "{}", file.name);
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            found.insert(name.into(), view.data().to_vec());
        }
        let mut start = 0;
        for chunk in &file.chunks {
            let inside = |(shard, at): &&(usize, u64)| *shard == number && (start..start + chunk.bytes).contains(at);
            let experts = manifest.experts.values().flat_map(|t| &t.records).filter(inside).count();
            assert!(experts <= 1, "{}: {experts} experts start in one chunk", file.name);
            start += chunk.bytes;
        }
    }
    found
}

#[test]
fn tensors_go_over_several_shards() {
    let source = large();
    for precision in [Precision::Stored, Precision::F16, Precision::Q8, Precision::Q4, Precision::Fp8, Precision::Mxfp4]
    {
        let (pack, manifest) = packed(&source, precision);
        let pieces = &manifest.tensors[EMBED].pieces;
        println!("{}: {} pieces, {} shards", precision.name(), pieces.len(), manifest.shards.len());
        assert!(pieces.len() > 1);
        let found = promises(&pack, &manifest);
        assert_eq!(
            found.keys().filter(|name| name.starts_with("model.embed_tokens.weight.rows.")).count(),
            pieces.len()
        );

        let (ours, theirs) = (load(&pack, Precision::Stored), load(&source, precision));
        for matrix in [|m: &Model| m.weights.embed.clone(), |m: &Model| m.weights.head.clone()] {
            assert!(planes(&ours, &matrix(&ours)) == planes(&theirs, &matrix(&theirs)), "{}", precision.name());
        }
        assert_eq!(ours.bytes, theirs.bytes);
    }
}

/// Names and values that any reader of safetensors sees.
#[test]
fn shards_hold_the_checkpoint() {
    for name in ["qwen3_moe", "deepseek_v3", "deepseek_v3_fp8"] {
        let file = bytes(&format!("{name}/model.safetensors"));
        let source = SafeTensors::deserialize(&file).unwrap();
        let (pack, manifest) = packed(&folder(name), Precision::Stored);
        let found = promises(&pack, &manifest);
        let mut matrices = 0;
        for (tensor, view) in source.iter().filter(|(n, v)| v.shape().len() == 2 && !n.contains(".mlp.gate.")) {
            if tensor.contains("experts.") || tensor.starts_with("model.layers.3.") || tensor.ends_with("_scale_inv") {
                continue;
            }
            assert!(found[tensor] == view.data(), "{name}: {tensor}");
            matrices += 1;
        }
        let experts = manifest.experts.values().map(|t| t.records.len()).sum::<usize>();
        assert_eq!(found.keys().filter(|n| n.ends_with(".record")).count(), experts);
        println!("{name}: {matrices} matrices, {experts} experts");
        assert!(matrices > 10 && experts > 3);
    }
}

/// The small files come along byte for byte, and packing twice gives the same bytes.
#[test]
fn packs_are_the_same_every_time() {
    let source = folder("deepseek_v3_lite");
    let ((first, manifest), (second, _)) = (packed(&source, Precision::Q4), packed(&source, Precision::Q4));
    let names: Vec<_> = manifest.files.iter().map(|f| f.name.as_str()).collect();
    assert!(names.contains(&"config.json") && names.contains(&"generation_config.json"), "{names:?}");
    for name in names {
        assert_eq!(contents(&first, name), contents(&source, name), "{name}");
    }
    for name in manifest.shards.iter().map(|f| f.name.as_str()).chain(["moebius.json"]) {
        assert!(contents(&first, name) == contents(&second, name), "{name}");
    }
}

/// What each precision makes of experts, of other matrices, and of the embedding.
#[test]
fn precisions_become_formats() {
    use Format::{Bf16, F16, F32, Fp8, Mxfp4, Q4, Q8};
    for (name, precision, formats) in [
        ("deepseek_v3", Precision::Stored, [Bf16, Bf16, Bf16]),
        ("deepseek_v3", Precision::F16, [F16, F16, F16]),
        ("deepseek_v3", Precision::Q8, [Q8, Q8, Q8]),
        ("deepseek_v3", Precision::Q4, [Q4, Q8, Q8]),
        ("deepseek_v3", Precision::Fp8, [Fp8, Fp8, Fp8]),
        ("deepseek_v3", Precision::Mxfp4, [Mxfp4, Q8, Q8]),
        ("deepseek_v3_fp8", Precision::Stored, [Fp8, Fp8, Bf16]),
        ("deepseek_v3_fp8", Precision::Mxfp4, [Mxfp4, Q8, Q8]),
    ] {
        let (_, manifest) = packed(&folder(name), precision);
        let experts = &manifest.experts["model.layers.1.mlp.experts"];
        let of = |tensor: &str| manifest.tensors[tensor].format;
        let found = [experts.up, of("model.layers.1.self_attn.o_proj.weight"), of(EMBED)];
        assert_eq!(found, formats, "{name} as {}", precision.name());
        assert_eq!(experts.down, experts.up);
        assert_eq!(of("model.layers.1.mlp.gate.weight"), F32);
    }
}

/// A pack is not packed again, nor quantised again at load.
#[test]
fn packs_keep_their_precision() {
    let (pack, _) = packed(&folder("qwen3_moe"), Precision::Q8);
    let options = LoadOptions { precision: Precision::Q4, ..LoadOptions::default() };
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    let error = pollster::block_on(Model::load(&pack, cpu, &options, &mut |_| {})).err().unwrap();
    assert!(error.code() == "request" && error.to_string().contains("format"), "{error}");
}
