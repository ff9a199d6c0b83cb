//! Element types of safetensors files: all are known by size, few are read.

use crate::format::Format;

/// An element type, by its name in the file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtype {
    /// Name in the header.
    pub name: &'static str,
    /// Bits of an element.
    pub bits: u64,
}

/// Every type of the format (safetensors 0.8). A header may hold tensors of types that no model here reads.
const DTYPES: [(&str, u64); 20] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

impl Dtype {
    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        DTYPES.iter().find(|(n, _)| *n == name).map(|(name, bits)| Dtype { name, bits: *bits })
    }

    /// The format that holds the same values, for types that weights may have.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        match self.name {
            "F32" => Some(Format::F32),
            "F16" => Some(Format::F16),
            "BF16" => Some(Format::Bf16),
            "F8_E4M3" => Some(Format::Fp8),
            _ => None,
        }
    }
}
