//! Eight-bit checkpoints with one thing wrong: another scheme in the configuration, scales that are missing or misshapen.

use moebius_tests::{bytes, json};
use serde_json::{Value, json as object};

use super::folder::folder;
use super::{Error, checkpoint, load, refuse};

const NAME: &str = "deepseek_v3_fp8";

#[test]
fn other_schemes_are_refused_by_field() {
    let cases = [
        ("weight_block_size", object!([64, 128])),
        ("weight_block_size", object!([128])),
        ("weight_block_size", object!([128, 128, 1])),
        ("weight_block_size", object!(128)),
        ("weight_block_size", object!("128")),
        ("weight_block_size", Value::Null),
        ("fmt", object!("e5m2")),
        ("quant_method", object!("fbgemm_fp8")),
        ("quant_method", object!(8)),
        ("quant_method", Value::Null),
    ];
    for (field, value) in cases {
        let mut config = json(&format!("{NAME}/config.json"));
        config["quantization_config"][field] = value.clone();
        let mut source = folder(NAME);
        source.insert("config.json", config.to_string());
        let error = refuse(&source, 1 << 30);
        let named = error.to_string().contains(&format!("quantization_config.{field}"));
        assert!(matches!(error.code(), "config" | "unsupported") && named, "{field} {value}: {error}");
    }
}

/// Each tensor of scales in turn: absent, one row or column more, in another order, in another type.
#[test]
fn broken_scales_are_refused_by_name_before_memory_is_taken() {
    let whole = checkpoint::tensors(&bytes(&format!("{NAME}/model.safetensors")));
    let mut tried = 0;
    for (name, (dtype, shape, data)) in whole.iter().filter(|(name, _)| name.ends_with("_scale_inv")) {
        let more = |rows: usize, cols: usize| Some(("F32".to_owned(), vec![rows, cols], vec![0; 4 * rows * cols]));
        let (rows, cols) = (shape[0], shape[1]);
        let flat = Some((dtype.clone(), vec![rows * cols], data.clone()));
        let halves = Some(("BF16".to_owned(), shape.clone(), data[..data.len() / 2].to_vec()));
        let words = Some(("U32".to_owned(), shape.clone(), data.clone()));
        for change in [None, more(rows + 1, cols), more(rows, cols + 1), more(0, cols), flat, halves, words] {
            let mut tensors = whole.clone();
            match change {
                Some(tensor) => tensors.insert(name.clone(), tensor),
                None => tensors.remove(name),
            };
            let mut source = folder(NAME);
            source.insert("model.safetensors", checkpoint::file(&tensors));
            let error = refuse(&source, 1 << 30);
            let text = error.to_string();
            assert!(matches!(error, Error::Tensor { .. }), "{error}");
            assert!(text.contains(name) && text.contains("model.safetensors"), "{name}: {text}");
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

/// Scales that are no numbers, or too large for their codes to be numbers.
#[test]
fn scales_that_are_not_numbers_are_refused_by_name() {
    let whole = checkpoint::tensors(&bytes(&format!("{NAME}/model.safetensors")));
    for name in whole.keys().filter(|name| name.ends_with("_scale_inv")) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e36] {
            let mut tensors = whole.clone();
            let data = &mut tensors.get_mut(name).unwrap().2;
            let last = data.len() - 4;
            data[last..].copy_from_slice(&bad.to_le_bytes());
            let mut source = folder(NAME);
            source.insert("model.safetensors", checkpoint::file(&tensors));
            match load(&source) {
                Err(e @ Error::Tensor { .. }) => assert!(e.to_string().contains(name.as_str()), "{e}"),
                other => panic!("{name}: {bad}: {:?}", other.err()),
            }
        }
    }
}
