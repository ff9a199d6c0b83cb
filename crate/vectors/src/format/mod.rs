//! Weight formats as kernels read them: two planes, row-major, whole blocks to a row.
//!
//! A matrix `[rows, cols]` is a *weight plane* of 32-bit words and, for formats that have scales, a *scale plane*, packed
//! across rows. In q8 and q4 a scale is an f16 for a block of 32 columns, two to a word (that of block `b` of row `r` is half
//! `r·cols/32 + b`), in mxfp4 a byte for a block, four to a word, and in fp8 an f32 for 128 columns.

mod float;
mod fp8;
mod mxfp4;
mod q4;
mod q8;
mod small;

pub use float::{from_f16, to_f16};
pub use fp8::LARGEST as LARGEST_E4M3;
pub use mxfp4::LARGEST as LARGEST_POWER;

/// Columns that share a scale in block formats.
pub const BLOCK: usize = 32;
/// Columns, and in DeepSeek's files rows, that share a scale in fp8.
pub const TILE: usize = 128;

/// A weight format that kernels can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit float.
    F32,
    /// 16-bit float, two to a word, rows padded to whole words.
    F16,
    /// bfloat16, two to a word, rows padded to whole words.
    Bf16,
    /// int8, symmetric, with an f16 scale per 32 columns.
    Q8,
    /// int4, symmetric with offset 8, with an f16 scale per 32 columns. Low nibbles are columns 0–15 of the block.
    Q4,
    /// e4m3, an 8-bit float, with an f32 scale per 128 columns, rows padded to whole blocks.
    Fp8,
    /// e2m1, a 4-bit float, with a power of two, one byte, per 32 columns. Nibbles lie as in q4.
    Mxfp4,
}

/// All formats; tests and shader variants loop over this list.
pub const FORMATS: [Format; 7] =
    [Format::F32, Format::F16, Format::Bf16, Format::Q8, Format::Q4, Format::Fp8, Format::Mxfp4];

impl Format {
    /// Short name, as in file manifests, the command line and shader variants.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::Bf16 => "bf16",
            Format::Q8 => "q8",
            Format::Q4 => "q4",
            Format::Fp8 => "fp8",
            Format::Mxfp4 => "mxfp4",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        FORMATS.into_iter().find(|f| f.name() == name)
    }

    /// Whether rows must be whole blocks of [`BLOCK`] columns, with a scale each.
    #[must_use]
    pub fn is_block(self) -> bool {
        matches!(self, Format::Q8 | Format::Q4 | Format::Mxfp4)
    }

    /// Words of the weight plane in one row of `cols` columns.
    #[must_use]
    pub fn row_words(self, cols: usize) -> usize {
        match self {
            Format::F32 => cols,
            Format::F16 | Format::Bf16 => cols.div_ceil(2),
            Format::Q8 => cols / BLOCK * 8,
            Format::Q4 | Format::Mxfp4 => cols / BLOCK * 4,
            Format::Fp8 => cols.div_ceil(BLOCK) * 8,
        }
    }

    /// Bytes of the scales of a row; 0 for formats without scales.
    #[must_use]
    pub fn row_scales(self, cols: u64) -> u64 {
        match self {
            Format::F32 | Format::F16 | Format::Bf16 => 0,
            Format::Q8 | Format::Q4 => cols / BLOCK as u64 * 2,
            Format::Fp8 => cols.div_ceil(TILE as u64) * 4,
            Format::Mxfp4 => cols / BLOCK as u64,
        }
    }

    /// Words of the scale plane of a whole matrix.
    #[must_use]
    pub fn scale_words(self, rows: usize, cols: usize) -> usize {
        (rows * self.row_scales(cols as u64) as usize).div_ceil(4)
    }

    /// Whether rows can be cut at multiples of `cols` columns: at whole words, and between scales.
    #[must_use]
    pub fn cuts(self, cols: usize) -> bool {
        match self {
            Format::F32 => true,
            Format::F16 | Format::Bf16 => cols.is_multiple_of(2),
            Format::Q8 | Format::Q4 | Format::Mxfp4 => cols.is_multiple_of(BLOCK),
            Format::Fp8 => cols.is_multiple_of(TILE),
        }
    }

    /// Whether rows of `cols` columns are whole blocks, or need not be.
    #[must_use]
    pub fn fits(self, cols: usize) -> bool {
        !self.is_block() || cols.is_multiple_of(BLOCK)
    }

    /// Packs a row-major `[rows, cols]` matrix into (weight plane, scale plane), rounding to nearest.
    ///
    /// # Panics
    /// When `values` is not `rows·cols` long, or `cols` not whole blocks: see [`Format::fits`].
    #[must_use]
    pub fn encode(self, values: &[f32], rows: usize, cols: usize) -> (Vec<u32>, Vec<u32>) {
        assert_eq!(values.len(), rows * cols, "matrix of {rows} by {cols}");
        assert!(self.fits(cols), "{cols} columns in blocks of {BLOCK}");
        match self {
            Format::F32 => (values.iter().map(|v| v.to_bits()).collect(), Vec::new()),
            Format::F16 => (float::encode(values, cols, float::to_f16), Vec::new()),
            Format::Bf16 => (float::encode(values, cols, float::to_bf16), Vec::new()),
            Format::Q8 => q8::encode(values),
            Format::Q4 => q4::encode(values),
            Format::Fp8 => fp8::encode(values, cols),
            Format::Mxfp4 => mxfp4::encode(values),
        }
    }

    /// Unpacks row `row` of a matrix into `out`, whose length is the number of columns.
    pub fn decode_row(self, weights: &[u32], scales: &[u32], row: usize, out: &mut [f32]) {
        let words = self.row_words(out.len());
        let weights = &weights[row * words..][..words];
        let blocks = row * (out.len() / BLOCK);
        match self {
            Format::F32 => out.copy_from_slice(bytemuck::cast_slice(weights)),
            Format::F16 => float::decode(weights, out, float::from_f16),
            Format::Bf16 => float::decode(weights, out, float::from_bf16),
            Format::Q8 => q8::decode(weights, scales, blocks, out),
            Format::Q4 => q4::decode(weights, scales, blocks, out),
            Format::Fp8 => fp8::decode(weights, &scales[row * out.len().div_ceil(TILE)..], out),
            Format::Mxfp4 => mxfp4::decode(weights, scales, blocks, out),
        }
    }

    /// Dot product of row `row` with `x`, in f32, columns in order.
    #[must_use]
    pub fn dot(self, weights: &[u32], scales: &[u32], row: usize, x: &[f32]) -> f32 {
        let words = self.row_words(x.len());
        let weights = &weights[row * words..][..words];
        let blocks = row * (x.len() / BLOCK);
        match self {
            Format::F32 => weights.iter().zip(x).map(|(w, x)| f32::from_bits(*w) * x).sum(),
            Format::F16 => float::dot(weights, x, float::from_f16),
            Format::Bf16 => float::dot(weights, x, float::from_bf16),
            Format::Q8 => q8::dot(weights, scales, blocks, x),
            Format::Q4 => q4::dot(weights, scales, blocks, x),
            Format::Fp8 => fp8::dot(weights, &scales[row * x.len().div_ceil(TILE)..], x),
            Format::Mxfp4 => mxfp4::dot(weights, scales, blocks, x),
        }
    }
}

/// Scale `i` of a packed scale plane.
fn scale(scales: &[u32], i: usize) -> f32 {
    float::from_f16((scales[i / 2] >> (16 * (i % 2))) as u16)
}

/// Packs f16 scales two to a word.
fn pack_scales(scales: &[u16]) -> Vec<u32> {
    scales.chunks(2).map(|c| u32::from(c[0]) | u32::from(c.get(1).copied().unwrap_or(0)) << 16).collect()
}
