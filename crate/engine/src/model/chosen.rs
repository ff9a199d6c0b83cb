//! Formats for everything a spec needs, after checking all of it against the files: nothing is reserved before.

use crate::device::Limits;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::model::Room;
use crate::model::needs::{Need, own_name};
use crate::weights::{ExpertLayout, Group, Index, Precision, Share, Split, heights, plane_bytes};

/// A need that the files meet, and the format it becomes.
pub(crate) enum Chosen {
    /// A vector in f32, of tensors behind each other: their names and lengths.
    Vector { parts: Vec<(String, usize)> },
    /// A matrix, of tensors above each other: their names and rows.
    Matrix { parts: Vec<(String, usize)>, cols: usize, format: Format, split: Split },
    /// The experts of a layer, and how many records its pool holds.
    Experts { group: Group, layout: ExpertLayout, slots: usize },
}

/// A matrix that could not have the precision asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Its name, or that of a layer's experts with the role.
    pub tensor: String,
    /// The format it got.
    pub format: Format,
    /// Its columns, which are not whole blocks.
    pub cols: usize,
}

/// All needs of a model with their formats.
pub(crate) struct Choice {
    /// In order of loading: what every token reads first.
    pub(crate) list: Vec<Chosen>,
    /// Matrices that fell back.
    pub(crate) fallbacks: Vec<Fallback>,
    /// Bytes in the files.
    pub(crate) stored: u64,
    /// Those of them that are not of experts.
    pub(crate) trunk: u64,
    /// Bytes on the device, or in a pack.
    pub(crate) bytes: u64,
}

impl Choice {
    /// Checks that `index` has every need in its exact shape, and chooses formats.
    pub(crate) fn new(index: &Index, needs: Vec<Need>, precision: Precision) -> Result<Self> {
        let mut choice = Choice { list: Vec::new(), fallbacks: Vec::new(), stored: 0, trunk: 0, bytes: 0 };
        if precision != Precision::Stored && !index.experts.is_empty() {
            let reason = format!("{} cannot be had of a packed model: pack it again from its source", precision.name());
            return Err(Error::Request { field: "format".into(), reason });
        }
        for need in needs {
            choice.add(index, need, precision)?;
        }
        Ok(choice)
    }

    fn add(&mut self, index: &Index, need: Need, precision: Precision) -> Result<()> {
        let chosen = match need {
            Need::Vector { parts } => {
                for (name, len) in &parts {
                    self.stored += index.vector(name, *len)?.bytes();
                }
                Chosen::Vector { parts }
            }
            Need::Router { parts, cols } => {
                for (name, rows) in &parts {
                    self.stored += index.tensor(name, &[*rows, cols])?.0.bytes();
                }
                Chosen::Matrix { parts, cols, format: Format::F32, split: Split::No }
            }
            Need::Matrix { parts, cols, split } => {
                let mut common = None;
                for (name, rows) in &parts {
                    let (stored, format) = index.tensor(name, &[*rows, cols])?;
                    self.stored += stored.bytes();
                    common = both(common, format);
                }
                let format = precision.matrix(common.unwrap_or(Format::F32), cols);
                for (name, _) in &parts {
                    self.note(name, precision, format, cols);
                }
                Chosen::Matrix { parts, cols, format, split }
            }
            Need::Experts(group) => {
                let layout = self.experts(index, &group, precision)?;
                let (up, down) = (group.ups.last().unwrap_or(&""), group.down);
                self.note(&format!("{}.*.{up}", group.prefix), precision, layout.up_format, group.hidden);
                self.note(&format!("{}.*.{down}", group.prefix), precision, layout.down_format, group.width);
                let slots = group.all();
                Chosen::Experts { group, layout, slots }
            }
        };
        self.bytes = self.bytes.saturating_add(chosen.bytes());
        if !matches!(chosen, Chosen::Experts { .. }) {
            self.trunk = self.stored;
        }
        self.list.push(chosen);
        Ok(())
    }

    /// Layout of a layer's experts. Where files mix formats within a role, the role becomes f32, which holds them all.
    fn experts(&mut self, index: &Index, group: &Group, precision: Precision) -> Result<ExpertLayout> {
        let Group { prefix, shared_prefix, count, shared, shared_width, hidden, width, .. } = group;
        if let Some(table) = index.experts.get(prefix) {
            let wants = ([group.all(), *hidden, *width], group.biased);
            let has = ([table.records.len(), table.hidden, table.width], table.biased);
            if has != wants {
                let reason =
                    format!("has [experts, hidden, width] and biases {has:?}, the configuration asks for {wants:?}");
                return Err(Error::tensor(&index.file, prefix, reason));
            }
            let layout = table.layout()?;
            self.stored += layout.bytes() * group.all() as u64;
            return Ok(layout);
        }
        let mut role = |role: &str, shape: [usize; 2], together: [usize; 2]| -> Result<Format> {
            let routed = (0..*count).map(|i| (format!("{prefix}.{i}.{role}.weight"), shape));
            let all = (*shared > 0).then(|| (format!("{shared_prefix}.{role}.weight"), together));
            let mut common = None;
            for (name, shape) in routed.chain(all) {
                let (stored, format) = index.tensor(&name, &shape)?;
                self.stored += stored.bytes();
                common = both(common, format);
            }
            Ok(common.unwrap_or(Format::F32))
        };
        let mut up = None;
        let each = 2 / group.ups.len();
        for name in group.ups {
            let format = role(name, [each * width, *hidden], [each * shared_width, *hidden])?;
            up = both(up, format);
        }
        let up = up.unwrap_or(Format::F32);
        let down = role(group.down, [*hidden, *width], [*hidden, *shared_width])?;
        for i in 0..*count {
            for (name, len, _) in group.biases(&format!("{prefix}.{i}")) {
                self.stored += index.vector(&name, len)?.bytes();
            }
        }
        // Each of several shared experts takes its columns of the one matrix that they are in the files.
        let down = if *shared > 1 && !down.cuts(*width) { Format::F32 } else { down };
        let (up, down) = (precision.expert(up, *hidden), precision.expert(down, *width));
        ExpertLayout::new(up, down, *hidden, *width, group.biased)
    }

    /// Gives pools of experts no more than `room` on the device.
    pub(crate) fn fit(&mut self, room: Room) -> Result<()> {
        let records = |chosen: &Chosen| match chosen {
            Chosen::Experts { group, layout, .. } => layout.bytes() * group.all() as u64,
            _ => 0,
        };
        let all: u64 = self.list.iter().map(records).sum();
        for chosen in &mut self.list {
            if let Chosen::Experts { group, slots, .. } = chosen {
                *slots = room.slots(group, all);
            }
        }
        self.bytes = self.list.iter().map(Chosen::bytes).sum();
        let pools: u64 = self.list.iter().filter(|c| matches!(c, Chosen::Experts { .. })).map(Chosen::bytes).sum();
        match room {
            Room::Bytes(limit) if pools > limit => {
                let what = "size of the experts that one token needs in bytes".into();
                Err(Error::Limit { what, value: pools, limit })
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, tensor: &str, precision: Precision, format: Format, cols: usize) {
        if precision.fell_back(format, cols) {
            self.fallbacks.push(Fallback { tensor: tensor.into(), format, cols });
        }
    }

    /// Refuses a model with a buffer that the device cannot bind.
    pub(crate) fn fits(&self, limits: Limits) -> Result<()> {
        for (name, bytes) in self.list.iter().flat_map(|chosen| chosen.planes(limits.binding)) {
            if bytes > limits.binding {
                let what = format!("size of {name} on this device in bytes");
                return Err(Error::Limit { what, value: bytes, limit: limits.binding });
            }
        }
        Ok(())
    }
}

impl Chosen {
    fn bytes(&self) -> u64 {
        self.planes(u64::MAX).iter().map(|(_, bytes)| bytes).sum()
    }

    /// Names and sizes in bytes of its buffers on a device that binds so many bytes.
    fn planes(&self, binding: u64) -> Vec<(&str, u64)> {
        match self {
            Chosen::Vector { parts } => {
                vec![(own_name(parts), parts.iter().map(|(_, len)| 4 * *len as u64).sum())]
            }
            Chosen::Matrix { parts, cols, format, split } => {
                let (name, rows) = (own_name(parts), parts.iter().map(|(_, rows)| rows).sum());
                let slabs = heights(*format, [rows, *cols], *split, binding).into_iter();
                let planes = |rows: usize| <[u64; 2]>::from(plane_bytes(*format, rows, *cols));
                slabs.flat_map(planes).map(|bytes| (name, bytes)).collect()
            }
            Chosen::Experts { group, layout, slots } => {
                let shares = layout.shares(group, *slots, binding).into_iter();
                let bytes = |share: Share| share.layout.bytes().saturating_mul(*slots as u64);
                shares.map(|share| (group.prefix.as_str(), bytes(share))).collect()
            }
        }
    }
}

/// The format that holds what was in `common` so far and `format`: f32 where they differ.
fn both(common: Option<Format>, format: Format) -> Option<Format> {
    Some(if common.is_none_or(|common| common == format) { format } else { Format::F32 })
}
