//! Scales of e4m3 tensors as DeepSeek stores them: `X_scale_inv` beside `X`, one f32 for every 128 rows by 128 columns.
//!
//! `w[i, j] = e4m3[i, j] · scale[i / 128, j / 128]`: multiplied, despite the name. The last tiles hold what is left.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::{Format, TILE};
use crate::source::Source;
use crate::weights::planes::{finite, row_bytes};
use crate::weights::{Index, Part, Stored, Tensors};

/// Element type of such tensors. In packs each row has its scales, and its type is a format's name.
const E4M3: &str = "F8_E4M3";

impl Stored {
    /// Bytes in the files of these rows; what several rows share is counted with the first.
    #[must_use]
    pub fn bytes_of(&self, rows: Range<u64>) -> u64 {
        if let Some(blocks) = self.parts.first().and_then(|part| part.blocks.as_ref()) {
            return (rows.end - rows.start).saturating_mul(blocks.kind.row(self.sizes().1));
        }
        let (weights, scales) = self.format.map_or((0, 0), |f| row_bytes(f, self.sizes().1));
        let sharing = if self.dtype == E4M3 { TILE as u64 } else { 1 };
        let lines = rows.end.div_ceil(sharing) - rows.start.div_ceil(sharing);
        (rows.end - rows.start).saturating_mul(weights).saturating_add(lines.saturating_mul(scales))
    }
}

impl Index {
    /// Where the scales of the tensor `name` are, if they are tiles, in exactly the shape that it needs.
    pub(crate) fn tiles(&self, name: &str, stored: &Stored) -> Result<Option<&Part>> {
        if stored.dtype != E4M3 {
            return Ok(None);
        }
        let (rows, cols) = stored.sizes();
        let (wanted, scales) = ([rows, cols].map(|n| n.div_ceil(TILE as u64)), scales_of(name));
        let missing = || Error::tensor(&self.file, &scales, format!("is missing; {E4M3} needs it as F32 {wanted:?}"));
        let found = self.tensors.get(&scales).ok_or_else(missing)?;
        let part = found.parts.first().ok_or_else(missing)?;
        if found.format != Some(Format::F32) || found.shape != wanted {
            let reason = format!("is {} {:?}, where {wanted:?} of F32 go with {name}", found.dtype, found.shape);
            return Err(Error::tensor(&part.file, &scales, reason));
        }
        Ok(Some(part))
    }
}

impl Tensors<'_> {
    /// Scales of these rows of `name`, each with its own, from tiles whose lines have `bytes` bytes.
    pub(crate) async fn spread(&self, name: &str, tiles: &Part, rows: Range<u64>, bytes: u64) -> Result<Vec<u8>> {
        let first = rows.start / TILE as u64;
        let range = first * bytes..rows.end.div_ceil(TILE as u64) * bytes;
        let lines = self.files.read(&tiles.file, tiles.weights + range.start..tiles.weights + range.end).await?;
        if !finite(Format::Fp8, &[], &lines) {
            let reason = "has a scale that is infinite or not a number, or makes one";
            return Err(Error::tensor(&tiles.file, scales_of(name), reason));
        }
        let line = |row: u64| &lines[((row / TILE as u64 - first) * bytes) as usize..][..bytes as usize];
        Ok(rows.flat_map(line).copied().collect())
    }
}

/// Name of the scales of `name`.
fn scales_of(name: &str) -> String {
    format!("{name}_scale_inv")
}
