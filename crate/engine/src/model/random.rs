//! A model of random weights from a configuration alone: to measure a shape without its files.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::device::{Buffer, Device};
use crate::error::Result;
use crate::format::Format;
use crate::model::chosen::{Choice, Chosen};
use crate::model::load::{Place, context, place, read_model};
use crate::model::needs::{Need, needs};
use crate::model::{Experts, LoadOptions, Model};
use crate::source::Source;
use crate::weights::{Group, Index, Matrix, Stored};

/// Values that are drawn; larger matrices have rows again and again.
const DRAWN: usize = 1 << 20;

impl Model {
    /// A model of the configuration in `source`, of which nothing else is read but the small texts, with weights that were drawn by lot as if
    /// files had them in bf16.
    pub async fn random(source: &dyn Source, device: Rc<dyn Device>, options: &LoadOptions) -> Result<Model> {
        let (spec, files) = read_model(source).await?;
        let context = context(&spec, options)?;
        let choice = Choice::new(&supposed(&needs(&spec)), needs(&spec), options.precision)?;
        let (model, list) = place(choice, (spec, files), device, context, options.cache)?;
        let (device, mut lot) = (model.device.as_ref(), Lot::default());
        for (chosen, place) in &list {
            match (chosen, place) {
                (Chosen::Vector { parts }, Place::Vector(vector)) => {
                    // Norms are ones; biases are small.
                    let norm = parts.iter().any(|(name, _)| name.ends_with("norm.weight"));
                    let value: f32 = if norm { 1.0 } else { 1e-3 };
                    fill(device, vector, &vec![value.to_bits(); DRAWN])?;
                }
                (_, Place::Matrix(matrix)) => lot.matrix(device, matrix)?,
                (Chosen::Experts { group, .. }, Place::Experts(experts)) => lot.experts(device, group, experts)?,
                _ => unreachable!("a place is made for what goes there"),
            }
        }
        Ok(model)
    }
}

/// An index of every tensor that is needed, in bf16, which lies nowhere.
fn supposed(needs: &[Need]) -> Index {
    let mut index = Index::default();
    index.file = "config.json".into();
    for (name, shape) in needs.iter().flat_map(Need::tensors) {
        let shape = shape.into_iter().map(|n| n as u64).collect();
        let stored = Stored { dtype: "BF16", format: Some(Format::Bf16), shape, parts: Vec::new(), pairs: false };
        index.tensors.insert(name, stored);
    }
    index
}

/// A weight plane and a scale plane.
type Planes = (Vec<u32>, Vec<u32>);

/// What was drawn so far: planes of matrices by format and columns.
#[derive(Default)]
struct Lot {
    planes: BTreeMap<(&'static str, usize), Rc<Planes>>,
}

impl Lot {
    /// Planes of rows that keep the size of their inputs, uniform; an even number, so that their scales are whole words.
    fn planes(&mut self, format: Format, cols: usize) -> Rc<Planes> {
        let drawn = || {
            let rows = (DRAWN / cols).next_multiple_of(4);
            let (most, mut state) = ((3.0 / cols as f32).sqrt(), 0x9E37_79B9_u32 ^ cols as u32);
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / 8_388_608.0 - 1.0) * most
            };
            let values: Vec<f32> = (0..rows * cols).map(|_| next()).collect();
            Rc::new(format.encode(&values, rows, cols))
        };
        self.planes.entry((format.name(), cols)).or_insert_with(drawn).clone()
    }

    fn matrix(&mut self, device: &dyn Device, matrix: &Matrix) -> Result<()> {
        let planes = self.planes(matrix.format, matrix.cols);
        matrix.slabs.iter().try_for_each(|slab| {
            fill(device, &slab.weights, &planes.0)?;
            if planes.1.is_empty() { Ok(()) } else { fill(device, &slab.scales, &planes.1) }
        })
    }

    /// All experts of a layer are alike, but lie apart.
    fn experts(&mut self, device: &dyn Device, group: &Group, experts: &Experts) -> Result<()> {
        let layout = &experts.layout;
        let (up, down) = (self.planes(layout.up_format, group.hidden), self.planes(layout.down_format, group.width));
        let mut record = vec![0; layout.stride];
        let mut put = |from: usize, to: usize, words: &[u32]| {
            record[from..to].iter_mut().zip(words.iter().cycle()).for_each(|(to, word)| *to = *word);
        };
        put(0, layout.up_scales, &up.0);
        put(layout.up_scales, layout.down_weights, &up.1);
        put(layout.down_weights, layout.down_scales, &down.0);
        put(layout.down_scales, layout.planes(), &down.1);
        (0..experts.held).try_for_each(|slot| experts.put(device, group, slot, bytemuck::cast_slice(&record)))
    }
}

/// Fills a buffer with `words` again and again.
fn fill(device: &dyn Device, buffer: &Buffer, words: &[u32]) -> Result<()> {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let mut at = 0;
    while at < buffer.bytes() {
        let count = (buffer.bytes() - at).min(bytes.len() as u64);
        device.write(buffer, at, &bytes[..count as usize])?;
        at += count;
    }
    Ok(())
}
