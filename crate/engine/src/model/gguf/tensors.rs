//! The tensors of a GGUF under the names of a family's needs: ranges of stacks, rows in another order, two put together.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{Place, place};
use crate::error::{Error, Result};
use crate::model::needs::{Need, needs};
use crate::model::{Attention, ModelSpec};
use crate::weights::gguf::Found;
use crate::weights::{Index, Order, Part, Stored, Verified, shown};

/// Architectures whose converter puts the halves of rotated pairs of queries and keys by turns.
const TURNED: [&str; 2] = ["llama", "granitemoe"];
/// Tensors that were read with the metadata, or are not needed for what they say.
const BESIDE: [&str; 3] = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// The index of a GGUF for a spec. Everything in the file must have its place: what has none would be left out.
pub(crate) fn index(folder: &Verified<'_>, spec: &ModelSpec) -> Result<Index> {
    let arch = folder.arch.as_str();
    let mut finder = Finder { folder, spec, arch, used: BTreeSet::new(), tensors: BTreeMap::new() };
    for (name, shape) in needs(spec).iter().flat_map(Need::tensors) {
        match shape[..] {
            [rows, cols] => finder.add(name, Some(rows), cols)?,
            _ => finder.add(name, None, shape[0])?,
        }
    }
    let file = folder.gguf.first().map_or_else(String::new, |(file, _)| file.clone());
    let beyond = |name: &str| {
        let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        layer.is_some_and(|layer| layer >= spec.layers.len())
    };
    let names = folder.gguf.iter().flat_map(|(_, header)| header.tensors.keys());
    let mut left =
        names.filter(|name| !finder.used.contains(*name) && !BESIDE.contains(&name.as_str()) && !beyond(name));
    if let Some(name) = left.next() {
        let what = format!("tensor {} of {file}", shown(name));
        return Err(Error::Unsupported { what, missing: format!("{} has no place for it", spec.family) });
    }
    Ok(Index::of(file, finder.tensors))
}

struct Finder<'a> {
    folder: &'a Verified<'a>,
    spec: &'a ModelSpec,
    arch: &'a str,
    /// Tensors of the file that have found their place.
    used: BTreeSet<String>,
    tensors: BTreeMap<String, Stored>,
}

impl<'a> Finder<'a> {
    /// Finds what a need calls `name`: a matrix of `rows` by `cols`, or a vector of `cols` values.
    fn add(&mut self, name: String, rows: Option<usize>, cols: usize) -> Result<()> {
        let (cols, matrix) = (cols as u64, rows.is_some());
        let rows = rows.unwrap_or(1) as u64;
        let place = place(self.spec, self.arch, &name).ok_or_else(|| Error::Unsupported {
            what: format!("{name} of {} in a GGUF", self.spec.family),
            missing: "the format has no name for it".into(),
        })?;
        let parts = match place {
            Place::Own(own) => {
                let wanted = if matrix { vec![rows, cols] } else { vec![cols] };
                let found = self.tensor(&own, &wanted)?;
                let order = self.order(&name);
                let mut part = Part::of_gguf(&found, 0, rows, order);
                if !matrix {
                    part.rows = 1;
                }
                vec![part]
            }
            Place::Expert(stack, i) => {
                let (experts, first) = (self.experts(&name), i as u64 * rows);
                let wanted = if matrix { vec![experts, rows, cols] } else { vec![experts, cols] };
                let found = self.tensor(&stack, &wanted)?;
                vec![Part::of_gguf(&found, first, rows, Order::Rows)]
            }
            Place::Turns(gate, up, i) => {
                let experts = self.experts(&name);
                let each = if matrix { rows / 2 } else { cols / 2 };
                let wanted = if matrix { vec![experts, each, cols] } else { vec![experts, each] };
                let mut halves = Vec::new();
                for stack in [&up, &gate] {
                    let found = self.tensor(stack, &wanted)?;
                    let order = halves.pop().map_or(Order::Rows, |up| Order::Turns(Box::new(up)));
                    // A vector is one row here, of which each value is one there.
                    let first = if matrix { i as u64 * each } else { i as u64 };
                    halves.push(Part::of_gguf(&found, first, if matrix { rows } else { 1 }, order));
                }
                halves
            }
            Place::Latent(keys, values, both) => self.latent(&keys, &values, &both, rows, cols)?,
        };
        let shape = if matrix { vec![rows, cols] } else { vec![cols] };
        self.tensors.insert(name, Stored::of_blocks(shape, parts));
        Ok(())
    }

    /// Keys and values from the latent, by heads: keys lie across there, and values do not.
    fn latent(&mut self, keys: &str, values: &str, both: &str, rows: u64, cols: u64) -> Result<Vec<Part>> {
        let mla =
            self.spec.layers.iter().find_map(|l| if let Attention::Mla(mla) = &l.attention { Some(mla) } else { None });
        let Some(mla) = mla else { return Ok(Vec::new()) };
        let (heads, nope, value) = (mla.heads as u64, mla.nope as u64, mla.value as u64);
        if !self.has(keys) && self.has(both) {
            let found = self.tensor(both, &[rows, cols])?;
            return Ok(vec![Part::of_gguf(&found, 0, rows, Order::Rows)]);
        }
        let mut parts = Vec::new();
        for head in 0..heads {
            let found = self.tensor(keys, &[heads, cols, nope])?;
            parts.push(Part::of_gguf(&found, head * cols, nope, Order::Across(cols)));
            let found = self.tensor(values, &[heads, value, cols])?;
            parts.push(Part::of_gguf(&found, head * value, value, Order::Rows));
        }
        Ok(parts)
    }

    /// How many routed experts the layer of this name has.
    fn experts(&self, name: &str) -> u64 {
        let layer = name.split('.').nth(2).and_then(|i| self.spec.layers.get(i.parse::<usize>().ok()?));
        layer.map_or(0, |l| if let crate::model::Ffn::Moe(moe) = &l.ffn { moe.experts as u64 } else { 0 })
    }

    /// In which order the file has what a need calls `name`.
    fn order(&self, name: &str) -> Order {
        let turned =
            TURNED.contains(&self.arch) && ["q", "k"].iter().any(|p| name.contains(&format!("self_attn.{p}_proj.")));
        let head = self
            .spec
            .layers
            .iter()
            .find_map(|l| if let Attention::Gqa(gqa) = &l.attention { Some(gqa.head) } else { None });
        match head {
            Some(head) if turned => Order::Heads(head as u64),
            _ => Order::Rows,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.folder.gguf.iter().any(|(_, header)| header.tensor(name).is_some())
    }

    /// The tensor `name` of this shape, but for sizes of 1 that files leave out or add.
    fn tensor(&mut self, name: &str, wanted: &[u64]) -> Result<Found<'a>> {
        let folder = self.folder;
        let found = folder.gguf.iter().find_map(|(file, header)| Some((file.as_str(), header.tensor(name)?)));
        let first = folder.gguf.first().map_or("", |(file, _)| file);
        let missing = || Error::tensor(first, name, format!("is missing; the model needs it as {wanted:?}"));
        let (file, info) = found.ok_or_else(missing)?;
        let sizes = |shape: &[u64]| -> Vec<u64> { shape.iter().copied().filter(|n| *n != 1).collect() };
        if sizes(&info.shape) != sizes(wanted) {
            let reason = format!("has shape {:?}, the metadata ask for {wanted:?}", info.shape);
            return Err(Error::tensor(file, name, reason));
        }
        if info.kind.format().is_none() {
            let reason = format!("has type {}, which this engine does not read", info.kind.name);
            return Err(Error::tensor(file, name, reason));
        }
        // A row that another size than the columns ends is no row of blocks.
        if info.shape.last() != wanted.last() {
            let reason = format!("has shape {:?}, whose rows are not those of {wanted:?}", info.shape);
            return Err(Error::tensor(file, name, reason));
        }
        self.used.insert(name.to_owned());
        Ok(Found { file: file.into(), name: name.into(), info })
    }
}
