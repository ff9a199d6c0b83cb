//! Safetensors files taken apart, to be changed and put together again.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::{Value, json};

/// A tensor: element type, shape, bytes.
pub(crate) type Tensor = (String, Vec<usize>, Vec<u8>);

/// The tensors of a file by name.
pub(crate) fn tensors(file: &[u8]) -> BTreeMap<String, Tensor> {
    let read = SafeTensors::deserialize(file).unwrap();
    let tensor = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        (name.to_owned(), (view.dtype().to_string(), view.shape().to_vec(), view.data().to_vec()))
    };
    read.iter().map(tensor).collect()
}

/// The file of these tensors.
pub(crate) fn file(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (dtype, shape, part)) in tensors {
        let (start, end) = (data.len(), data.len() + part.len());
        header.insert(name.into(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
        data.extend_from_slice(part);
    }
    let header = Value::Object(header).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.append(&mut data);
    out
}
