//! The experts of a layer as files have them: routed ones by number, shared ones as one MLP, either perhaps in stacks.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::{BLOCK, Format};
use crate::weights::{Index, Part, Stored};

/// The experts of a layer: `count` routed ones, then `shared` slices of one MLP, each as wide as a routed expert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Routed experts are called `{prefix}.0` and on; packs name the layer's records by it.
    pub(crate) prefix: String,
    /// What the shared experts' MLP is called.
    pub(crate) shared_prefix: String,
    /// Names of gate and up, or of the one matrix that has both by turns.
    pub(crate) ups: &'static [&'static str],
    /// Name of down.
    pub(crate) down: &'static str,
    /// Whether all three have biases.
    pub(crate) biased: bool,
    pub(crate) count: usize,
    /// Those of them that a token chooses.
    pub(crate) chosen: usize,
    pub(crate) shared: usize,
    pub(crate) shared_width: usize,
    pub(crate) hidden: usize,
    pub(crate) width: usize,
}

impl Group {
    /// Experts of both kinds.
    pub(crate) fn all(&self) -> usize {
        self.count + self.shared
    }

    /// Experts that a token has, of both kinds.
    pub(crate) fn at_work(&self) -> usize {
        self.chosen + self.shared
    }

    /// Names and lengths of the biases of the MLP called `name`. Families that have them have gates and ups by turns.
    pub(crate) fn biases(&self, name: &str) -> Vec<(String, usize, Bias)> {
        let of = |role: &str| format!("{name}.{role}.bias");
        match self.ups {
            [up] if self.biased => {
                vec![(of(up), 2 * self.width, Bias::Up), (of(self.down), self.hidden, Bias::Down)]
            }
            _ => Vec::new(),
        }
    }

    /// Where expert `i` is: the name of its MLP, that one's width, and the part of the width that is the expert's.
    pub(crate) fn slice(&self, i: usize) -> (String, usize, Range<usize>) {
        match i.checked_sub(self.count) {
            None => (format!("{}.{i}", self.prefix), self.width, 0..self.width),
            Some(part) => {
                let (start, all) = (part * self.width, self.shared_width);
                (self.shared_prefix.clone(), all, start..all.min(start + self.width))
            }
        }
    }
}

/// Which biases of an expert.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    /// Of gates and ups by turns.
    Up,
    /// Of downs.
    Down,
}

/// Rows of a tensor that holds several, under names of their own.
#[derive(Default)]
pub(crate) struct View {
    /// The tensor.
    pub(crate) of: String,
    /// Its shape: columns last, and all before them rows.
    pub(crate) shape: Vec<usize>,
    /// Names and rows of what it holds, one after another.
    pub(crate) cuts: Vec<(String, usize)>,
    /// Whether the tensor is two: `{of}_blocks` of MXFP4 codes and `{of}_scales`.
    pub(crate) mxfp4: bool,
}

impl Index {
    /// Adds what a view names. A pack has everything under its own name.
    pub(crate) fn view(&mut self, view: &View) -> Result<()> {
        if !self.experts.is_empty() {
            return Ok(());
        }
        let whole = if view.mxfp4 { self.mxfp4(view)? } else { self.tensor(&view.of, &view.shape)?.0.clone() };
        let (Some(format), Some(part)) = (whole.format, whole.parts.first().cloned()) else { return Ok(()) };
        let cols = view.shape.last().copied().unwrap_or(0) as u64;
        let (row, scales) = crate::weights::row_bytes(format, cols);
        if scales > 0 && !view.mxfp4 {
            let reason = format!("has type {}; experts of one tensor are F32, F16, BF16 or MXFP4", whole.dtype);
            return Err(Error::tensor(&part.file, &view.of, reason));
        }
        let mut first = 0;
        for (name, rows) in &view.cuts {
            let rows = *rows as u64;
            let part = Part {
                rows,
                weights: part.weights + first * row,
                scales: part.scales + first * scales,
                ..part.clone()
            };
            let stored = Stored { shape: vec![rows, cols], parts: vec![part], ..whole };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(Error::tensor(&self.file, name, format!("is there beside {}, which holds it", view.of)));
            }
            first += rows;
        }
        Ok(())
    }

    /// The tensor of a view's blocks and scales, as gpt-oss has them: `[.., K/32, 16]` bytes, two codes each, and `[.., K/32]`.
    fn mxfp4(&self, view: &View) -> Result<Stored> {
        let [blocks, scales] = ["blocks", "scales"].map(|end| format!("{}_{end}", view.of));
        let (cols, rows) = view.shape.split_last().unwrap_or((&0, &[]));
        let bytes = |name: &str, shape: Vec<u64>| -> Result<&Part> {
            let missing = || Error::tensor(&self.file, name, format!("is missing; the model needs it as {shape:?}"));
            let found = self.tensors.get(name).ok_or_else(missing)?;
            let part = found.parts.first().ok_or_else(missing)?;
            if found.dtype != "U8" || found.shape != shape {
                let reason =
                    format!("is {} {:?}, the configuration asks for {shape:?} of U8", found.dtype, found.shape);
                return Err(Error::tensor(&part.file, name, reason));
            }
            Ok(part)
        };
        let grid: Vec<u64> = rows.iter().map(|n| *n as u64).chain([*cols as u64 / BLOCK as u64]).collect();
        let weights = bytes(&blocks, grid.iter().copied().chain([BLOCK as u64 / 2]).collect())?;
        let scales = bytes(&scales, grid)?;
        let part = Part { scales: scales.weights, scales_file: scales.file.clone(), ..weights.clone() };
        Ok(Stored { dtype: "MXFP4", format: Some(Format::Mxfp4), shape: Vec::new(), parts: vec![part], pairs: true })
    }
}

/// Codes of MXFP4 blocks from neighbours in a byte to columns half a block apart, as kernels read them.
pub(crate) fn unpair(weights: &mut [u8]) {
    const HALF: usize = BLOCK / 2;
    for block in weights.chunks_exact_mut(HALF) {
        let mut codes = [0; BLOCK];
        for (i, byte) in block.iter().enumerate() {
            (codes[2 * i], codes[2 * i + 1]) = (byte & 15, byte >> 4);
        }
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = codes[i] | codes[i + HALF] << 4;
        }
    }
}
