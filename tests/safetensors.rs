//! Our header reader against the reference implementation: what one accepts the other does, with the same offsets, but
//! for what is documented.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use moebius_engine::source::Memory;
use moebius_engine::weights::safetensors::{TensorInfo, read};
use moebius_tests::bytes;
use safetensors::SafeTensors;

type Tensors = BTreeMap<String, TensorInfo>;

fn ours(file: &[u8]) -> Result<Tensors, moebius_engine::Error> {
    let mut memory = Memory::default();
    memory.insert("t.safetensors", file);
    pollster::block_on(read(&memory, "t.safetensors"))
}

/// What we refuse and the reference takes.
const STRICTER: [&str; 3] = ["appears twice", "more than", "does not start with a brace"];

/// Panics unless both readers say the same of `file`. Whether they accept it.
fn agree(file: &[u8]) -> bool {
    let (ours, theirs) = (ours(file), SafeTensors::deserialize(file));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{}", shown(file));
            for (name, view) in theirs.iter() {
                let info = &ours[name];
                let shape: Vec<u64> = view.shape().iter().map(|d| *d as u64).collect();
                assert_eq!((info.shape.clone(), info.bytes), (shape, view.data().len() as u64), "{name}");
                assert_eq!(info.dtype.name, view.dtype().to_string(), "{name}");
                if info.bytes > 0 {
                    let offset = view.data().as_ptr() as u64 - file.as_ptr() as u64;
                    assert_eq!(info.offset, offset, "{name}");
                }
            }
            true
        }
        (Err(_), Err(_)) => false,
        // Refused by us alone: what the module says, and nothing else.
        (Err(e), Ok(_)) if STRICTER.iter().any(|why| e.to_string().contains(why)) => false,
        (ours, theirs) => panic!("we say {ours:?}, they say {:?}:\n{}", theirs.as_ref().err(), shown(file)),
    }
}

fn shown(file: &[u8]) -> String {
    String::from_utf8_lossy(&file[..file.len().min(600)]).into_owned()
}

/// A file with this header and `data` zero bytes.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.resize(out.len() + data, 0);
    out
}

/// A small random generator (Steele et al. 2014): the same cases every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[test]
fn both_read_checkpoints_alike() {
    for name in ["qwen3_moe", "deepseek_v3", "deepseek_v3_fp8", "deepseek_v3_lite"] {
        assert!(agree(&bytes(&format!("{name}/model.safetensors"))), "{name}");
    }
}

#[test]
fn both_judge_odd_headers_alike() {
    let accepted = [
        (r#"{}"#, 0),
        (r#"{}    "#, 0),
        (r#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, 4),
        (
            r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            0,
        ),
        (r#"{"__metadata__":{"x":"y"},"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}"#, 4),
        (r#"{"__metadata__":null}"#, 0),
        (r#"{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}"#, 2),
        (
            r#"{"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#,
            5,
        ),
        (r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":[{}]}}"#, 1),
        ("{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1),
    ];
    for (header, data) in accepted {
        assert!(agree(&file(header, data)), "{header}");
    }
    let refused = [
        (r#""#, 0),
        (r#" {}"#, 0),
        (r#"[]"#, 0),
        (r#"{"#, 0),
        (r#"{}x"#, 0),
        (r#"{}"#, 1),
        (r#"{"__metadata__":{"x":1}}"#, 0),
        (r#"{"__metadata__":{},"__metadata__":{}}"#, 0),
        (r#"{"a":null}"#, 0),
        (r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2),
        (r#"{"a":{"dtype":"F5","shape":[1],"data_offsets":[0,1]}}"#, 1),
        (r#"{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
        (r#"{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#, 1),
        (r#"{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}}"#, 1),
        (r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
        (r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551615]}}"#, 1),
        (r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}"#, 1),
        (
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
            3,
        ),
        (r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2),
    ];
    for (header, data) in refused {
        assert!(!agree(&file(header, data)), "{header}");
    }
}

/// What we refuse beyond the reference.
#[test]
fn stricter_where_documented() {
    let entry = r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let twice = file(&format!(r#"{{"a":{entry},"a":{entry}}}"#), 1);
    assert!(SafeTensors::deserialize(&twice).is_ok());
    assert!(ours(&twice).unwrap_err().to_string().contains("tensor a appears twice"));

    let space = file(" {}", 0);
    assert!(SafeTensors::deserialize(&space).is_ok());
    assert!(ours(&space).unwrap_err().to_string().contains("does not start with a brace"));

    let deep = file(&format!(r#"{{"a":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(16)), 1);
    assert!(SafeTensors::deserialize(&deep).is_ok());
    assert!(ours(&deep).unwrap_err().to_string().contains("more than 16 dimensions"));
}

/// Every truncation, and thousands of headers with bytes changed, lost, doubled or moved.
#[test]
fn both_judge_broken_files_alike() {
    let small = file(
        r#"{"__metadata__":{"format":"pt"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"n":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},"s":{"dtype":"F32","shape":[],"data_offsets":[20,24]}}"#,
        24,
    );
    assert!(agree(&small));
    for length in 0..small.len() {
        assert!(!agree(&small[..length]), "cut to {length} bytes");
    }
    let json = small.len() - 24;
    let symbols = b"0123456789-.eE{}[]\",:\\ abFU\0\x7f\xff";
    let (mut random, mut accepted) = (Random(1), 0);
    for _ in 0..60_000 {
        let mut header = small[8..json].to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(header.len());
            match random.below(4) {
                0 => header[at] = symbols[random.below(symbols.len())],
                1 => drop(header.remove(at)),
                2 => header.insert(at, symbols[random.below(symbols.len())]),
                _ => {
                    let other = random.below(header.len());
                    header.swap(at, other);
                }
            }
        }
        let mut broken = (header.len() as u64).to_le_bytes().to_vec();
        if random.below(20) == 0 {
            broken[random.below(8)] = random.next() as u8;
        }
        broken.extend_from_slice(&header);
        broken.resize(broken.len() + 24, 0);
        accepted += usize::from(agree(&broken));
    }
    println!("{accepted} of 60,000 broken headers are still in order");
    assert!(accepted > 100, "changes inside names leave a header in order");
}
