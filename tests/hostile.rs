//! Broken model folders: each is refused with a typed error that names what is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod checkpoint;
mod folder;
mod packed;
#[path = "hostile/tensors.rs"]
mod tensors;
#[path = "hostile/tiles.rs"]
mod tiles;

use std::rc::Rc;

use async_trait::async_trait;
use folder::folder;
use moebius_engine::Error;
use moebius_engine::device::{Buffer, Cpu, Device, Limits, Plan, Reading, Step};
use moebius_engine::format::Format;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::{Manifest, Precision};
use moebius_tests::{fixture, json};
use packed::packed;
use serde_json::Value;

fn load(source: &dyn Source) -> Result<Model, Error> {
    pollster::block_on(Model::load(source, Rc::new(Cpu), &LoadOptions::default(), &mut |_| {}))
}

/// A device that must not be used: whatever is refused is refused before memory is taken.
struct Untouched {
    /// Largest buffer that it says it binds.
    binding: u64,
}

#[async_trait(?Send)]
impl Device for Untouched {
    fn kind(&self) -> &'static str {
        "untouched"
    }

    fn name(&self) -> String {
        "a device that must not be used".into()
    }

    fn limits(&self) -> Limits {
        Limits { binding: self.binding, workgroups: 1, chunk: 64, ahead: 1, cache: Format::F32 }
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer, Error> {
        panic!("{bytes} bytes asked for {label}")
    }

    fn write(&self, _: &Buffer, _: u64, _: &[u8]) -> Result<(), Error> {
        panic!("written")
    }

    fn begin_read(&self, _: &Buffer, _: u64, _: u64) -> Result<Reading, Error> {
        panic!("read")
    }

    async fn compile_untested(&self, _: Vec<Step>) -> Result<Plan, Error> {
        panic!("compiled")
    }

    fn play(&self, _: &[(&Plan, u32)]) -> Result<(), Error> {
        panic!("played")
    }
}

/// Loads onto a device that binds at most `binding` bytes and panics when it is used.
fn refuse(source: &dyn Source, binding: u64) -> Error {
    let device = Rc::new(Untouched { binding });
    let outcome = pollster::block_on(Model::load(source, device, &LoadOptions::default(), &mut |_| {}));
    outcome.err().expect("the device is used before this can end well")
}

/// Names of the fixtures that are models.
fn models() -> Vec<String> {
    let all = std::fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    let models = all.filter(|path| path.join("golden.json").exists());
    let mut names: Vec<String> = models.map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect();
    names.sort();
    assert!(names.len() >= 18, "every family has one: {names:?}");
    names
}

#[test]
fn what_no_buffer_holds_is_refused_before_any_is_made() {
    // Not even a few rows of the embedding; then of the experts, whose rows are few, no share.
    for (binding, name, bytes) in
        [(100, "model.embed_tokens.weight", 320 * 96 * 2), (10_000, "layers.0.mlp.experts", 12_288)]
    {
        match refuse(&folder("qwen3_moe"), binding) {
            Error::Limit { what, limit, value } => {
                assert!(what.contains(name) && limit == binding && value == bytes, "{what}: {value}");
            }
            other => panic!("{other}"),
        }
    }
}

/// Every number of every configuration, replaced by what no configuration should hold: an error or a model, no panic.
#[test]
fn no_number_in_a_configuration_panics() {
    let odd =
        ["0", "1", "-1", "3", "2147483648", "9007199254740993", "18446744073709551615", "1e308", "0.5", "null", "[]"];
    let (mut refused, mut loaded) = (0, 0);
    for name in models() {
        let config = json(&format!("{name}/config.json"));
        for path in numbers(&config, "") {
            for value in odd {
                let mut changed = config.clone();
                *changed.pointer_mut(&path).unwrap() = serde_json::from_str(value).unwrap();
                let mut source = folder(&name);
                source.insert("config.json", changed.to_string());
                match load(&source) {
                    Ok(_) => loaded += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    println!("{refused} refused, {loaded} loaded");
    assert!(refused > 500 && loaded > 100);
}

/// JSON pointers to every number of a value.
fn numbers(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(map) => map.iter().flat_map(|(k, v)| numbers(v, &format!("{at}/{k}"))).collect(),
        Value::Number(_) => vec![at.into()],
        _ => Vec::new(),
    }
}

/// Every broken folder of the fixtures, but for tokenizers: the loader only hands those on.
#[test]
fn broken_folders_are_refused_by_name() {
    let index = json("hostile/index.json");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for row in index.as_array().unwrap() {
        let name = row["folder"].as_str().unwrap();
        if name.starts_with("tokenizer/") {
            continue;
        }
        count += 1;
        let source = folder(&format!("hostile/{name}"));
        if row["wrong"].is_null() {
            assert!(load(&source).is_ok(), "{name}: {:?}", load(&source).err());
            continue;
        }
        let error = refuse(&source, 1 << 30);
        let codes: Vec<&str> = list(&row["codes"]);
        let text = error.to_string();
        let named = row["names"].as_array().unwrap().iter().all(|any| list(any).iter().any(|n| text.contains(n)));
        if !codes.contains(&error.code()) || !named {
            wrong.push(format!("{name}: wants {codes:?} naming {}, gets {}: {text}", row["names"], error.code()));
        }
    }
    println!("{count} folders");
    assert!(count > 90 && wrong.is_empty(), "{count} folders:\n  {}", wrong.join("\n  "));
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

/// A value that is not a number, in each tensor of each stored type in turn.
#[test]
fn values_that_are_not_numbers_are_refused() {
    for name in ["qwen3_moe", "qwen3_moe_yarn", "deepseek_v3_fp8", "deepseek_v3_lite"] {
        let mut tried = 0;
        for file in std::fs::read_dir(fixture(name)).unwrap().map(|e| e.unwrap().path()) {
            if file.extension().is_none_or(|e| e != "safetensors") {
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
            for (tensor, info) in header.as_object().unwrap().iter().filter(|(n, _)| *n != "__metadata__") {
                let bad: &[u8] = match info["dtype"].as_str().unwrap() {
                    "BF16" => &[0xC0, 0x7F],
                    "F16" => &[0x00, 0xFC],
                    "F8_E4M3" => &[if tried % 2 == 0 { 0x7F } else { 0xFF }],
                    _ => &[0x00, 0x00, 0x80, 0x7F],
                };
                let range = [0, 1].map(|i| 8 + length + info["data_offsets"][i].as_u64().unwrap() as usize);
                let middle = range[0] + (range[1] - range[0]) / 2 / bad.len() * bad.len();
                let mut damaged = bytes.clone();
                damaged[middle..middle + bad.len()].copy_from_slice(bad);
                let mut source = folder(name);
                let file = file.file_name().unwrap().to_str().unwrap();
                source.insert(file, damaged);
                match load(&source) {
                    Err(e @ Error::Tensor { .. }) => {
                        assert!(e.to_string().contains(tensor.as_str()) && e.to_string().contains(file), "{e}");
                        tried += 1;
                    }
                    other => panic!("{name}: {tensor}: {:?}", other.err()),
                }
            }
        }
        println!("{name}: {tried} tensors");
        assert!(tried > 20, "{name}: {tried}");
    }
}

/// One bit flipped at each of many places of a pack's files.
#[test]
fn damaged_packs_are_refused_by_file() {
    let (_, manifest) = packed(&folder("deepseek_v3_lite"), Precision::Q4);
    let files: Vec<_> = manifest.files.iter().chain(&manifest.shards).collect();
    for file in files {
        for step in 0..12 {
            let (mut pack, _) = packed(&folder("deepseek_v3_lite"), Precision::Q4);
            let mut bytes = contents(&pack, &file.name);
            let at = (bytes.len() - 1) * step / 11;
            bytes[at] ^= 1 << (step % 8);
            pack.insert(file.name.clone(), bytes);
            match load(&pack) {
                Err(e @ Error::File { .. }) => assert!(e.to_string().contains(&file.name), "{e}"),
                // The header of a shard is for other readers: this one goes by the manifest.
                Ok(_) if file.name.ends_with(".safetensors") && at < 16_000 => {}
                other => panic!("{} at {at}: {:?}", file.name, other.err()),
            }
        }
    }
}

fn contents(pack: &Memory, file: &str) -> Vec<u8> {
    pollster::block_on(pack.read_all(file, u64::MAX)).unwrap()
}

/// A manifest with one thing wrong.
fn altered(change: impl Fn(&mut Manifest)) -> Error {
    let (mut pack, mut manifest) = packed(&folder("deepseek_v3_lite"), Precision::Q4);
    change(&mut manifest);
    pack.insert("moebius.json", serde_json::to_vec(&manifest).unwrap());
    load(&pack).err().expect("a broken manifest is refused")
}

/// Makes one thing wrong.
type Change = Box<dyn Fn(&mut Manifest)>;

#[test]
fn broken_manifests_are_refused_by_field() {
    const NORM: &str = "model.norm.weight";
    const EMBED: &str = "model.embed_tokens.weight";
    const EXPERTS: &str = "model.layers.1.mlp.experts";
    let cases: [(&str, &str, Change); 17] = [
        ("unsupported", "version 2", Box::new(|m| m.moebius = 2)),
        ("malformed", "chunks", Box::new(|m| m.shards[0].bytes += 1)),
        ("malformed", "chunks", Box::new(|m| m.shards[0].chunks[0].bytes = 9 << 20)),
        ("malformed", "chunks", Box::new(|m| m.shards[0].chunks[0].bytes = 0)),
        ("malformed", "sha256", Box::new(|m| m.shards[0].chunks[0].sha256.truncate(63))),
        ("malformed", "name", Box::new(|m| m.shards[0].name = "../secret".into())),
        ("tensor", NORM, Box::new(|m| drop(m.tensors.remove(NORM)))),
        ("tensor", NORM, Box::new(|m| at(m, NORM).pieces[0].shard = 99)),
        ("tensor", NORM, Box::new(|m| at(m, NORM).pieces[0].weights = u64::MAX)),
        ("tensor", NORM, Box::new(|m| at(m, NORM).pieces.clear())),
        ("tensor", EMBED, Box::new(|m| at(m, EMBED).shape = vec![u64::MAX, 64])),
        ("tensor", EMBED, Box::new(|m| at(m, EMBED).shape = vec![320, 32])),
        ("tensor", EMBED, Box::new(|m| at(m, EMBED).pieces[0].rows = 321)),
        ("tensor", EXPERTS, Box::new(|m| table(m, EXPERTS).records.truncate(4))),
        ("tensor", EXPERTS, Box::new(|m| table(m, EXPERTS).records[0].1 = u64::MAX - 8)),
        ("tensor", EXPERTS, Box::new(|m| table(m, EXPERTS).heat = vec![1, 2])),
        ("limit", "values", Box::new(|m| table(m, EXPERTS).hidden = 1 << 40)),
    ];
    for (number, (code, named, change)) in cases.iter().enumerate() {
        let error = altered(change);
        assert!(error.code() == *code && error.to_string().contains(named), "{number}: {} {error}", error.code());
    }
}

fn at<'a>(manifest: &'a mut Manifest, tensor: &str) -> &'a mut moebius_engine::weights::TensorAt {
    manifest.tensors.get_mut(tensor).unwrap()
}

fn table<'a>(manifest: &'a mut Manifest, experts: &str) -> &'a mut moebius_engine::weights::ExpertTable {
    manifest.experts.get_mut(experts).unwrap()
}

/// A pack's code or scale that is no number, with the hash made to match: hashes say that bytes are the packer's, not that
/// they are sound.
#[test]
fn values_in_packs_that_are_not_numbers_are_refused() {
    const EXPERTS: &str = "model.layers.1.mlp.experts";
    const EMBED: &str = "model.embed_tokens.weight";
    let (half, float) = (&[0x80, 0x7F][..], &[0x00, 0x00, 0x80, 0x7F][..]);
    let (record, planes) = (format!("{EXPERTS}.2"), EMBED.to_owned());
    // Where in the scales, else in the weights, of an expert or of the embedding.
    for (precision, named, scales, at, bad) in [
        (Precision::Q4, &record, true, 0, half),
        (Precision::Q4, &planes, true, 6, half),
        (Precision::Fp8, &record, true, 4, float),
        (Precision::Fp8, &record, false, 7, &[0x7F]),
        (Precision::Fp8, &planes, true, 8, float),
        (Precision::Fp8, &planes, false, 9, &[0xFF]),
        (Precision::Mxfp4, &record, true, 5, &[255]),
        (Precision::Mxfp4, &record, true, 6, &[253]),
        (Precision::Stored, &"model.norm.weight".to_owned(), false, 0, float),
    ] {
        let (pack, manifest) = packed(&folder("deepseek_v3_lite"), precision);
        let (shard, start) = if named == &record {
            let experts = &manifest.experts[EXPERTS];
            let (shard, offset) = experts.records[2];
            (shard, offset + if scales { 4 * experts.layout().unwrap().up_scales as u64 } else { 0 })
        } else {
            let piece = &manifest.tensors[named].pieces[0];
            (piece.shard, if scales { piece.scales } else { piece.weights })
        };
        match load(&resealed(&pack, &manifest, shard, (start + at) as usize, bad)) {
            Err(e @ Error::Tensor { .. }) => assert!(e.to_string().contains(named), "{e}"),
            other => panic!("{} {named}: {:?}", precision.name(), other.err()),
        }
    }
}

/// The pack with other bytes in a shard, and its hashes to match.
fn resealed(pack: &Memory, manifest: &Manifest, shard: usize, at: usize, with: &[u8]) -> Memory {
    use sha2::{Digest, Sha256};
    let (mut pack, mut manifest) = (copy(pack, manifest), manifest.clone());
    let file = &mut manifest.shards[shard];
    let mut bytes = contents(&pack, &file.name);
    bytes[at..at + with.len()].copy_from_slice(with);
    let mut start = 0;
    for chunk in &mut file.chunks {
        let end = start + chunk.bytes as usize;
        chunk.sha256 = Sha256::digest(&bytes[start..end]).iter().map(|b| format!("{b:02x}")).collect();
        start = end;
    }
    pack.insert(file.name.clone(), bytes);
    pack.insert("moebius.json", serde_json::to_vec(&manifest).unwrap());
    pack
}

fn copy(pack: &Memory, manifest: &Manifest) -> Memory {
    let mut out = Memory::default();
    for file in manifest.files.iter().chain(&manifest.shards) {
        out.insert(file.name.clone(), contents(pack, &file.name));
    }
    out
}
