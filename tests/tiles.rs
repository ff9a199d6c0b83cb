//! DeepSeek's eight-bit checkpoints: every weight is its code times the scale of its tile, wherever tiles begin and end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod checkpoint;
mod folder;
mod packed;
#[expect(dead_code, reason = "greedy decoding and likelihoods are for golden values")]
mod run;

use std::collections::BTreeMap;
use std::rc::Rc;

use checkpoint::Tensor;
use folder::folder;
use moebius_engine::device::Cpu;
use moebius_engine::format::Format;
use moebius_engine::model::{LoadOptions, Matrix, Model, Progress};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::Precision;
use moebius_tests::{Random, bytes, ids, json};
use packed::packed;
use run::{Run, divergence};
use serde_json::{Value, json as object};

const NAME: &str = "deepseek_v3_fp8";
const EMBED: &str = "model.embed_tokens.weight";

fn load(source: &dyn Source) -> Model {
    pollster::block_on(Model::load(source, Rc::new(Cpu), &LoadOptions::default(), &mut |_| {})).unwrap()
}

/// Both planes of a matrix.
fn planes(model: &Model, matrix: &Matrix) -> [Vec<u8>; 2] {
    let slab = matrix.whole();
    [&slab.weights, &slab.scales].map(|b| pollster::block_on(model.device.read(b, 0, b.bytes())).unwrap())
}

/// The fixture with other tensors and another configuration.
fn source(tensors: &BTreeMap<String, Tensor>, config: &Value) -> Memory {
    let mut memory = folder(NAME);
    memory.insert("config.json", config.to_string());
    memory.insert("model.safetensors", checkpoint::file(tensors));
    memory
}

fn original() -> BTreeMap<String, Tensor> {
    checkpoint::tensors(&bytes(&format!("{NAME}/model.safetensors")))
}

/// A tensor of random codes that are numbers, of `size` rows and columns, with its scales.
fn insert(tensors: &mut BTreeMap<String, Tensor>, name: &str, size: [usize; 2], random: &mut Random) {
    let code = |_| (random.unit() * 255.0) as u8;
    let codes: Vec<u8> = (0..size[0] * size[1]).map(code).map(|c| if c & 127 == 127 { 3 } else { c }).collect();
    let grid = size.map(|n| n.div_ceil(128));
    let scales = random.floats(grid[0] * grid[1], 0.001).iter().flat_map(|s| s.to_le_bytes()).collect();
    tensors.insert(name.into(), ("F8_E4M3".into(), size.into(), codes));
    tensors.insert(format!("{name}_scale_inv"), ("F32".into(), grid.into(), scales));
}

/// A matrix larger than what is read at once, of which no read begins at a tile.
#[test]
fn every_row_has_the_scales_of_its_tiles() {
    let (rows, cols) = (60_001, 160);
    let mut tensors = original();
    insert(&mut tensors, EMBED, [rows, cols], &mut Random::new(5));
    let mut config = json(&format!("{NAME}/config.json"));
    config["vocab_size"] = object!(rows);
    let source = source(&tensors, &config);
    let model = load(&source);
    assert_eq!(model.weights.embed.format, Format::Fp8);
    let [weights, scales] = planes(&model, &model.weights.embed);
    assert!(weights == tensors[EMBED].2, "160 columns are whole blocks: codes stay as they are");
    let tiles = &tensors[&format!("{EMBED}_scale_inv")].2;
    for (row, of_row) in scales.chunks_exact(8).enumerate() {
        assert_eq!(of_row, &tiles[row / 128 * 8..][..8], "row {row}");
    }
    let (pack, manifest) = packed(&source, Precision::Stored);
    assert!(manifest.tensors[EMBED].pieces.len() > 1);
    let packed = load(&pack);
    assert!(planes(&packed, &packed.weights.embed) == [weights, scales], "a pack keeps both planes");
    assert_eq!((packed.bytes, manifest.tensors[EMBED].format), (model.bytes, Format::Fp8));
}

/// What is announced and counted is the file's bytes: the scales of a tile once, not for each of its rows.
#[test]
fn progress_counts_every_byte_once() {
    let mut last = (0, 0);
    let mut see = |p: Progress| last = (p.done, p.total);
    pollster::block_on(Model::load(&folder(NAME), Rc::new(Cpu), &LoadOptions::default(), &mut see)).unwrap();
    let data: usize = original().values().map(|(_, _, data)| data.len()).sum();
    assert_eq!(last, (data as u64, data as u64));
}

/// Scales may lie in another file than their tensor.
#[test]
fn scales_may_be_in_another_shard() {
    let (scales, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
        original().into_iter().partition(|(name, _)| name.ends_with("_scale_inv"));
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let mut map = serde_json::Map::new();
    map.extend(rest.keys().map(|name| (name.clone(), object!(first))));
    map.extend(scales.keys().map(|name| (name.clone(), object!(second))));
    let mut sharded = Memory::default();
    sharded.insert("config.json", bytes(&format!("{NAME}/config.json")));
    sharded.insert(first, checkpoint::file(&rest));
    sharded.insert(second, checkpoint::file(&scales));
    sharded.insert("model.safetensors.index.json", object!({ "weight_map": map }).to_string());
    let prompt = ids(&json(&format!("{NAME}/golden.json"))["prompt"]);
    let play = |source: &dyn Source| Run::new(load(source), 16).play(&prompt);
    assert_eq!(play(&sharded), play(&folder(NAME)));
}

/// The same weights in f32, by the definition of e4m3 and its tiles.
fn widened(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let mut out = BTreeMap::new();
    for (name, (dtype, shape, data)) in tensors.iter().filter(|(name, _)| !name.ends_with("_scale_inv")) {
        if dtype != "F8_E4M3" {
            out.insert(name.clone(), (dtype.clone(), shape.clone(), data.clone()));
            continue;
        }
        let tiles = &tensors[&format!("{name}_scale_inv")].2;
        let value = |(i, code): (usize, &u8)| {
            let tile = i / shape[1] / 128 * shape[1].div_ceil(128) + i % shape[1] / 128;
            let scale = f32::from_le_bytes(tiles[4 * tile..][..4].try_into().unwrap());
            let (exponent, part) = (i32::from(code >> 3 & 15), f32::from(code & 7) / 8.0);
            let size = if exponent == 0 { part / 64.0 } else { (1.0 + part) * 2f32.powi(exponent - 7) };
            (if code & 128 == 0 { size } else { -size } * scale).to_le_bytes()
        };
        let data = data.iter().enumerate().flat_map(value).collect();
        out.insert(name.clone(), ("F32".into(), shape.clone(), data));
    }
    out
}

/// Rows that are not whole blocks: experts of width 33, and 131, more than a tile.
#[test]
fn odd_columns_stay_in_eight_bits() {
    let text = ids(&json(&format!("{NAME}/golden.json"))["excerpt"]["ids"]);
    for width in [33, 131] {
        let (mut tensors, mut random) = (original(), Random::new(width as u64));
        let mut config = json(&format!("{NAME}/config.json"));
        config["moe_intermediate_size"] = object!(width);
        for part in ["experts.0", "experts.1", "experts.2", "experts.3", "shared_experts"] {
            for (role, size) in [("gate", [width, 160]), ("up", [width, 160]), ("down", [160, width])] {
                insert(&mut tensors, &format!("model.layers.1.mlp.{part}.{role}_proj.weight"), size, &mut random);
            }
        }
        let eight = load(&source(&tensors, &config));
        assert!(eight.fallbacks.is_empty());
        config.as_object_mut().unwrap().remove("quantization_config");
        let wide = load(&source(&widened(&tensors), &config));
        let (pack, manifest) = packed(&source(&tensors, &config), Precision::Stored);
        assert_eq!(manifest.experts["model.layers.1.mlp.experts"].down, Format::Fp8);
        let play = |model| Run::new(model, 16).play(&text);
        let (eight, packed) = (play(eight), play(load(&pack)));
        assert_eq!(eight, packed, "width {width}");
        let apart = divergence(&play(wide), &eight);
        println!("width {width}: {apart:.1e} nats");
        assert!(apart.abs() < 1e-9, "width {width}: {apart}");
    }
}
