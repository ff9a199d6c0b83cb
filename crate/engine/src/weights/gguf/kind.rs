//! Types of blocks: how large they are, and which kernel format holds what they say.

use crate::format::Format;
use crate::weights::gguf::blocks;

/// A type of blocks.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Number in files.
    id: u32,
    /// Name.
    pub name: &'static str,
    /// Values of a block.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
    /// How it is read; `None` for types that cannot be weights here.
    reads: Option<Reads>,
}

/// How blocks are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reads {
    /// Values as the format has them.
    Plain(Format),
    /// Codes and a scale that the format holds as they are.
    Exact(Format, blocks::Split),
    /// Evenly spaced values that start anywhere: int8 blocks come near.
    Even(blocks::EvenPart),
    /// Values that no format holds: int8 blocks come nearest.
    Rounded(blocks::Decode),
}

impl PartialEq for Reads {
    fn eq(&self, other: &Self) -> bool {
        self.format() == other.format()
    }
}

impl Eq for Reads {}

impl Reads {
    /// The format that comes nearest.
    fn format(self) -> Format {
        match self {
            Reads::Plain(format) | Reads::Exact(format, _) => format,
            Reads::Even(_) | Reads::Rounded(_) => Format::Q8,
        }
    }
}

const fn plain(id: u32, name: &'static str, bytes: u64, format: Format) -> Kind {
    Kind { id, name, block: 1, bytes, reads: Some(Reads::Plain(format)) }
}

const fn exact(id: u32, name: &'static str, bytes: u64, format: Format, split: blocks::Split) -> Kind {
    Kind { id, name, block: 32, bytes, reads: Some(Reads::Exact(format, split)) }
}

const fn even(id: u32, name: &'static str, block: u64, bytes: u64, part: blocks::EvenPart) -> Kind {
    Kind { id, name, block, bytes, reads: Some(Reads::Even(part)) }
}

const fn rounded(id: u32, name: &'static str, block: u64, bytes: u64, decode: blocks::Decode) -> Kind {
    Kind { id, name, block, bytes, reads: Some(Reads::Rounded(decode)) }
}

const fn other(id: u32, name: &'static str, block: u64, bytes: u64) -> Kind {
    Kind { id, name, block, bytes, reads: None }
}

/// Every type of the format (gguf 0.19). Files may have tensors of types that no model here reads.
static KINDS: [Kind; 34] = [
    plain(0, "F32", 4, Format::F32),
    plain(1, "F16", 2, Format::F16),
    plain(30, "BF16", 2, Format::Bf16),
    exact(2, "Q4_0", 18, Format::Q4, blocks::q4_0),
    exact(6, "Q5_0", 22, Format::Q8, blocks::q5_0),
    exact(8, "Q8_0", 34, Format::Q8, blocks::q8_0),
    exact(20, "IQ4_NL", 18, Format::Q8, blocks::iq4_nl),
    exact(39, "MXFP4", 17, Format::Mxfp4, blocks::mxfp4),
    even(3, "Q4_1", 32, 20, blocks::q4_1),
    even(7, "Q5_1", 32, 24, blocks::q5_1),
    rounded(10, "Q2_K", 256, 84, blocks::q2_k),
    rounded(11, "Q3_K", 256, 110, blocks::q3_k),
    even(12, "Q4_K", 256, 144, blocks::q4_k),
    even(13, "Q5_K", 256, 176, blocks::q5_k),
    rounded(14, "Q6_K", 256, 210, blocks::q6_k),
    rounded(23, "IQ4_XS", 256, 136, blocks::iq4_xs),
    other(9, "Q8_1", 32, 40),
    other(15, "Q8_K", 256, 292),
    other(16, "IQ2_XXS", 256, 66),
    other(17, "IQ2_XS", 256, 74),
    other(18, "IQ3_XXS", 256, 98),
    other(19, "IQ1_S", 256, 50),
    other(21, "IQ3_S", 256, 110),
    other(22, "IQ2_S", 256, 82),
    other(24, "I8", 1, 1),
    other(25, "I16", 1, 2),
    other(26, "I32", 1, 4),
    other(27, "I64", 1, 8),
    other(28, "F64", 1, 8),
    other(29, "IQ1_M", 256, 56),
    other(34, "TQ1_0", 256, 54),
    other(35, "TQ2_0", 256, 66),
    other(40, "NVFP4", 64, 36),
    other(41, "Q1_0", 128, 18),
];

impl Kind {
    /// The type of that number.
    #[must_use]
    pub fn of(id: u32) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.id == id)
    }

    /// Every type that can be weights here.
    pub fn readable() -> impl Iterator<Item = &'static Kind> {
        KINDS.iter().filter(|kind| kind.reads.is_some())
    }

    pub(super) fn reads(&self) -> Option<Reads> {
        self.reads
    }

    /// The kernel format that holds its values, or comes nearest; `None` for types that cannot be weights here.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.reads.map(Reads::format)
    }

    /// Whether that format holds its values as they are.
    #[must_use]
    pub fn exact(&self) -> bool {
        !matches!(self.reads, Some(Reads::Even(_) | Reads::Rounded(_)) | None)
    }

    /// Bytes of a row of that many values, which are whole blocks.
    #[must_use]
    pub fn row(&self, cols: u64) -> u64 {
        cols / self.block * self.bytes
    }
}
