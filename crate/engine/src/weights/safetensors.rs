//! safetensors headers: 8 bytes of length, JSON, then the tensors' bytes without gaps.
//!
//! Reads 8 + n bytes and never the data; offsets are `u64`, also where `usize` is 32 bits. Stricter than the reference
//! implementation in four points: a header that does not start with a brace and a tensor named twice, both of which the
//! format forbids, more than [`TENSORS`] tensors, and more than [`RANK`] dimensions are refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::weights::Dtype;
use crate::weights::names::shown;

/// Longest header in bytes, as in the reference implementation.
pub const HEADER: u64 = 100_000_000;
/// Most tensors of a file; the largest public models have fewer than 100,000 over all their files.
pub const TENSORS: usize = 200_000;
/// Most dimensions of a tensor.
pub const RANK: usize = 16;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Vec<u64>,
    /// Where its bytes start, counted from the start of the file.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
}

/// Reads and checks the header of `file`.
pub async fn read(source: &dyn Source, file: &str) -> Result<BTreeMap<String, TensorInfo>> {
    let size = source.size(file).await?;
    if size < 8 {
        return Err(malformed(file, "header length", format!("the file has {size} bytes")));
    }
    let start = source.read(file, 0..8).await?;
    let start =
        <[u8; 8]>::try_from(start.as_slice()).map_err(|_| malformed(file, "header length", "short read".into()))?;
    let length = u64::from_le_bytes(start);
    if length > HEADER {
        return Err(Error::Limit { what: format!("header of {file} in bytes"), value: length, limit: HEADER });
    }
    if length > size - 8 {
        return Err(malformed(file, "header length", format!("{length} bytes of {} left", size - 8)));
    }
    let json = source.read(file, 8..8 + length).await?;
    parse(file, &json, size)
}

/// Checks a header's JSON against the size of the whole file in bytes.
pub fn parse(file: &str, json: &[u8], size: u64) -> Result<BTreeMap<String, TensorInfo>> {
    if json.first() != Some(&b'{') {
        return Err(malformed(file, "header", "does not start with a brace".into()));
    }
    let header: Header = serde_json::from_slice(json).map_err(|e| malformed(file, "header", shown(&e.to_string())))?;
    let data = 8 + json.len() as u64;
    let mut tensors = BTreeMap::new();
    let mut order = Vec::with_capacity(header.0.len());
    for (name, raw) in header.0 {
        let (start, end) = raw.data_offsets;
        let wrong = |reason: String| Error::tensor(file, shown(&name), reason);
        let dtype = Dtype::from_name(&raw.dtype)
            .ok_or_else(|| wrong(format!("dtype \"{}\" is not one of safetensors", shown(&raw.dtype))))?;
        let bits = raw.shape.0.iter().try_fold(dtype.bits, |n, d| n.checked_mul(*d));
        let bits = bits.ok_or_else(|| wrong(format!("shape {:?} overflows", raw.shape.0)))?;
        if !bits.is_multiple_of(8) {
            return Err(wrong(format!("shape {:?} of {} is not whole bytes", raw.shape.0, dtype.name)));
        }
        let bytes = end.checked_sub(start).ok_or_else(|| wrong(format!("data_offsets {start} to {end}")))?;
        if bytes != bits / 8 {
            let shape = &raw.shape.0;
            return Err(wrong(format!("data_offsets span {bytes} bytes, shape {shape:?} has {}", bits / 8)));
        }
        let offset = data.checked_add(start).ok_or_else(|| wrong(format!("data_offsets start at {start}")))?;
        order.push((start, end, name.clone()));
        tensors.insert(name, TensorInfo { dtype, shape: raw.shape.0, offset, bytes });
    }
    order.sort_unstable();
    let mut at = 0;
    for (start, end, name) in order {
        if start < at {
            let reason = format!("data_offsets start at {start}, inside another tensor, which ends at {at}");
            return Err(Error::tensor(file, shown(&name), reason));
        }
        if start > at {
            let reason = format!("bytes {at} to {start}, before {}, belong to no tensor", shown(&name));
            return Err(malformed(file, "data_offsets", reason));
        }
        if end > size.saturating_sub(data) {
            let (name, has) = (shown(&name), size.saturating_sub(data));
            return Err(malformed(file, "data_offsets", format!("{name} ends at {end}, the data has {has} bytes")));
        }
        at = end;
    }
    if data.checked_add(at) != Some(size) {
        let reason = format!("tensors end at {at}, the data has {} bytes", size.saturating_sub(data));
        return Err(malformed(file, "data_offsets", reason));
    }
    Ok(tensors)
}

fn malformed(file: &str, field: &str, reason: String) -> Error {
    Error::Malformed { file: file.into(), field: field.into(), reason }
}

/// The JSON of a header.
struct Header(BTreeMap<String, Raw>);

/// A tensor's JSON.
#[derive(Deserialize)]
struct Raw {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// At most [`RANK`] dimensions.
struct Shape(Vec<u64>);

/// A map of strings, checked and dropped.
struct Metadata;

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let (mut tensors, mut metadata) = (BTreeMap::new(), false);
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        if std::mem::replace(&mut metadata, true) {
                            return Err(A::Error::custom("__metadata__ appears twice"));
                        }
                        let named = |e: A::Error| A::Error::custom(format!("__metadata__: {e}"));
                        map.next_value::<Option<Metadata>>().map_err(named)?;
                        continue;
                    }
                    if tensors.len() == TENSORS {
                        return Err(A::Error::custom(format!("more than {TENSORS} tensors")));
                    }
                    if tensors.contains_key(&name) {
                        return Err(A::Error::custom(format!("tensor {} appears twice", shown(&name))));
                    }
                    let named = |e: A::Error| A::Error::custom(format!("tensor {}: {e}", shown(&name)));
                    let raw = map.next_value().map_err(named)?;
                    tensors.insert(name, raw);
                }
                Ok(Header(tensors))
            }
        }
        d.deserialize_map(Map)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == RANK {
                        return Err(A::Error::custom(format!("more than {RANK} dimensions")));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        d.deserialize_seq(Dims)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Metadata;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Metadata, A::Error> {
                while map.next_entry::<String, String>()?.is_some() {}
                Ok(Metadata)
            }
        }
        d.deserialize_map(Strings)
    }
}
