//! The header's bytes: counted, bounded, and refused at the first thing that is not as the format has it.

use std::collections::BTreeMap;

use super::{Kind, Value};
use crate::error::{Error, Result};
use crate::weights::safetensors::TENSORS;
use crate::weights::shown;

/// Longest header in bytes: vocabularies of 262,144 tokens with all their merges have about 15 MB.
pub const HEADER: u64 = 64 << 20;
/// Most keys; public files have about forty.
const KEYS: u64 = 1 << 14;
/// Longest key or tensor name in bytes.
const NAME: u64 = 256;
/// Longest text in bytes: of a chat template.
const TEXT: u64 = 1 << 20;
/// Most dimensions.
const RANK: u32 = 4;
/// Tensors start at multiples of this unless the file says otherwise, and of no more than that.
const ALIGNMENT: u64 = 32;
const MOST_ALIGNMENT: u64 = 1 << 16;
/// The key that says.
const ALIGN_KEY: &str = "general.alignment";

/// What stands before the tensors' bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the format.
    pub version: u32,
    /// Metadata by key.
    pub metadata: BTreeMap<String, Value>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Type of its blocks.
    pub kind: &'static Kind,
    /// Shape, columns last.
    pub shape: Vec<u64>,
    /// Where its bytes start, counted from the start of the file.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
}

/// Why parsing ended.
enum Stop {
    /// The bytes at hand are too few.
    Short,
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Wrong(error)
    }
}

type Parsed<T> = std::result::Result<T, Stop>;

/// The header of a file of `size` bytes, given its first ones; `None` if it does not end within them.
pub fn parse(file: &str, bytes: &[u8], size: u64) -> Result<Option<Header>> {
    match header(&mut Cursor { file, bytes, at: 0, size, field: "header".into() }) {
        Ok(header) => Ok(Some(header)),
        Err(Stop::Short) => Ok(None),
        Err(Stop::Wrong(error)) => Err(error),
    }
}

fn header(c: &mut Cursor<'_>) -> Parsed<Header> {
    c.field = "magic".into();
    if c.take(4)? != b"GGUF" {
        return Err(c.wrong("is not GGUF".into()));
    }
    c.field = "version".into();
    let version = c.u32()?;
    if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
        return Err(unsupported("a big-endian GGUF file", "numbers are read with the low byte first").into());
    }
    if !(2..=3).contains(&version) {
        return Err(unsupported(&format!("version {version} of GGUF"), "versions 2 and 3 are read").into());
    }
    c.field = "tensor count".into();
    let tensors = c.u64()?;
    // A tensor takes 32 bytes at least, a key 14.
    c.holds(tensors, 32, TENSORS as u64)?;
    c.field = "key count".into();
    let keys = c.u64()?;
    c.holds(keys, 14, KEYS)?;
    let mut metadata = BTreeMap::new();
    for i in 0..keys {
        c.field = format!("key {i}");
        let key = c.text(NAME)?;
        if key.is_empty() {
            return Err(c.wrong("is empty".into()));
        }
        c.field = shown(&key);
        let kind = c.u32()?;
        let value = value(c, kind)?;
        if metadata.insert(key, value).is_some() {
            return Err(c.wrong("is there twice".into()));
        }
    }
    c.field = ALIGN_KEY.into();
    let alignment = match metadata.get(ALIGN_KEY) {
        None => ALIGNMENT,
        Some(Value::Whole(n)) => u64::try_from(*n).unwrap_or(0),
        Some(_) => 0,
    };
    if !alignment.is_power_of_two() || alignment > MOST_ALIGNMENT {
        let value = metadata.get(ALIGN_KEY).map_or_else(String::new, Value::kind);
        return Err(c.wrong(format!("{value} is not a power of two up to {MOST_ALIGNMENT}")));
    }
    let mut list = Vec::new();
    for i in 0..tensors {
        list.push(tensor(c, i)?);
    }
    Ok(Header { version, metadata, tensors: placed(c, list, alignment)? })
}

/// A value of this type; a list may hold no lists.
fn value(c: &mut Cursor<'_>, kind: u32) -> Parsed<Value> {
    const TEXTS: u32 = 8;
    const LIST: u32 = 9;
    if kind == TEXTS {
        return Ok(Value::Text(c.text(TEXT)?));
    }
    if kind != LIST {
        return number(c, kind);
    }
    let (kind, count) = (c.u32()?, c.u64()?);
    if kind == TEXTS {
        c.holds(count, 8, HEADER)?;
        let field = c.field.clone();
        let mut list = Vec::new();
        for i in 0..count {
            c.field = format!("{field}[{i}]");
            list.push(c.text(TEXT)?);
        }
        c.field = field;
        return Ok(Value::Texts(list));
    }
    let Some(each) = width(kind) else {
        let what = if kind == LIST { "lists".into() } else { format!("values of the unknown type {kind}") };
        return Err(c.wrong(format!("is a list of {what}")));
    };
    c.holds(count, each, HEADER)?;
    let (mut wholes, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match number(c, kind)? {
            Value::Number(n) => numbers.push(n as f32),
            Value::Flag(flag) => wholes.push(i64::from(flag)),
            Value::Whole(n) => {
                let n = i64::try_from(n).map_err(|_| c.wrong(format!("{n} is over 64 bits with a sign")))?;
                wholes.push(n);
            }
            _ => {}
        }
    }
    Ok(if matches!(kind, 6 | 12) { Value::Numbers(numbers) } else { Value::Wholes(wholes) })
}

/// Bytes of a number of this type.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A number or a flag of this type.
fn number(c: &mut Cursor<'_>, kind: u32) -> Parsed<Value> {
    let Some(bytes) = width(kind) else { return Err(c.wrong(format!("has the unknown type {kind}"))) };
    let mut wide = [0; 8];
    wide[..bytes as usize].copy_from_slice(c.take(bytes)?);
    let bits = u64::from_le_bytes(wide);
    Ok(match kind {
        0 | 2 | 4 | 10 => Value::Whole(bits.into()),
        1 => Value::Whole((bits as i8).into()),
        3 => Value::Whole((bits as i16).into()),
        5 => Value::Whole((bits as i32).into()),
        11 => Value::Whole((bits as i64).into()),
        6 => Value::Number(f32::from_bits(bits as u32).into()),
        7 if bits > 1 => return Err(c.wrong(format!("is the flag {bits}"))),
        7 => Value::Flag(bits == 1),
        _ => Value::Number(f64::from_bits(bits)),
    })
}

/// A tensor's entry: its name, and the rest with the offset as it stands.
fn tensor(c: &mut Cursor<'_>, i: u64) -> Parsed<(String, TensorInfo)> {
    c.field = format!("tensor {i}");
    let (name, file) = (c.text(NAME)?, c.file);
    if name.is_empty() {
        return Err(c.wrong("has no name".into()));
    }
    c.field = shown(&name);
    let rank = c.u32()?;
    if !(1..=RANK).contains(&rank) {
        return Err(
            Error::tensor(file, shown(&name), format!("has {rank} dimensions, where 1 to {RANK} may be")).into()
        );
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        shape.push(c.u64()?);
    }
    let (kind, offset) = (c.u32()?, c.u64()?);
    let wrong = |reason: String| Stop::Wrong(Error::tensor(file, shown(&name), reason));
    let kind = Kind::of(kind).ok_or_else(|| wrong(format!("has the unknown type {kind}")))?;
    let values = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
    let values = values.ok_or_else(|| wrong(format!("shape {shape:?} overflows")))?;
    if values == 0 {
        return Err(wrong(format!("shape {shape:?} has no values")));
    }
    if !shape[0].is_multiple_of(kind.block) {
        return Err(wrong(format!(
            "rows of {} are not whole blocks of {} values, as {} has",
            shape[0], kind.block, kind.name
        )));
    }
    let bytes = (values / kind.block).checked_mul(kind.bytes);
    let bytes = bytes.ok_or_else(|| wrong(format!("shape {shape:?} of {} overflows", kind.name)))?;
    shape.reverse();
    Ok((name, TensorInfo { kind, shape, offset, bytes }))
}

/// Tensors by name with offsets from the start of the file: one behind another, in order, as writers put them.
fn placed(c: &Cursor<'_>, list: Vec<(String, TensorInfo)>, alignment: u64) -> Parsed<BTreeMap<String, TensorInfo>> {
    let data = (c.at as u64).next_multiple_of(alignment);
    let (mut tensors, mut at) = (BTreeMap::new(), 0u64);
    for (name, mut info) in list {
        let wrong = |reason: String| Stop::Wrong(Error::tensor(c.file, shown(&name), reason));
        if tensors.contains_key(&name) {
            return Err(wrong("is there twice".into()));
        }
        if info.offset != at {
            let what = format!("starts at {}, where the tensors before it end at {at}", info.offset);
            return Err(wrong(format!("{what} at multiples of {alignment}")));
        }
        let end = at.checked_add(info.bytes).and_then(|end| end.checked_add(data));
        let end = end.ok_or_else(|| wrong(format!("ends beyond 64 bits: {} bytes from {at} on", info.bytes)))?;
        if end > c.size {
            return Err(wrong(format!("ends at {end}, the file has {} bytes", c.size)));
        }
        info.offset += data;
        at = (end - data).checked_next_multiple_of(alignment).ok_or_else(|| wrong("ends beyond 64 bits".into()))?;
        tensors.insert(name, info);
    }
    Ok(tensors)
}

fn unsupported(what: &str, missing: &str) -> Error {
    Error::Unsupported { what: what.into(), missing: missing.into() }
}

/// Reads on, never past the end.
struct Cursor<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    size: u64,
    /// What is being read, for messages.
    field: String,
}

impl<'a> Cursor<'a> {
    fn wrong(&self, reason: String) -> Stop {
        Stop::Wrong(Error::Malformed { file: self.file.into(), field: self.field.clone(), reason })
    }

    /// The next `n` bytes.
    fn take(&mut self, n: u64) -> Parsed<&'a [u8]> {
        let left = self.size.saturating_sub(self.at as u64);
        if n > left {
            return Err(self.wrong(format!("has {n} bytes, {left} are left of the file")));
        }
        let part = usize::try_from(n).ok().and_then(|n| self.bytes.get(self.at..)?.get(..n)).ok_or(Stop::Short)?;
        self.at += part.len();
        Ok(part)
    }

    fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().unwrap_or_default()))
    }

    fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default()))
    }

    /// A text of `most` bytes at most.
    fn text(&mut self, most: u64) -> Parsed<String> {
        let length = self.u64()?;
        if length > most {
            let what = format!("{} of {} in bytes", self.field, self.file);
            return Err(Error::Limit { what, value: length, limit: most }.into());
        }
        let text = std::str::from_utf8(self.take(length)?);
        text.map(str::to_owned).map_err(|e| self.wrong(format!("is not UTF-8: {e}")))
    }

    /// Refuses a count of things, each of which takes that many bytes at least, that the file has no room for.
    fn holds(&self, count: u64, each: u64, most: u64) -> Parsed<()> {
        if count > most {
            let what = format!("{} of {}", self.field, self.file);
            return Err(Error::Limit { what, value: count, limit: most }.into());
        }
        let left = self.size.saturating_sub(self.at as u64);
        match count.checked_mul(each) {
            Some(bytes) if bytes <= left => Ok(()),
            _ => Err(self.wrong(format!("{count} of {each} bytes and more, {left} bytes are left of the file"))),
        }
    }
}
