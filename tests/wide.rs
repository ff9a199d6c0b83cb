//! Fixtures with their values in f32.

use moebius_engine::format::from_f16;
use moebius_engine::source::Memory;
use moebius_tests::fixture;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// A fixture's folder with f32 in place of what is narrower; `None` where there are values of eight bits or four.
pub(crate) fn folder(name: &str) -> Option<Memory> {
    let mut memory = crate::folder::folder(name);
    for entry in std::fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "safetensors") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let mut wide: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, view) in tensors.iter() {
            let pairs = view.data().chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let values: Vec<f32> = match view.dtype() {
                Dtype::BF16 => pairs.map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
                Dtype::F16 => pairs.map(from_f16).collect(),
                Dtype::F32 => {
                    wide.push((name.into(), view.shape().into(), view.data().into()));
                    continue;
                }
                _ => return None,
            };
            wide.push((name.into(), view.shape().into(), bytemuck::cast_slice(&values).into()));
        }
        let views = wide
            .iter()
            .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
        let bytes = safetensors::serialize(views, None).unwrap();
        memory.insert(path.file_name().unwrap().to_str().unwrap(), bytes);
    }
    Some(memory)
}
