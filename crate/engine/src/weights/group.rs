//! The experts of a layer as files have them: routed ones by number, shared ones as one MLP, either perhaps in stacks.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::weights::{Index, Part, Stored};

/// The experts of a layer: `count` routed ones, then `shared` slices of one MLP, each as wide as a routed expert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Routed experts are called `{prefix}.0` and on; packs name the layer's records by it.
    pub(crate) prefix: String,
    /// What the shared experts' MLP is called.
    pub(crate) shared_prefix: String,
    /// Names of gate, up and down.
    pub(crate) roles: [&'static str; 3],
    pub(crate) count: usize,
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

/// Rows of a tensor that holds several, under names of their own.
pub(crate) struct View {
    /// The tensor.
    pub(crate) of: String,
    /// Its shape: columns last, and all before them rows.
    pub(crate) shape: Vec<usize>,
    /// Names and rows of what it holds, one after another.
    pub(crate) cuts: Vec<(String, usize)>,
}

impl Index {
    /// Adds what a view names. A pack has everything under its own name.
    pub(crate) fn view(&mut self, view: &View) -> Result<()> {
        if !self.experts.is_empty() {
            return Ok(());
        }
        let (stored, format) = self.tensor(&view.of, &view.shape)?;
        let (dtype, Some(part)) = (stored.dtype, stored.parts.first().cloned()) else { return Ok(()) };
        let cols = view.shape.last().copied().unwrap_or(0) as u64;
        let (row, scales) = crate::weights::row_bytes(format, cols);
        if scales > 0 {
            let reason = format!("has type {dtype}; experts of one tensor are F32, F16 or BF16");
            return Err(Error::tensor(&part.file, &view.of, reason));
        }
        let mut first = 0;
        for (name, rows) in &view.cuts {
            let rows = *rows as u64;
            let part = Part { file: part.file.clone(), rows, weights: part.weights + first * row, scales: 0 };
            let stored = Stored { dtype, format: Some(format), shape: vec![rows, cols], parts: vec![part] };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(Error::tensor(&self.file, name, format!("is there beside {}, which holds it", view.of)));
            }
            first += rows;
        }
        Ok(())
    }
}
